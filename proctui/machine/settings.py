"""What a process was given: limits, scheduling, cgroup, container, namespaces, OOM score."""

from __future__ import annotations

import os
import re
from typing import Any

from proctui import text
from proctui.machine.containers import container_of_mounts, find_container
from proctui.machine.procdir import ProcDir

__all__ = [
    "cgroup_of",
    "container_of",
    "limits_of",
    "namespaces_of",
    "oom_of",
    "parse_limits",
    "scheduling",
    "terminal_name",
]

_LIMITS = {
    "Max cpu time": "cpu",
    "Max file size": "fsize",
    "Max data size": "data",
    "Max stack size": "stack",
    "Max core file size": "core",
    "Max resident set": "rss",
    "Max processes": "nproc",
    "Max open files": "nofile",
    "Max locked memory": "memlock",
    "Max address space": "as",
    "Max file locks": "locks",
    "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue",
    "Max nice priority": "nice",
    "Max realtime priority": "rtprio",
    "Max realtime timeout": "rttime",
}
_LIMIT = re.compile(r"^(Max [a-z ]+?) {2,}(\S+) +(\S+) *(\S*)", re.M)
_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline", 7: "ext"}
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def parse_limits(raw: bytes) -> dict[str, dict[str, Any]]:
    """``soft`` and ``hard`` (numbers or ``"unlimited"``) and ``unit``, by ulimit's short names."""
    limits: dict[str, dict[str, Any]] = {}
    for name, soft, hard, unit in _LIMIT.findall(raw.decode("ascii", "replace")):
        if name in _LIMITS:
            limits[_LIMITS[name]] = {
                "soft": _limit(soft),
                "hard": _limit(hard),
                "unit": unit or None,
            }
    return limits


def _limit(word: str) -> int | str:
    return int(word) if word.isdecimal() else "unlimited"


def limits_of(proc: ProcDir) -> dict[str, dict[str, Any]] | None:
    """Resource limits (getrlimit(2))."""
    raw = proc.read("limits", figure="limits")
    return None if raw is None else parse_limits(raw)


def scheduling(fields: list[bytes]) -> dict[str, Any]:
    """Policy and priorities out of the fields of stat after the name (sched(7))."""
    policy = int(fields[38]) if len(fields) > 38 else 0
    return {
        "policy": _POLICIES.get(policy, str(policy)),
        "kernel": int(fields[15]),
        "realtime": int(fields[37]) if len(fields) > 37 else 0,
    }


def terminal_name(number: int) -> str | None:
    """``/dev/pts/3`` out of stat's tty number; ``None`` for no terminal."""
    if number == 0:
        return None
    # Numbers as in Documentation/admin-guide/devices.txt; minors are split around the major.
    major = number >> 8 & 0xFFF
    minor = number & 0xFF | number >> 12 & 0xFFF00
    if 136 <= major <= 143:
        return f"/dev/pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"/dev/tty{minor}" if minor < 64 else f"/dev/ttyS{minor - 64}"
    if (major, minor) == (5, 1):
        return "/dev/console"
    try:
        return text.decode(os.fsencode(os.path.realpath(f"/sys/dev/char/{major}:{minor}"))).replace(
            "/sys/devices/virtual/tty/", "/dev/"
        )
    except OSError:
        return f"{major}:{minor}"


def cgroup_of(proc: ProcDir) -> str | None:
    """The cgroup's path: of version 2, or the longest of version 1 where 2 is not used."""
    raw = proc.read("cgroup", figure="cgroup")
    if raw is None:
        return None
    paths: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths[controllers if number != "0" else ""] = text.sanitize(path)
    unified = paths.pop("", None)
    if unified not in (None, "/") or not paths:
        return unified
    longest = max(paths.values(), key=len)
    return longest if len(longest) > 1 else unified or longest


def container_of(proc: ProcDir) -> str | None:
    """``runtime:id`` by the cgroup's name, else by what is mounted into it."""
    raw = proc.read("cgroup")
    found = find_container(raw.decode("utf-8", "replace")) if raw else None
    if found is None:
        # With a cgroup namespace of its own the path is just "/".
        mounts = proc.read("mountinfo", limit=1 << 20)
        found = container_of_mounts(mounts.decode("utf-8", "replace")) if mounts else None
    return None if found is None else text.sanitize(str(found))


def namespaces_of(proc: ProcDir) -> dict[str, dict[str, Any]] | None:
    """Inode of each namespace and whether it is the one we are in (namespaces(7))."""
    found: dict[str, dict[str, Any]] = {}
    for name in _NAMESPACES:
        try:
            theirs = os.stat(f"ns/{name}", dir_fd=proc.fd)
        except OSError:
            continue
        try:
            ours = os.stat(f"/proc/self/ns/{name}").st_ino
        except OSError:
            ours = 0
        found[name] = {"inode": theirs.st_ino, "ours": theirs.st_ino == ours}
    if not found:
        proc.deny("namespaces")
        return None
    return found


def oom_of(proc: ProcDir) -> dict[str, int | None]:
    """How likely the out-of-memory killer takes it: ``score`` 0 to 2000, ``adjustment``."""
    figures: dict[str, int | None] = {}
    for ours, name in (("score", "oom_score"), ("adjustment", "oom_score_adj")):
        raw = proc.read(name, figure=f"oom.{ours}")
        figures[ours] = int(raw) if raw and raw.strip() else None
    return figures
