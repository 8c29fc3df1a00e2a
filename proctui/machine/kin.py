"""Who is whose child, without a look at everything each process is.

The kernel lists the children of a thread where it was built with
CONFIG_PROC_CHILDREN, and warns that the list may miss some when one ends
meanwhile (proc_tid_children(5)): it is believed when two readings agree.
Otherwise every process is asked for its parent, by the cheapest call that tells.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from proctui.machine import stat

__all__ = ["below", "children", "parents"]

_INFO_SIZE = 64
_PIDFD_GET_INFO = 3 << 30 | _INFO_SIZE << 16 | 0xFF << 8 | 11
"""``_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`` in its first size (linux/pidfd.h, 6.13)."""
_PPID = struct.Struct("=24xI")
"""After ``mask``, ``cgroupid``, ``pid`` and ``tgid``."""
_TRIES = 6
_UNKNOWN_CALL = (errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM)


def children(pid: int) -> list[int]:
    """The children of ``pid``, in order; empty for a pid that nobody has."""
    before = None
    for _attempt in range(_TRIES):
        listed = _listed(pid)
        if listed is None:
            break
        if listed == before:
            return listed
        before = listed
    return sorted(child for child, parent in parents().items() if parent == pid)


def _listed(pid: int) -> list[int] | None:
    """What the kernel lists for all its threads; ``None`` where it lists nothing at all."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            if Path(f"/proc/{pid}/task/{task}").exists():
                return None
    return sorted(found)


def parents() -> dict[int, int]:
    """Every process's parent (0: none in our pid namespace); the vanished are left out."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    asked = _asked(pids)
    if asked is not None:
        return asked
    found = {}
    for pid in pids:
        ppid = _read(pid)
        if ppid is not None:
            found[pid] = ppid
    return found


def below(tree: dict[int, int], pid: int) -> list[int]:
    """Everything below ``pid`` in the map of :func:`parents`, parents first; cycle-proof."""
    kids: dict[int, list[int]] = {}
    for child, parent in tree.items():
        kids.setdefault(parent, []).append(child)
    found: list[int] = []
    seen = {pid}
    queue = [pid]
    for at in queue:
        for kid in kids.get(at, ()):
            if kid not in seen:
                seen.add(kid)
                found.append(kid)
                queue.append(kid)
    return found


def _asked(pids: list[int]) -> dict[int, int] | None:
    """By PIDFD_GET_INFO, a quarter of the price of a ``stat`` file; ``None`` where it is unknown."""
    pidfd_open = getattr(os, "pidfd_open", None)
    if pidfd_open is None:
        return None
    close, ioctl, unpack = os.close, fcntl.ioctl, _PPID.unpack_from
    info = bytearray(_INFO_SIZE)
    found: dict[int, int] = {}
    for pid in pids:
        try:
            descriptor = pidfd_open(pid)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM, errno.EMFILE, errno.ENFILE):
                return None
            continue
        try:
            info[0:8] = b"\0\0\0\0\0\0\0\0"
            ioctl(descriptor, _PIDFD_GET_INFO, info)
            found[pid] = unpack(info)[0]
        except OSError as error:
            if error.errno in _UNKNOWN_CALL:
                return None
            # ESRCH is said of a process without a parent here, too.
            ppid = _read(pid)
            if ppid is not None:
                found[pid] = ppid
        finally:
            close(descriptor)
    return found


def _read(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return stat.parse(file.read(1024)).ppid
    except (OSError, ValueError):
        return None
