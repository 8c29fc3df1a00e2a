"""What the kernel and our permissions allow."""

from __future__ import annotations

import os
import platform
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

__all__ = ["CAP_SYS_PTRACE", "CHECKS", "as_root", "has_capability"]

Finding = tuple[bool, str, str | None]

CAP_KILL, CAP_SYS_PTRACE, CAP_SYS_ADMIN = 5, 19, 21
"""Bit numbers of capabilities(7)."""
_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_PROC_CN_MCAST_LISTEN = 1
_NEWER_KERNEL = "boot a newer kernel"
_NAMESPACE_KNOBS = (
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""What can forbid user namespaces, as it forbids and as it allows them (the last two: Debian, Ubuntu)."""


def has_capability(capability: int) -> bool:
    """Whether it is in our effective set (proc_pid_status(5)); ``capability`` is its bit."""
    match = re.search(rb"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_bytes(), re.M)
    return match is not None and bool(int(match[1], 16) >> capability & 1)


def as_root(command: str) -> str:
    """The command as we have to type it; a root in a container often has no sudo."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def _kernel() -> Finding:
    release = platform.release()
    found = re.match(r"(\d+)\.(\d+)", release)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    text = f"{platform.system()} {release}"
    if platform.system() != "Linux":
        return (
            False,
            f"{text}: figures come from psutil, the guard can't pin processes",
            "use Linux",
        )
    if version < (6, 9):
        return (
            False,
            f"{text}: identities fall back to start times",
            f"{_NEWER_KERNEL} (6.9 or later)",
        )
    return True, text, None


def _pidfd() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError) as error:
        return (
            False,
            f"{error}: a signal could reach a process that reused the pid",
            "allow pidfd_open and pidfd_send_signal (Linux 5.3 or later, no seccomp filter on them)",
        )
    return True, "signals go to exactly the process that was pinned", None


def _pidfs() -> Finding:
    from proctui.machine.identity import has_pidfs

    if has_pidfs():
        return True, "a process has an identity for good (pid and pidfs inode)", None
    return (
        False,
        "identities are pid and start time; two processes can share them",
        f"{_NEWER_KERNEL} (6.9 or later)",
    )


def _landlock() -> Finding:
    from proctui.jobs import fence

    reason = fence.missing()
    if reason is None:
        return True, f"ABI {fence.landlock_abi()}: `proctui fence` works", None
    return (
        False,
        reason,
        "boot Linux 6.12 or later with `landlock` in the kernel's lsm= list (CONFIG_SECURITY_LANDLOCK=y)",
    )


def _seccomp() -> Finding:
    available = Path("/proc/sys/kernel/seccomp/actions_avail")
    if not available.exists():
        return False, "no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER=y"
    match = re.search(r"^Seccomp:\s*(\d)", Path("/proc/self/status").read_text(), re.M)
    ours = " (this process runs under one)" if match and match[1] == "2" else ""
    return True, f"filters: {available.read_text().strip()}{ours}", None


def _cgroup() -> Finding:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    points = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    if not points:
        return False, "no cgroup v2 is mounted", as_root("mount -t cgroup2 none /sys/fs/cgroup")
    own = next(
        (
            line.partition("::")[2]
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        ),
        "/",
    )
    here = Path(points[0] + own)
    if not (here.exists() and os.access(here, os.W_OK)):
        return (
            False,
            f"{points[0]}: not ours to write, so jobs are followed without a cgroup of their own",
            _delegation(points[0], here),
        )
    return True, f"{points[0]}: writable, a job can have a cgroup of its own", None


def _delegation(mount: str, own: Path) -> str:
    """What makes the cgroup we are in ours to write."""
    if os.geteuid() == 0:  # root is kept out by a read-only mount alone
        return f"mount -o remount,rw {mount}"
    if Path("/run/systemd/system").exists():
        return "systemd-run --user --scope -p Delegate=yes proctui run -- CMD"
    return f"sudo chown {os.geteuid()} {own} {own}/cgroup.procs"


def _user_namespaces() -> Finding:
    from proctui.jobs import isolate

    reason = isolate.missing()
    if reason is None:
        return True, "a job can have a pid namespace of its own", None
    for knob, closed, open_ in _NAMESPACE_KNOBS:
        setting = Path("/proc/sys", knob.replace(".", "/"))
        if setting.exists() and setting.read_text().strip() == closed:
            return False, reason, as_root(f"sysctl -w {knob}={open_}")
    return False, reason, "docker run --security-opt seccomp=unconfined … (or the like)"


def _proc_connector() -> Finding:
    """Subscribes to process events and waits for the kernel's answer (cn_proc.h)."""
    fix = "use a kernel with CONFIG_PROC_EVENTS=y (6.6 or later where not root)"
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR) as link:
            link.bind((0, _CN_IDX_PROC))
            message = struct.pack(
                "=IIIIHHI", _CN_IDX_PROC, _CN_VAL_PROC, 0, 0, 4, 0, _PROC_CN_MCAST_LISTEN
            )
            link.send(struct.pack("=IHHII", 16 + len(message), 3, 0, 0, os.getpid()) + message)
            link.settimeout(0.3)
            link.recv(4096)
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror
        return False, f"{reason}: births between two looks are found by scanning only", fix
    return True, "the kernel tells of every fork, exec and exit", None


def _permissions() -> Finding:
    uid = os.geteuid()
    if has_capability(CAP_SYS_PTRACE) and has_capability(CAP_KILL):
        return True, f"uid {uid} with CAP_SYS_PTRACE and CAP_KILL: every process is readable", None
    if uid == 0:
        return (
            False,
            "uid 0 without CAP_SYS_PTRACE: files, environments and stacks of others are denied",
            "docker run --cap-add SYS_PTRACE … (or the like of your container)",
        )
    return (
        False,
        f"uid {uid} without CAP_SYS_PTRACE: your own processes are readable, others' in part",
        "run proctui as root where you need the processes of others",
    )


def _yama() -> Finding:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if not scope.exists():
        return True, "not active", None
    value = int(scope.read_text())
    if value == 0 or (has_capability(CAP_SYS_PTRACE) and value < 3):
        return True, f"ptrace_scope {value}: no hindrance to us", None
    what = {
        1: "stacks only of processes that proctui itself started (`proctui run`)",
        2: "stacks need CAP_SYS_PTRACE",
        3: "nobody may attach until the next boot",
    }.get(value, "unknown value")
    return False, f"ptrace_scope {value}: {what}", as_root("sysctl -w kernel.yama.ptrace_scope=0")


def _hidepid() -> Finding:
    """Root, and the group that the mount option ``gid=`` names, see everybody all the same."""
    option = re.search(r" /proc .*hidepid=(\w+)", Path("/proc/self/mountinfo").read_text())
    try:
        Path("/proc/1/stat").read_bytes()
    except OSError:
        told = f"hidepid={option[1]}" if option else "restrictions"
        return (
            False,
            f"/proc is mounted with {told}: others' processes are hidden",
            as_root("mount -o remount,hidepid=0 /proc"),
        )
    return True, "/proc shows every process", None


def _container() -> Finding:
    from proctui.machine.containers import find_container

    found = find_container(Path("/proc/self/cgroup").read_text())
    marked = next((p for p in ("/.dockerenv", "/run/.containerenv") if Path(p).exists()), None)
    if found is None and marked is None:
        return True, "none: the whole machine is in sight", None
    return True, f"inside one ({found or marked}): only its processes are in sight", None


CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    ("kernel", _kernel),
    ("pidfd", _pidfd),
    ("pidfs", _pidfs),
    ("landlock", _landlock),
    ("seccomp", _seccomp),
    ("cgroup", _cgroup),
    ("user-namespaces", _user_namespaces),
    ("proc-connector", _proc_connector),
    ("permissions", _permissions),
    ("yama", _yama),
    ("hidepid", _hidepid),
    ("container", _container),
)
