"""The words every floor shares: what a process is, who it belongs to, what a tick saw.

Plain frozen values without behaviour of their own.  A figure that could not
be read is ``None``, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from proctui.ident import Identity
from proctui.role import Certainty, Role, Verdict

__all__ = [
    "Certainty",
    "CpuTimes",
    "DiskIo",
    "Identity",
    "Io",
    "Memory",
    "NetIo",
    "Pressure",
    "Proc",
    "ProcInfo",
    "Role",
    "Snapshot",
    "Source",
    "System",
    "Verdict",
]


class Proc(NamedTuple):
    """One process at one tick, from one read of ``/proc/PID/stat`` (proc_pid_stat(5)).

    Times are seconds, sizes bytes.  ``cpu`` is the share of *one core* in
    percent since the look before, ``None`` at first sight.  ``seen`` is the
    tick at which these figures were read; later reads found the same, the
    last of them up to eight ticks ago if the process is a long sleeper (its
    share is then over the whole time since).
    """

    identity: Identity
    pid: int
    ppid: int
    pgid: int
    sid: int
    tty: int
    state: str
    name: str
    started: float | None
    user_time: float | None
    system_time: float | None
    rss: int | None
    threads: int | None
    cpu: float | None
    uid: int | None
    kernel: bool
    seen: int


class ProcInfo(NamedTuple):
    """What rarely changes, read once per identity and again after an exec.

    ``cmdline`` is sanitised and redacted.
    ``None`` where it could not be read.
    """

    identity: Identity
    cmdline: tuple[str, ...] | None
    exe: str | None
    user: str | None
    container: str | None = None


class Io(NamedTuple):
    """Bytes since the process began, and per second since the look before (proc_pid_io(5))."""

    read_bytes: int | None
    write_bytes: int | None
    read_rate: float | None
    write_rate: float | None


class CpuTimes(NamedTuple):
    """Shares in percent since the look before: of the machine, and of each core."""

    usage: float | None
    per_core: tuple[float, ...]
    user: float | None = None
    system: float | None = None
    iowait: float | None = None


class Memory(NamedTuple):
    """Bytes, from ``/proc/meminfo``; ``used`` is total minus available."""

    total: int | None
    available: int | None
    used: int | None
    swap_total: int | None
    swap_used: int | None


class Pressure(NamedTuple):
    """PSI: percent of the last ten seconds in which some task waited."""

    cpu: float | None
    memory: float | None
    io: float | None


class DiskIo(NamedTuple):
    """Bytes per second of the whole machine, ``None`` at first sight."""

    read_rate: float | None
    write_rate: float | None


class NetIo(NamedTuple):
    """Bytes per second over all interfaces but loopback, ``None`` at first sight."""

    sent_rate: float | None
    received_rate: float | None


class System(NamedTuple):
    """The machine at one tick."""

    cpu: CpuTimes
    memory: Memory
    load: tuple[float, float, float] | None
    pressure: Pressure | None
    disk: DiskIo
    net: NetIo
    cores: int


class Snapshot(NamedTuple):
    """One tick: every process and the machine.

    ``procs`` is by pid; rows that did not change are the same objects as in
    the snapshot before.  ``changed`` holds the pids whose row is a new object
    (births included), ``died`` the last rows of those that vanished.  ``io``
    covers the pids that were asked for as the job's.
    """

    tick: int
    wall: float
    boottime: float
    interval: float | None
    procs: Mapping[int, Proc]
    system: System
    born: tuple[int, ...] = ()
    died: tuple[Proc, ...] = ()
    changed: frozenset[int] = frozenset()
    io: Mapping[int, Io] = MappingProxyType({})
    warnings: tuple[str, ...] = ()


class Source(Protocol):
    """Where snapshots come from: ``/proc``, psutil, or a recording."""

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """Look now. ``job`` are the pids whose I/O and argv are wanted too.

        ``fresh`` reads every process at once, long sleepers included: for
        whoever is about to decide something on it.  I/O need not be read anew then.
        """
        ...

    def info(self, identity: Identity) -> ProcInfo | None:
        """The slow facts of a process of the latest snapshot; ``None`` once it is gone."""
        ...

    def close(self) -> None: ...
