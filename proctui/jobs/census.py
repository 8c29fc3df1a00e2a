"""The baseline of a job, taken by its runner in passing.

Who was there is listed before the job starts; what each of them is, is read
in steps, so that on a machine with many processes the job doesn't wait.  The
sampler would see more, but a runner lives as long as its job and shall weigh
little: a baseline needs identities and names, no figures.
"""

from __future__ import annotations

import os
from array import array

from proctui.awareness.baseline import Baseline, Member, member_line, span_line
from proctui.awareness.entry import boottime
from proctui.awareness.session import BaselineSpan
from proctui.errors import ProctuiError
from proctui.ident import Identity
from proctui.machine import identity
from proctui.machine.stat import CLOCK_TICKS
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
        self._pids = _listed()
        self._at = 0
        self._lines = bytearray()
        self._size = 0
        self._missed: list[int] = []
        self._known = (identity.boot_id(), identity.pidns(), identity.has_pidfs())

    @property
    def large(self) -> bool:
        return len(self._pids) > AT_ONCE

    def step(self, count: int = STEP) -> bool:
        """Look at the next ones; whether all have been looked at."""
        boot, namespace, pidfs = self._known
        pids = self._pids[self._at : self._at + count]
        self._at += len(pids)
        for pid in pids:
            found = _look(pid, boot, namespace) if pidfs else _look_slowly(pid)
            if found is None:
                self._missed.append(pid)
            elif found.identity.start_ticks is None or found.identity.start_ticks <= self._first:
                self._lines += member_line(found)
                self._size += 1
        return self._at >= len(self._pids)

    def take(self) -> tuple[BaselineSpan, bytes]:
        """The baseline's span and all its lines, looking at whoever is left."""
        if not self._pids:
            return _take_portably()
        while not self.step():
            pass
        unreadable = sum(os.path.exists(f"/proc/{pid}") for pid in self._missed)
        span = BaselineSpan(self.began, boottime(), self._size, unreadable == 0, unreadable)
        return span, span_line(span) + self._lines


def _listed() -> array[int]:
    try:
        with os.scandir("/proc") as entries:
            return array("i", (int(one.name) for one in entries if one.name.isdecimal()))
    except OSError:
        return array("i")


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


def _take_portably() -> tuple[BaselineSpan, bytes]:
    from proctui.machine.source import open_source

    source = open_source()
    try:
        baseline = Baseline.capture(source)[0]
        return baseline.span, baseline.to_bytes()
    finally:
        source.close()
