"""The baseline of a job, taken by its runner in one quick pass over ``/proc``.

The sampler would see more, but a runner lives as long as its job and shall
weigh little; who was there before needs an identity and a name, no figures.
"""

from __future__ import annotations

import os
from pathlib import Path

from proctui.awareness import files
from proctui.awareness.baseline import Baseline, Member
from proctui.awareness.session import BaselineSpan
from proctui.awareness.writer import boottime
from proctui.errors import ProctuiError
from proctui.machine import identity
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Identity
from proctui.text import decode

__all__ = ["recall", "take"]

_LIMIT = 64 << 20


def take() -> Baseline:
    """Who is there now; what is born while we look is left out, it stays unknown."""
    t0 = boottime()
    first = int(t0 * CLOCK_TICKS)
    if not Path("/proc/self").is_dir():
        return _take_portably()
    members: list[Member] = []
    missed: list[str] = []
    boot, namespace, pidfs = identity.boot_id(), identity.pidns(), identity.has_pidfs()
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        found = _look(int(name), boot, namespace) if pidfs else _look_slowly(int(name))
        if found is None:
            missed.append(name)
        elif found.identity.start_ticks is None or found.identity.start_ticks <= first:
            members.append(found)
    unreadable = sum(Path("/proc", name).exists() for name in missed)
    span = BaselineSpan(t0, boottime(), len(members), unreadable == 0, unreadable)
    return Baseline(members, span)


def _look(pid: int, boot: str, namespace: int | None) -> Member | None:
    """Stat first, pidfd second, read third: whoever answers held the number all along."""
    stat_fd = pidfd = -1
    try:
        stat_fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        pidfd = os.pidfd_open(pid)
        inode = os.fstat(pidfd).st_ino
        raw = os.pread(stat_fd, 1024, 0)
        end = raw.rindex(b")")
        ticks = int(raw[end + 2 :].split(None, 20)[19])
        name = decode(raw[raw.index(b"(") + 1 : end])
        return Member(Identity(boot, pid, inode, namespace, ticks), name)
    except (OSError, ValueError, IndexError):
        return None
    finally:
        if stat_fd >= 0:
            os.close(stat_fd)
        if pidfd >= 0:
            os.close(pidfd)


def _look_slowly(pid: int) -> Member | None:
    from proctui.jobs import family

    try:
        found = identity.identify(pid)
    except ProctuiError:
        return None
    line = family.read(pid)
    return None if line is None else Member(found, decode(line.name))


def _take_portably() -> Baseline:
    from proctui.machine.source import open_source

    source = open_source()
    try:
        return Baseline.capture(source)[0]
    finally:
        source.close()


def recall(directory: int) -> Baseline | None:
    """The baseline that a killed runner wrote down; it can only ever protect."""
    try:
        return Baseline.from_bytes(files.read_private(directory, "baseline.jsonl", _LIMIT))
    except (OSError, ValueError, files.FileProblem):
        return None
