"""What was: the machine, the job's sum and every process that did anything.

Graphs, the time cursor and the recorder share it.  Memory is bounded: rings
of a fixed length for machine and job, changes only for processes, a budget of
points for all of these together and of records for the dead.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proctui.machine.series import Ring, Series
from proctui.model import Identity, Proc, Snapshot

__all__ = ["JOB_FIGURES", "MACHINE_FIGURES", "History", "Moment", "ProcessHistory"]

MACHINE_FIGURES = (
    "cpu", "user", "system", "memory", "swap", "load", "cpu_pressure", "memory_pressure",
    "io_pressure", "disk_read", "disk_write", "net_sent", "net_received", "processes",
)  # fmt: skip
"""Percent of the machine, bytes, bytes a second and counts, as in :class:`model.System`."""

JOB_FIGURES = ("cpu", "rss", "threads", "processes", "read", "write")
"""Sums over the job: percent of one core, bytes, counts, bytes a second."""

DEAD_KEPT = 4096
"""Dead processes remembered at most; those of the job outlast the others."""
POINTS = 2_000_000
"""Changes kept over all processes (8 bytes each)."""
FEWEST_POINTS = 120
"""Changes every process may keep, however many there are."""
_TRIM_EVERY = 64


class ProcessHistory:
    """One process's figures over time, from its first sight to its end."""

    __slots__ = ("born", "cpu", "died", "job", "row", "rss", "state", "threads")

    def __init__(self, row: Proc, born: int) -> None:
        self.row = row
        self.born = born
        self.died: int | None = None
        self.job = False
        self.cpu = Series()
        self.rss = Series()
        self.threads = Series()
        self.state = Series()

    def add(self, index: int, row: Proc) -> None:
        self.row = row
        self.cpu.add(index, row.cpu)
        self.rss.add(index, row.rss)
        self.threads.add(index, row.threads)
        self.state.add(index, ord(row.state[:1] or "?"))

    def at(self, index: int) -> Proc | None:
        """The row as it was then; ``None`` before birth and from death on."""
        if index < self.born or (self.died is not None and index >= self.died):
            return None
        state, threads, rss = self.state.at(index), self.threads.at(index), self.rss.at(index)
        return self.row._replace(
            state="?" if state is None else chr(int(state)),
            cpu=self.cpu.at(index),
            rss=None if rss is None else int(rss),
            threads=None if threads is None else int(threads),
        )

    def points(self) -> int:
        return len(self.cpu) + len(self.rss) + len(self.threads) + len(self.state)

    def trim(self, points: int) -> None:
        for series in (self.cpu, self.rss, self.threads, self.state):
            series.trim(points)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the time cursor shows: the processes of one index, by pid."""

    index: int
    wall: float | None
    procs: dict[int, Proc]


class History:
    """Remembers ``capacity`` looks; the index of a look counts from 0.

    ``machine`` and ``job`` map the names of :data:`MACHINE_FIGURES` and
    :data:`JOB_FIGURES` to rings; draw them with
    :func:`proctui.machine.series.columns`.
    """

    def __init__(self, capacity: int = 3600) -> None:
        self.capacity = capacity
        self.wall = Ring(capacity, "d")
        self.machine: Mapping[str, Ring] = {name: Ring(capacity) for name in MACHINE_FIGURES}
        self.job: Mapping[str, Ring] = {name: Ring(capacity) for name in JOB_FIGURES}
        self._live: dict[int, ProcessHistory] = {}
        self._dead: OrderedDict[tuple[object, ...], ProcessHistory] = OrderedDict()
        self._rows: Mapping[int, Proc] = {}
        self._tick: int | None = None

    @property
    def first(self) -> int:
        """The oldest index kept."""
        return self.wall.first

    @property
    def last(self) -> int:
        """The newest index, -1 before the first look."""
        return self.wall.count - 1

    def record(self, snapshot: Snapshot, job: Iterable[int] = ()) -> int:
        """Take in one look, ``job`` being the pids whose sum is kept; returns its index."""
        index = self.wall.count
        self.wall.append(snapshot.wall)
        members = frozenset(job)
        self._machine(snapshot)
        self._job(snapshot, members)
        self._processes(snapshot, members, index)
        self._rows, self._tick = snapshot.procs, snapshot.tick
        if index % _TRIM_EVERY == _TRIM_EVERY - 1:
            self._trim()
        elif len(self._dead) > 2 * DEAD_KEPT:
            self._forget_dead()
        return index

    def _machine(self, snapshot: Snapshot) -> None:
        system, pressure = snapshot.system, snapshot.system.pressure
        figures = (
            system.cpu.usage,
            system.cpu.user,
            system.cpu.system,
            system.memory.used,
            system.memory.swap_used,
            None if system.load is None else system.load[0],
            None if pressure is None else pressure.cpu,
            None if pressure is None else pressure.memory,
            None if pressure is None else pressure.io,
            system.disk.read_rate,
            system.disk.write_rate,
            system.net.sent_rate,
            system.net.received_rate,
            len(snapshot.procs),
        )
        for name, figure in zip(MACHINE_FIGURES, figures, strict=True):
            self.machine[name].append(figure)

    def _job(self, snapshot: Snapshot, members: frozenset[int]) -> None:
        rows = [snapshot.procs[pid] for pid in members if pid in snapshot.procs]
        io = [snapshot.io[pid] for pid in members if pid in snapshot.io]
        self.job["cpu"].append(_sum(row.cpu for row in rows))
        self.job["rss"].append(_sum(row.rss for row in rows))
        self.job["threads"].append(_sum(row.threads for row in rows))
        self.job["processes"].append(len(rows))
        self.job["read"].append(_sum(one.read_rate for one in io))
        self.job["write"].append(_sum(one.write_rate for one in io))

    def _processes(self, snapshot: Snapshot, members: frozenset[int], index: int) -> None:
        rows, before = snapshot.procs, self._rows
        gone: Iterable[Proc]
        if self._tick is not None and snapshot.tick == self._tick + 1:
            changed: Iterable[int] = snapshot.changed
            gone = snapshot.died
        elif rows is before:
            return
        else:  # looks in between were not recorded
            changed = [pid for pid, row in rows.items() if before.get(pid) is not row]
            gone = [
                row
                for pid, row in before.items()
                if pid not in rows or not rows[pid].identity.same(row.identity)
            ]
        for row in gone:
            self._bury(row, index)
        live = self._live
        for pid in changed:
            row = rows[pid]
            record = live.get(pid)
            if record is None:
                old = before.get(pid)
                if index == 0 or (old is not None and _same_but_measured(old, row)):
                    continue
                record = live[pid] = self._begin(row, old, index)
            record.add(index, row)
        for pid in members:
            if pid in live:
                live[pid].job = True
            elif pid in rows:
                record = live[pid] = self._begin(rows[pid], before.get(pid), index)
                record.job = True

    def _begin(self, row: Proc, before: Proc | None, index: int) -> ProcessHistory:
        if before is None or not before.identity.same(row.identity):
            record = ProcessHistory(row, index)
            record.add(index, row)
            return record
        # It did nothing so far: its row of the look before held since the first one.
        record = ProcessHistory(before, 0)
        record.add(0, before)
        return record

    def _bury(self, row: Proc, index: int) -> None:
        record = self._live.get(row.pid)
        if record is not None and record.row.identity.same(row.identity):
            del self._live[row.pid]
        else:
            record = ProcessHistory(row, 0)
            record.add(0, row)
        record.died = index
        self._dead[row.identity.key] = record

    def _trim(self) -> None:
        first = self.first
        for key, record in list(self._dead.items()):
            if record.died is not None and record.died < first:
                del self._dead[key]
        self._forget_dead()
        records = [*self._live.values(), *self._dead.values()]
        limit = self.capacity
        if sum(record.points() for record in records) > POINTS:
            limit = max(FEWEST_POINTS, POINTS // (4 * len(records)))
        for record in records:
            record.trim(min(limit, self.capacity))

    def _forget_dead(self) -> None:
        excess = len(self._dead) - DEAD_KEPT
        if excess <= 0:
            return
        others = [key for key, record in self._dead.items() if not record.job]
        mine = [key for key, record in self._dead.items() if record.job]
        for key in (others + mine)[:excess]:
            del self._dead[key]

    def process(self, identity: Identity) -> ProcessHistory | None:
        """What is known of exactly this process.

        ``None`` if it did nothing since the first look (its row never changed)
        or was forgotten.
        """
        record = self._live.get(identity.pid)
        if record is not None and record.row.identity.same(identity):
            return record
        return self._dead.get(identity.key)

    def tombs(self) -> list[ProcessHistory]:
        """The dead that are still remembered, in the order of their death."""
        return list(self._dead.values())

    def moment(self, index: int) -> Moment:
        """The processes as they were at an index (bounded to what is kept)."""
        index = max(self.first, min(index, self.last))
        procs: dict[int, Proc] = {}
        for record in self._dead.values():
            row = record.at(index)
            if row is not None:
                procs[row.pid] = row
        for pid, row in self._rows.items():
            live = self._live.get(pid)
            shown = row if live is None else live.at(index)
            if shown is not None:
                procs[pid] = shown
        return Moment(index, self.wall.at(index), procs)


def _same_but_measured(old: Proc, new: Proc) -> bool:
    """Whether only the first CPU figure came in, of a process that does nothing."""
    return old.cpu is None and new.cpu == 0.0 and old == new._replace(cpu=None, seen=old.seen)


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum of what is known; ``None`` where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
