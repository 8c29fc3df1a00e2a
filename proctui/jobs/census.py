"""The baseline of a job, taken by its runner in passing.

Who was there is listed before the job starts; what each of them is, is read
in steps, so that on a machine with many processes the job doesn't wait.  The
sampler would see more, but a runner lives as long as its job and shall weigh
little: a baseline needs identities and names, no figures.
"""

from __future__ import annotations

import os
from pathlib import Path

from proctui.awareness.baseline import Baseline, Member
from proctui.awareness.entry import boottime
from proctui.awareness.session import BaselineSpan
from proctui.errors import ProctuiError
from proctui.machine import identity
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Identity
from proctui.text import decode

__all__ = ["Census"]

STEP = 256
"""Processes looked at in one step: a few milliseconds."""
AT_ONCE = 1000
"""Up to so many processes the job waits for the whole census."""


class Census:
    """Everybody who is listed now and had started by ``since`` (seconds since boot, or now).

    What is born while we look is in neither: it stays unknown.  A number
    that is given out again meanwhile has a later start and is left out.
    """

    def __init__(self, since: float | None = None) -> None:
        self.began = boottime() if since is None else since
        self._first = int(self.began * CLOCK_TICKS)
        self._names = [name for name in _listed() if name.isdecimal()]
        self._at = 0
        self._members: list[Member] = []
        self._missed: list[str] = []
        self._known = (identity.boot_id(), identity.pidns(), identity.has_pidfs())

    @property
    def large(self) -> bool:
        return len(self._names) > AT_ONCE

    def step(self, count: int = STEP) -> bool:
        """Look at the next ones; whether all have been looked at."""
        boot, namespace, pidfs = self._known
        names = self._names[self._at : self._at + count]
        self._at += len(names)
        for name in names:
            found = _look(int(name), boot, namespace) if pidfs else _look_slowly(int(name))
            if found is None:
                self._missed.append(name)
            elif found.identity.start_ticks is None or found.identity.start_ticks <= self._first:
                self._members.append(found)
        return self._at >= len(self._names)

    def take(self) -> Baseline:
        """The baseline, looking at whoever is left."""
        if not self._names:
            return _take_portably()
        while not self.step():
            pass
        unreadable = sum(Path("/proc", name).exists() for name in self._missed)
        span = BaselineSpan(self.began, boottime(), len(self._members), unreadable == 0, unreadable)
        return Baseline(self._members, span)


def _listed() -> list[str]:
    try:
        return os.listdir("/proc")
    except OSError:
        return []


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
