"""A job that never was: views built from a few words, with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proctui.awareness.session import Moment, Session
from proctui.awareness.view import Tomb, View
from proctui.machine.history import History
from proctui.model import (
    Certainty,
    CpuTimes,
    DiskIo,
    Identity,
    Io,
    Memory,
    NetIo,
    Proc,
    ProcInfo,
    Role,
    Snapshot,
    System,
    Verdict,
)

BOOT = "00000000-0000-4000-8000-000000000000"
T0 = 1_700_000_000.0
"""When the fake job began, seconds since 1970."""

GIB = 1 << 30

WHY = {
    Role.SELF: "this is proctui",
    Role.ANCESTOR: "an ancestor of proctui",
    Role.PROTECTED: "it controls a session",
    Role.BASELINE: "in the baseline of 10:02:10",
    Role.SPAWNED: "descendant of 1000, seen 10:02:12",
    Role.UNKNOWN: "born while the baseline was taken",
}


@dataclass(frozen=True)
class Fake:
    """One process: what a test cares about, the rest has a default."""

    pid: int
    ppid: int
    name: str
    role: Role = Role.SPAWNED
    cpu: float | None = 0.0
    rss: int | None = 8 << 20
    threads: int | None = 1
    state: str = "S"
    cmdline: tuple[str, ...] | None = None
    age: float = 60.0
    certainty: Certainty = Certainty.CERTAIN
    stray: bool = False
    evidence: tuple[str, ...] = ()
    user: str = "ada"
    unchecked: tuple[str, ...] = ()
    container: str | None = None
    parent: int | None = None
    """Where it stands in the tree, if not under its kernel parent."""

    @property
    def identity(self) -> Identity:
        return Identity(BOOT, self.pid, 1_000_000 + self.pid, 4026531836, self.pid * 10)


DEMO: tuple[Fake, ...] = (
    Fake(1, 0, "systemd", Role.PROTECTED, cmdline=("/sbin/init",), age=9e5, user="root"),
    Fake(700, 1, "sshd", Role.ANCESTOR, cmdline=("sshd: ada@pts/0",), age=8e4, user="root"),
    Fake(710, 700, "bash", Role.ANCESTOR, cmdline=("-bash",), age=7e4),
    Fake(810, 1, "postgres", Role.BASELINE, cpu=0.4, rss=96 << 20, threads=1, age=6e5),
    Fake(811, 810, "postgres", Role.BASELINE, cmdline=("postgres: checkpointer",), age=6e5),
    Fake(
        900,
        710,
        "proctui",
        Role.SELF,
        cpu=1.1,
        rss=52 << 20,
        threads=3,
        cmdline=("proctui", "run", "--", "pytest", "-n", "4"),
    ),
    Fake(901, 900, "proctui-keeper", Role.PROTECTED, rss=3 << 20, cmdline=("proctui: keeper",)),
    Fake(902, 901, "proctui-runner", Role.PROTECTED, rss=9 << 20, cmdline=("proctui: runner",)),
    Fake(
        1000,
        902,
        "pytest",
        cpu=12.5,
        rss=84 << 20,
        threads=2,
        cmdline=("pytest", "-n", "4", "tests"),
        evidence=("the command proctui started, 10:02:11",),
    ),
    Fake(
        1001,
        1000,
        "python3",
        cpu=97.3,
        rss=133 << 20,
        state="R",
        cmdline=("[pytest-xdist running]", "tests/test_solver.py::test_converges"),
        evidence=("child of 1000, seen 10:02:12",),
    ),
    Fake(
        1002,
        1000,
        "python3",
        cpu=41.0,
        rss=129 << 20,
        threads=5,
        state="D",
        cmdline=("[pytest-xdist running]", "tests/test_disk.py::test_fsync"),
    ),
    Fake(
        1003,
        1000,
        "python3",
        cpu=0.0,
        rss=121 << 20,
        threads=3,
        cmdline=("[pytest-xdist running]", "tests/test_locks.py::test_inversion"),
    ),
    Fake(
        1010, 1001, "gcc", cpu=22.0, rss=31 << 20, cmdline=("gcc", "-O2", "-c", "kernel.c"), age=4
    ),
    Fake(
        1011,
        1010,
        "cc1",
        cpu=88.0,
        rss=61 << 20,
        state="R",
        cmdline=("/usr/lib/gcc/cc1", "kernel.c"),
        age=4,
    ),
    Fake(
        1020,
        902,
        "chromedriver",
        cpu=0.2,
        rss=22 << 20,
        threads=9,
        stray=True,
        parent=1000,
        cmdline=("chromedriver", "--port=9515"),
        age=50,
        evidence=("descendant of 1000, latched 10:02:30", "its parent ended, taken by 902"),
    ),
    Fake(
        1021,
        1,
        "sh",
        rss=2 << 20,
        stray=True,
        certainty=Certainty.LIKELY,
        parent=1000,
        cmdline=("sh", "-c", "sleep 600"),
        age=40,
        evidence=("PROCTUI_SESSION in its environment names this session",),
    ),
    Fake(2000, 1, "cron", Role.UNKNOWN, cmdline=("/usr/sbin/cron",), user="root", age=30),
)


@dataclass
class FakeWatch:
    """A watch whose processes are a list; ``tick()`` moves its clock by ``interval``."""

    fakes: Sequence[Fake] = DEMO
    session: Session | None = None
    interval: float = 1.0
    now: float = 200.0
    ticks: int = 0
    tombs: tuple[Tomb, ...] = ()
    io: dict[int, Io] = field(default_factory=dict)
    usage: float | None = 63.0
    leader_alive: bool = True
    closed: bool = False
    looks: int = 0
    last: View | None = None
    frozen: bool = False
    warnings: tuple[str, ...] = ()
    history: History = field(default_factory=History)

    def tick(self) -> View:
        if not self.frozen or self.last is None:
            self.ticks += 1
            self.now += self.interval
            self.last = self.build()
            self.history.record(self.last.snapshot, self.last.job)
        return self.last

    def look(self) -> View:
        self.looks += 1
        return self.build()

    def close(self) -> None:
        self.closed = True

    def build(self) -> View:
        """The view of this moment."""
        wall = T0 + self.now
        before = self.last.snapshot.procs if self.last is not None else {}
        procs: dict[int, Proc] = {}
        changed: set[int] = set()
        for fake in self.fakes:
            proc = Proc(
                fake.identity,
                fake.pid,
                fake.ppid,
                fake.pid,
                700,
                0,
                fake.state,
                fake.name,
                T0 + 200.0 - fake.age,
                3.0,
                1.0,
                fake.rss,
                fake.threads,
                fake.cpu,
                1000,
                False,
                0,
            )
            old = before.get(fake.pid)
            if old == proc:
                proc = old
            else:
                changed.add(fake.pid)
            procs[fake.pid] = proc
        born = tuple(
            pid
            for pid, proc in procs.items()
            if pid not in before or before[pid].identity != proc.identity
        )
        died = tuple(
            proc
            for pid, proc in before.items()
            if pid not in procs or procs[pid].identity != proc.identity
        )
        system = System(
            CpuTimes(self.usage, (70.0, 56.0), 50.0, 13.0),
            Memory(16 * GIB, 10 * GIB, 6 * GIB, 2 * GIB, 0),
            (1.24, 0.98, 0.71),
            None,
            DiskIo(1e6, 2e6),
            NetIo(2e3, 9e3),
            2,
        )
        snapshot = Snapshot(
            self.ticks,
            wall,
            5000.0 + self.now,
            self.interval,
            procs,
            system,
            born if before else (),
            died,
            frozenset(changed),
            dict(self.io),
        )
        return self._judged(snapshot)

    def _judged(self, snapshot: Snapshot) -> View:
        by_pid = {fake.pid: fake for fake in self.fakes}
        parents = {fake.pid: fake.parent for fake in self.fakes if fake.parent is not None}
        children: dict[int, list[int]] = {}
        for fake in self.fakes:
            at = fake.parent if fake.parent is not None else fake.ppid
            if at in by_pid and at != fake.pid:
                children.setdefault(at, []).append(fake.pid)
        verdicts = {
            fake.pid: Verdict(
                fake.role, fake.certainty, fake.evidence or (WHY[fake.role],), fake.unchecked
            )
            for fake in self.fakes
        }
        tree = {pid: tuple(kids) for pid, kids in children.items()}
        if self.last is not None and tree == self.last.children:
            tree = self.last.children  # type: ignore[assignment]

        def info(identity: Identity) -> ProcInfo | None:
            fake = by_pid.get(identity.pid)
            if fake is None:
                return None
            return ProcInfo(identity, fake.cmdline or (fake.name,), None, fake.user, fake.container)

        spawned = frozenset(f.pid for f in self.fakes if f.role is Role.SPAWNED)
        return View(
            snapshot,
            self.session,
            verdicts,
            tree,
            parents,
            frozenset(f.pid for f in self.fakes if f.stray),
            spawned if self.session is not None else frozenset(),
            self.tombs,
            history=self.history,
            leader_alive=self.leader_alive,
            warnings=self.warnings,
            lookup=info,
        )

    def change(self, pid: int, **figures: object) -> None:
        """Give one process other figures."""
        self.fakes = [replace(f, **figures) if f.pid == pid else f for f in self.fakes]

    def end(self, pid: int, exit: int | None = 0, *, oom: bool = False) -> None:
        """Let a process end."""
        fake = next(f for f in self.fakes if f.pid == pid)
        self.fakes = [f for f in self.fakes if f.pid != pid]
        tomb = Tomb(
            fake.identity,
            fake.name,
            fake.parent or fake.ppid,
            fake.role,
            T0 + self.now,
            fake.age,
            4.0,
            fake.rss,
            exit,
            oom,
        )
        self.tombs = (*self.tombs, tomb)


def session(label: str = "pytest -n 4 tests", **fields: object) -> Session:
    """A live session whose leader is pid 1000 of :data:`DEMO`, its keeper 901, its runner 902."""
    identities = {fake.pid: fake.identity for fake in DEMO}
    values: dict[str, object] = {
        "id": "ab" * 16,
        "label": label,
        "uid": 1000,
        "boot_id": BOOT,
        "pidns": 4026531836,
        "created": Moment(5139.0, T0 + 139),
        "leader": identities[1000],
        "keeper": identities[901],
        "runner": identities[902],
        "pgid": 1000,
        "sid": 1000,
    }
    return Session(**{**values, **fields})  # type: ignore[arg-type]


def demo_watch(**fields: object) -> FakeWatch:
    """A watch on :data:`DEMO` with its session."""
    return FakeWatch(session=session(), **fields)  # type: ignore[arg-type]


def crowd(count: int) -> tuple[Fake, ...]:
    """:data:`DEMO` among ``count`` sleepers of the baseline."""
    sleepers = tuple(
        Fake(
            10_000 + at,
            1 if at % 20 == 0 else 10_000 + at - at % 20,
            f"sleeper{at % 7}",
            Role.BASELINE,
            age=9e4,
        )
        for at in range(count)
    )
    return DEMO + sleepers
