"""Snapshots by psutil: what systems without ``/proc`` get.

Dearer by a factor of ten and without pressure figures; on systems without
pidfds an identity rests on the start time, whose limits
:class:`proctui.model.Identity` tells.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import psutil

from proctui import redact, text
from proctui.errors import ProctuiError
from proctui.machine import identity
from proctui.model import (
    CpuTimes,
    DiskIo,
    Identity,
    Io,
    Memory,
    NetIo,
    Proc,
    ProcInfo,
    Snapshot,
    System,
)

__all__ = ["PsutilSource"]

_STATES = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_IDLE: "I",
    psutil.STATUS_PARKED: "P",
}


class PsutilSource:
    """A :class:`proctui.model.Source` on what psutil knows of this platform."""

    def __init__(self) -> None:
        self._tick = 0
        self._at: float | None = None
        self._known: dict[int, tuple[psutil.Process, Identity]] = {}
        self._rows: dict[int, Proc] = {}
        self._io: dict[int, Io] = {}
        self._disk: tuple[int, int] | None = None
        self._net: tuple[int, int] | None = None

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """Look now; ``fresh`` changes nothing here, every look is a full one."""
        self._tick += 1
        now, wall = time.monotonic(), time.time()
        interval = None if self._at is None else now - self._at
        self._at = now
        old, rows, born = self._rows, {}, []
        pids = psutil.pids()
        for pid in pids:
            row = self._row(pid, interval)
            if row is None:
                continue
            before = old.get(pid)
            if before is not None and before.identity.same(row.identity):
                if before._replace(seen=row.seen) == row:
                    row = before
            else:
                born.append(pid)
            rows[pid] = row
        died = tuple(
            row
            for pid, row in old.items()
            if pid not in rows or not rows[pid].identity.same(row.identity)
        )
        for pid in self._known.keys() - rows.keys():
            del self._known[pid]
        self._rows = rows
        self._io = {pid: self._job_io(pid, interval) for pid in job if pid in rows}
        return Snapshot(
            tick=self._tick,
            wall=wall,
            boottime=now,
            interval=interval,
            procs=rows,
            system=self._system(interval),
            born=tuple(born),
            died=died,
            changed=frozenset(pid for pid, row in rows.items() if old.get(pid) is not row),
            io=self._io,
        )

    def _row(self, pid: int, interval: float | None) -> Proc | None:
        try:
            process, who = self._process(pid)
            with process.oneshot():
                return self._figures(process, who, interval)
        except (psutil.Error, ProctuiError, OSError):
            return None  # gone meanwhile, or the system shows us nothing at all of it

    def _process(self, pid: int) -> tuple[psutil.Process, Identity]:
        known = self._known.get(pid)
        if known is not None and known[0].is_running():
            return known
        who = identity.identify(pid)
        process = psutil.Process(pid)
        if not identity.identify(pid).same(who):
            raise psutil.NoSuchProcess(pid)
        self._known[pid] = process, who
        return process, who

    def _figures(self, process: psutil.Process, who: Identity, interval: float | None) -> Proc:
        pid = process.pid
        before = self._rows.get(pid)
        times = _try(process.cpu_times)
        memory = _try(process.memory_info)
        uids = _try(process.uids)
        cpu = None
        if times is not None and before is not None and interval and before.identity.same(who):
            used = (before.user_time or 0.0) + (before.system_time or 0.0)
            cpu = max(0.0, (times.user + times.system - used) * 100 / interval)
        name = text.sanitize(_try(process.name) or "?")
        return Proc(
            identity=who,
            pid=pid,
            ppid=process.ppid(),
            pgid=_id(os.getpgid, pid),
            sid=_id(os.getsid, pid),
            tty=0 if _try(process.terminal) is None else 1,
            state=_STATES.get(_try(process.status), "?"),
            name=name,
            started=process.create_time(),
            user_time=None if times is None else times.user,
            system_time=None if times is None else times.system,
            rss=None if memory is None else memory.rss,
            threads=_try(process.num_threads),
            cpu=cpu,
            uid=None if uids is None else uids.effective,
            kernel=sys.platform == "linux" and (pid == 2 or process.ppid() == 2),
            seen=self._tick,
        )

    def _job_io(self, pid: int, interval: float | None) -> Io:
        process = self._known[pid][0]
        counters = _try(process.io_counters) if hasattr(process, "io_counters") else None
        if counters is None:
            return Io(None, None, None, None)
        before = self._io.get(pid)
        read, written = counters.read_bytes, counters.write_bytes
        if (
            before is None
            or before.read_bytes is None
            or before.write_bytes is None
            or not interval
        ):
            return Io(read, written, None, None)
        return Io(
            read,
            written,
            max(0, read - before.read_bytes) / interval,
            max(0, written - before.write_bytes) / interval,
        )

    def _system(self, interval: float | None) -> System:
        usage, per_core = psutil.cpu_percent(), tuple(psutil.cpu_percent(percpu=True))
        shares = psutil.cpu_times_percent()
        cpu = CpuTimes(None, ())
        if interval is not None:
            cpu = CpuTimes(
                usage,
                per_core,
                shares.user,
                shares.system,
                getattr(shares, "iowait", None),
            )
        memory, swap = psutil.virtual_memory(), _try(psutil.swap_memory)
        disk, net = _try(psutil.disk_io_counters), psutil.net_io_counters(pernic=True)
        disk_now = None if disk is None else (disk.read_bytes, disk.write_bytes)
        nics = [counters for nic, counters in net.items() if not nic.startswith("lo")]
        net_now = sum(nic.bytes_sent for nic in nics), sum(nic.bytes_recv for nic in nics)
        disk_rate, self._disk = _rate(self._disk, disk_now, interval), disk_now
        net_rate, self._net = _rate(self._net, net_now, interval), net_now
        return System(
            cpu=cpu,
            memory=Memory(
                memory.total,
                memory.available,
                memory.total - memory.available,
                None if swap is None else swap.total,
                None if swap is None else swap.used,
            ),
            load=_try(os.getloadavg),
            pressure=None,
            disk=DiskIo(*disk_rate),
            net=NetIo(*net_rate),
            cores=psutil.cpu_count() or 1,
        )

    def info(self, identity: Identity) -> ProcInfo | None:
        """Command line, executable and user; ``None`` once the process is gone."""
        known = self._known.get(identity.pid)
        if known is None or not known[1].same(identity):
            return None
        process = known[0]
        argv, exe, user = _try(process.cmdline), _try(process.exe), _try(process.username)
        if not process.is_running():
            return None
        return ProcInfo(
            identity=known[1],
            cmdline=None if argv is None else redact.redact_argv(list(map(text.sanitize, argv))),
            exe=text.sanitize(exe) if exe else None,
            user=None if user is None else text.sanitize(user),
        )

    def close(self) -> None:
        self._known.clear()
        self._rows = {}


def _try(ask: Any) -> Any:
    """What psutil answers, ``None`` where this one figure is denied or unknown here."""
    try:
        return ask()
    except (psutil.AccessDenied, psutil.ZombieProcess, NotImplementedError, OSError):
        return None


def _id(ask: Any, pid: int) -> int:
    """A process group or session id, 0 where it can't be read."""
    try:
        return int(ask(pid))
    except OSError:
        return 0


def _rate(
    before: tuple[int, int] | None, now: tuple[int, int] | None, interval: float | None
) -> tuple[float | None, float | None]:
    if before is None or now is None or not interval:
        return None, None
    return (
        max(0, now[0] - before[0]) / interval,
        max(0, now[1] - before[1]) / interval,
    )
