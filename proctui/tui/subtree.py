"""What one process and all below it used, look by look: what the graphs of a process draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import isnan, nan

from proctui.awareness.view import View
from proctui.machine.history import History, ProcessHistory
from proctui.model import Identity, Proc

__all__ = ["Figures", "Subtree"]


class Figures:
    """One figure for every look from ``first`` on; ``None`` where there was nobody."""

    def __init__(self, first: int, values: list[float | None]) -> None:
        self.first = first
        self.values = values

    @property
    def count(self) -> int:
        """The index of the next look."""
        return self.first + len(self.values)

    def at(self, index: int) -> float | None:
        return self.values[index - self.first] if self.first <= index < self.count else None

    def window(self, first: int, last: int) -> list[float | None]:
        return [self.at(index) for index in range(first, last + 1)]

    def append(self, value: float | None, keep: int) -> None:
        """Add a look and forget what lies more than ``keep`` back."""
        self.values.append(value)
        excess = len(self.values) - keep
        if excess > keep // 4:
            del self.values[:excess]
            self.first += excess


class Subtree:
    """A process and the sums with all below it, for every look of a history.

    ``own`` and ``whole`` map ``"cpu"`` (percent of one core) and ``"rss"``
    (bytes) to figures by the history's indices.  The past counts whom the
    newest view knows below the process, the dead among them.
    """

    def __init__(self, view: View, history: History, identity: Identity, name: str) -> None:
        self.identity = identity
        self.name = name
        self.history = history
        records = [_record(view, history, one) for one in _members(view, identity)]
        known = [record for record in records if record is not None]
        mine = [record for record in known if record.row.identity.same(identity)]
        self.own = {figure: _summed(mine, figure, history) for figure in _VALUES}
        self.whole = {figure: _summed(known, figure, history) for figure in _VALUES}

    @property
    def title(self) -> str:
        return f"{self.name} {self.identity.pid}"

    def take(self, view: View) -> None:
        """Add the newest look, if it is a new one."""
        if self.own["cpu"].count > self.history.last:
            return
        proc = view.proc(self.identity.pid)
        procs: list[Proc] = []
        if proc is not None and proc.identity.same(self.identity):
            below = (view.proc(pid) for pid in view.descendants(proc.pid))
            procs = [proc, *(one for one in below if one is not None)]
        for figure, value in _VALUES.items():
            known = [number for one in procs if (number := value(one)) is not None]
            keep = self.history.capacity
            self.own[figure].append(value(procs[0]) if procs else None, keep)
            self.whole[figure].append(sum(known) if known else None, keep)


_VALUES: dict[str, Callable[[Proc], float | None]] = {
    "cpu": lambda proc: proc.cpu,
    "rss": lambda proc: proc.rss,
}


def _members(view: View, identity: Identity) -> list[Identity]:
    """The process, what lives below it, and what ended there."""
    pids = [identity.pid, *view.descendants(identity.pid)]
    found = [one for pid in pids if (one := view.identity(pid)) is not None]
    inside = set(pids)
    for tomb in view.tombs:
        if tomb.parent in inside:
            inside.add(tomb.identity.pid)
            found.append(tomb.identity)
    return found


def _record(view: View, history: History, identity: Identity) -> ProcessHistory | None:
    """What is known of a process; of one that never did anything its row says it all."""
    record = history.process(identity)
    row = view.proc(identity.pid)
    if record is None and row is not None and row.identity.same(identity):
        record = ProcessHistory(row, 0)
        record.add(0, row)
    return record


def _summed(records: Sequence[ProcessHistory], figure: str, history: History) -> Figures:
    """The sum at every index, from the changes alone: most processes hardly ever change."""
    first, end = history.first, history.last + 1
    steps = [0.0] * (end - first + 1)
    known = [0] * (end - first + 1)
    for record in records:
        begin = max(record.born, first)
        until = end if record.died is None else min(record.died, end)
        if begin >= until:
            continue
        before = nan
        for index, value in [*getattr(record, figure).changes(begin, until - 1), (until, nan)]:
            steps[index - first] += (0.0 if isnan(value) else value) - (
                0.0 if isnan(before) else before
            )
            known[index - first] += isnan(before) - isnan(value)
            before = value
    sums = zip(accumulate(steps), accumulate(known), strict=True)
    values = [max(0.0, total) if count else None for total, count in sums]
    return Figures(first, values[:-1])
