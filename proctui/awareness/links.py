"""Puts reported forks together, so that a short-lived link doesn't break the line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from proctui.awareness.connector import Fork
from proctui.awareness.entry import boottime
from proctui.awareness.evidence import clock
from proctui.awareness.lineage import Record
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Identity, Proc

__all__ = ["Link", "Links"]

_SLACK = 3
"""Clock ticks by which a start time and the kernel's report may differ."""
_LATE = 1000
"""Clock ticks that may pass between a start and its report."""
_MOST = 20_000
_SAID = "; the kernel reported it"


class Link(NamedTuple):
    """A forked pid; ``ours`` if the job forked it, ``above`` the nearest record (``None``: the root)."""

    ours: bool
    above: Record | None
    words: str
    ticks: int


class Links:
    """Pids whose origin was reported but that no look has seen yet.

    Strangers are kept too: a number of the job that was given out again
    belongs to them from the report of their fork on.
    """

    def __init__(self) -> None:
        self._open: dict[int, Link] = {}

    def clear(self) -> None:
        """Reports were lost: what is open can't be trusted any more."""
        self._open.clear()

    def take(
        self,
        events: Iterable[Fork],
        record_at: Callable[[int], Record | None],
        is_root: Callable[[int], bool],
    ) -> None:
        """Follow forks and exits in order.

        ``record_at`` tells who of the job had a pid at the last look,
        ``is_root`` whether a pid is what the job descends from.
        """
        offset = boottime() - time.clock_gettime(time.CLOCK_MONOTONIC)
        for event in events:
            if event.child == 0:
                self._open.pop(event.parent, None)
                continue
            ticks = int((event.nanoseconds / 1e9 + offset) * CLOCK_TICKS)
            self._open[event.child] = self._follow(event.parent, ticks, record_at, is_root)
        if len(self._open) > _MOST:
            self._open.clear()

    def _follow(
        self,
        parent: int,
        ticks: int,
        record_at: Callable[[int], Record | None],
        is_root: Callable[[int], bool],
    ) -> Link:
        known = self._open.get(parent)
        if known is not None:
            if not known.ours:
                return Link(False, None, "", ticks)
            words = known.words.partition("; ")[0].partition(", through ")[0]
            return Link(True, known.above, f"{words}, through {parent}{_SAID}", ticks)
        record = record_at(parent)
        if record is not None:
            # A report that is older than this process is about another one of the same number.
            born = record.identity.start_ticks
            if born is None or born > ticks + _SLACK:
                record = None
        if record is None and not is_root(parent):
            return Link(False, None, "", ticks)
        return Link(True, record, f"forked by {parent} at {clock()}{_SAID}", ticks)

    def settle(
        self, procs: Mapping[int, Proc], holds: Callable[[Identity], bool]
    ) -> list[tuple[Proc, Link]]:
        """Those of the job that a look has found now; what the look settled is closed.

        ``holds`` tells whether a process has its number still: the look may
        show the number's former owner.
        """
        found = []
        for pid, link in list(self._open.items()):
            proc = procs.get(pid)
            if proc is None or proc.identity.start_ticks is None:
                continue
            # A process starts before its fork is reported, on a busy machine long before.
            if not link.ticks - _LATE <= proc.identity.start_ticks <= link.ticks + _SLACK:
                continue
            if link.ours and not holds(proc.identity):
                continue
            del self._open[pid]
            if link.ours:
                found.append((proc, link))
        return found
