"""Looks for the guard's own tests: real processes with plain verdicts, and made-up tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from proctui.awareness.session import Moment, Session
from proctui.awareness.view import View
from proctui.machine import identity as identities
from proctui.machine import stat
from proctui.model import (
    Certainty,
    CpuTimes,
    DiskIo,
    Identity,
    Memory,
    NetIo,
    Proc,
    Role,
    Snapshot,
    System,
    Verdict,
)

SYSTEM = System(
    CpuTimes(None, ()),
    Memory(None, None, None, None, None),
    None,
    None,
    DiskIo(None, None),
    NetIo(None, None),
    1,
)


def proc(
    pid: int,
    ppid: int,
    *,
    pgid: int | None = None,
    identity: Identity | None = None,
    state: str = "S",
) -> Proc:
    who = identity or Identity("boot", pid, 10_000 + pid, 1, pid)
    return Proc(
        who, pid, ppid, pid if pgid is None else pgid, 1, 0, state, f"p{pid}", None, None, None,
        None, 1, None, 0, False, 0,
    )  # fmt: skip


def view_of(
    procs: Mapping[int, Proc],
    verdicts: Mapping[int, Verdict],
    *,
    parents: Mapping[int, int] | None = None,
    session: Session | None = None,
    blocked: str | None = None,
    boottime: float = 0.0,
) -> View:
    """A view of these rows; a process stands under ``parents[pid]``, else under its ppid."""
    parents = dict(parents or {})
    children: dict[int, list[int]] = {}
    for pid, row in procs.items():
        above = parents.get(pid, row.ppid)
        if above in procs and above != pid:
            children.setdefault(above, []).append(pid)
    snapshot = Snapshot(0, 0.0, boottime, None, procs, SYSTEM)
    job = frozenset(pid for pid, one in verdicts.items() if one.role is Role.SPAWNED)
    return View(
        snapshot=snapshot,
        session=session,
        verdicts=verdicts,
        children={pid: tuple(sorted(below)) for pid, below in children.items()},
        parents=parents,
        strays=frozenset(),
        job=job,
        blocked=blocked,
    )


def read_table() -> dict[int, Proc]:
    """Every process of the machine, read plainly."""
    rows: dict[int, Proc] = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        with contextlib.suppress(OSError, ProcessLookupError, ValueError):
            who = identities.identify(int(name))
            line = stat.parse(Path(f"/proc/{name}/stat").read_bytes())
            rows[who.pid] = Proc(
                who, who.pid, line.ppid, line.pgid, line.sid, line.tty, line.state,
                line.name.decode("utf-8", "replace"), None, None, None, None, line.threads, None,
                0, bool(line.flags & stat.PF_KTHREAD), 0,
            )  # fmt: skip
    return rows


class Scene:
    """A look that latches: what is or was below the roots is spawned, for good."""

    def __init__(
        self,
        roots: Iterable[int],
        *,
        protected: Iterable[int] = (),
        likely: Iterable[int] = (),
        directory: Path | None = None,
        orphans: Callable[[Proc], bool] | None = None,
        cgroup: str | None = None,
    ) -> None:
        self.spawned = {identities.identify(pid).key for pid in roots}
        self.protected = set(protected)
        self.likely = set(likely)
        self.orphans = orphans
        self.latched: dict[object, int] = {}
        self.looks = 0
        self.before: Callable[[], None] | None = None
        self.session = Session(
            id="0" * 32,
            label="test",
            uid=os.getuid(),
            boot_id=identities.boot_id(),
            pidns=identities.pidns(),
            created=Moment(0.0, 0.0),
            place=None if directory is None else str(directory),
            cgroup=cgroup,
        )

    def look(self) -> View:
        self.looks += 1
        if self.before is not None:
            self.before()
        rows = read_table()
        own, chain = os.getpid(), set()
        above = os.getppid()
        while above in rows and above not in chain:
            chain.add(above)
            above = rows[above].ppid
        grown = True
        while grown:
            grown = False
            for row in rows.values():
                if row.identity.key in self.spawned:
                    continue
                parent = rows.get(row.ppid)
                below = parent is not None and parent.identity.key in self.spawned
                if below or (self.orphans is not None and self.orphans(row)):
                    self.spawned.add(row.identity.key)
                    if below:
                        self.latched[row.identity.key] = row.ppid
                    grown = True
        verdicts: dict[int, Verdict] = {}
        parents: dict[int, int] = {}
        for pid, row in rows.items():
            sure = Certainty.CERTAIN
            if pid == own:
                role = Role.SELF
            elif pid in chain:
                role = Role.ANCESTOR
            elif pid == 1 or row.kernel or pid in self.protected:
                role = Role.PROTECTED
            elif row.identity.key in self.spawned:
                role = Role.SPAWNED
                sure = Certainty.LIKELY if pid in self.likely else sure
                origin = self.latched.get(row.identity.key)
                if origin is not None and origin != row.ppid and origin in rows:
                    parents[pid] = origin
            else:
                role = Role.UNKNOWN
            verdicts[pid] = Verdict(role, sure, (f"{role} in this scene",))
        with open("/proc/uptime", encoding="ascii") as file:
            boottime = float(file.read().split()[0])
        return view_of(rows, verdicts, parents=parents, session=self.session, boottime=boottime)
