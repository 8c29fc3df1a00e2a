"""Parsing of ``/proc/PID/status`` (proc_pid_status(5)): users, privileges, signals, memory."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

__all__ = [
    "CAPABILITIES",
    "capabilities",
    "capability_names",
    "parse_status",
    "seccomp",
    "signal_names",
    "signals",
]

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
"""Names by bit (include/uapi/linux/capability.h)."""

_SETS = {
    "CapEff": "effective",
    "CapPrm": "permitted",
    "CapInh": "inheritable",
    "CapBnd": "bounding",
    "CapAmb": "ambient",
}
_MASKS = {
    "SigPnd": "pending",
    "ShdPnd": "pending_shared",
    "SigBlk": "blocked",
    "SigIgn": "ignored",
    "SigCgt": "caught",
}
_SECCOMP = {0: "disabled", 1: "strict", 2: "filter"}
_LINE = re.compile(rb"^([\w-]+):[ \t]*(.*)$", re.M)


def parse_status(raw: bytes) -> dict[str, str]:
    """Fields by name; the name of the process itself is escaped by the kernel, so no line lies."""
    return {
        name.decode("ascii"): value.decode("utf-8", "replace").strip()
        for name, value in _LINE.findall(raw)
    }


def capability_names(mask: str) -> list[str]:
    """The capabilities of a hexadecimal mask; bits this table does not know as ``cap_N``."""
    bits = int(mask, 16)
    return [
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"cap_{bit}"
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    ]


def capabilities(fields: Mapping[str, str]) -> dict[str, list[str]] | None:
    """The five sets by name, ``None`` where the kernel tells nothing."""
    sets = {ours: capability_names(fields[name]) for name, ours in _SETS.items() if name in fields}
    return sets or None


def signal_names(mask: str) -> list[str]:
    """The signals of a hexadecimal mask: ``TERM``, and real-time ones as ``RTMIN+N``."""
    bits = int(mask, 16)
    names: list[str] = []
    for number in range(1, bits.bit_length() + 1):
        if not bits >> (number - 1) & 1:
            continue
        try:
            names.append(signal.Signals(number).name.removeprefix("SIG"))
        except ValueError:
            names.append(f"RTMIN+{number - 34}" if number >= 34 else str(number))
    return names


def signals(fields: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Pending, blocked, ignored and caught signals by name."""
    masks = {ours: signal_names(fields[name]) for name, ours in _MASKS.items() if name in fields}
    return masks or None


def seccomp(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """``mode`` (disabled, strict, filter), number of ``filters``, ``no_new_privs``."""
    if "Seccomp" not in fields:
        return None
    mode = int(fields["Seccomp"])
    filters = fields.get("Seccomp_filters")
    privs = fields.get("NoNewPrivs")
    return {
        "mode": _SECCOMP.get(mode, str(mode)),
        "filters": None if filters is None else int(filters),
        "no_new_privs": None if privs is None else privs == "1",
    }
