"""A made-up machine: processes that fork, exec, change parents and end, seen tick by tick."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proctui.awareness.baseline import Baseline, Member
from proctui.awareness.session import BaselineSpan, Moment, Session
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import (
    CpuTimes,
    DiskIo,
    Identity,
    Memory,
    NetIo,
    Proc,
    ProcInfo,
    Snapshot,
    System,
)

BOOT = "11111111-2222-3333-4444-555555555555"
SYSTEM = System(
    CpuTimes(None, ()), Memory(None, None, None, None, None), None, None,
    DiskIo(None, None), NetIo(None, None), 2,
)  # fmt: skip


class World:
    """A :class:`proctui.model.Source` whose processes the test moves itself.

    Time goes on by one clock tick with every birth, so that start times are
    distinct unless a test wants otherwise.
    """

    def __init__(self) -> None:
        self.now = 1000
        self.tick = 0
        self.inodes = 10_000
        self.procs: dict[int, Proc] = {}
        self._before: dict[int, Proc] = {}
        self.infos: dict[int, ProcInfo] = {}
        self.add(1, 0, name="init")
        self.add(2, 0, name="kthreadd", kernel=True)

    def add(self, pid: int, ppid: int, *, ticks: int | None = None, **fields: Any) -> Proc:
        """A new process; ``pid`` must be free."""
        assert pid not in self.procs
        self.inodes += 1
        if ticks is None:
            self.now += 1
        identity = Identity(BOOT, pid, self.inodes, 1, self.now if ticks is None else ticks)
        parent = self.procs.get(ppid)
        row = Proc(
            identity, pid, ppid,
            pgid=parent.pgid if parent else pid,
            sid=parent.sid if parent else pid,
            tty=parent.tty if parent else 0,
            state="S", name=parent.name if parent else f"p{pid}",
            started=0.0, user_time=0.0, system_time=0.0, rss=4096, threads=1, cpu=0.0,
            uid=parent.uid if parent else 0, kernel=False, seen=0,
        )._replace(**fields)  # fmt: skip
        self.procs[pid] = row
        return row

    def change(self, pid: int, **fields: Any) -> Proc:
        row = self.procs[pid] = self.procs[pid]._replace(**fields)
        return row

    def end(self, pid: int, reaper: int = 1) -> Proc:
        """It ends and is reaped; its children get another parent."""
        gone = self.procs.pop(pid)
        for other in list(self.procs.values()):
            if other.ppid == pid:
                self.change(other.pid, ppid=reaper)
        return gone

    def reuse(self, pid: int, ppid: int, **fields: Any) -> Proc:
        """It ends, and the number goes to a stranger at once."""
        self.end(pid)
        return self.add(pid, ppid, **fields)

    @property
    def boottime(self) -> float:
        return (self.now + 0.5) / CLOCK_TICKS

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        before, after = self._before, dict(self.procs)
        self._before = after
        self.tick += 1
        died = tuple(
            row for pid, row in before.items()
            if pid not in after or not after[pid].identity.same(row.identity)
        )  # fmt: skip
        born = tuple(
            pid for pid, row in after.items()
            if pid not in before or not before[pid].identity.same(row.identity)
        )  # fmt: skip
        changed = frozenset(pid for pid, row in after.items() if before.get(pid) is not row)
        return Snapshot(
            self.tick, 1_700_000_000.0 + self.tick, self.boottime, 1.0, after, SYSTEM,
            born=born, died=died, changed=changed,
        )  # fmt: skip

    def info(self, identity: Identity) -> ProcInfo | None:
        return self.infos.get(identity.pid)

    def close(self) -> None: ...

    def baseline(self, without: Iterable[int] = ()) -> Baseline:
        """Everything that exists now, captured in an instant."""
        skipped = set(without)
        members = [
            Member(row.identity, row.name) for pid, row in self.procs.items() if pid not in skipped
        ]
        return Baseline(members, BaselineSpan(self.boottime, self.boottime, len(members), True, 0))


def session(world: World, leader: Identity | None, **fields: Any) -> Session:
    """A session that began now."""
    values: dict[str, Any] = {
        "id": "a" * 32,
        "label": "job",
        "uid": 0,
        "boot_id": BOOT,
        "pidns": 1,
        "created": Moment(world.boottime, 1_700_000_000.0),
        "leader": leader,
        "kind": "run",
    }
    return Session(**{**values, **fields})
