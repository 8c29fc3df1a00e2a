"""The machine's own figures at each tick, over held descriptors of a few ``/proc`` files.

Sources: proc_stat(5), proc_loadavg(5), proc_meminfo(5), ``Documentation/accounting/psi.rst``,
``Documentation/admin-guide/iostats.rst`` and proc_pid_net(5).
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from proctui.model import CpuTimes, DiskIo, Memory, NetIo, Pressure, System

__all__ = ["Counters", "SystemMeter", "memory_figures", "parse_pressure", "physical_disks"]

_VIRTUAL_DISK = re.compile(r"(?:loop|ram|zram|dm-|md|sr|fd|nbd)\d+(?:p\d+)?$")
_MEMINFO = re.compile(
    rb"^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SwapTotal|SwapFree): +(\d+) kB", re.M
)
SECTOR = 512
"""Bytes of a sector in ``/proc/diskstats``, whatever the disk's own sectors are."""


class Counters(NamedTuple):
    """What tells of births and deaths: forks since boot (threads included), the last pid
    given in our pid namespace, and how many threads exist now."""

    forks: int | None
    last_pid: int | None
    tasks: int | None


class _File:
    """One file, opened once and read from its start each time; ``None`` while unreadable."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: int | None = None
        self._size = 4096
        self._gone = False

    def read(self) -> bytes | None:
        if self._gone:
            return None
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self._fd, self._size, 0)
            while len(data) == self._size:
                self._size *= 4
                data = os.pread(self._fd, self._size, 0)
            return data
        except (FileNotFoundError, PermissionError):
            self._gone = True
        except OSError:
            pass  # PSI that is switched off answers EOPNOTSUPP: a figure we don't have
        return None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def parse_pressure(raw: bytes | None) -> float | None:
    """The ten-second average of the ``some`` line, in percent."""
    if raw is None:
        return None
    match = re.search(rb"some avg10=([0-9.]+)", raw)
    return float(match[1]) if match else None


def physical_disks(names: list[str]) -> set[str]:
    """Which of ``/proc/diskstats``' names are whole disks, each byte counted once.

    Partitions (``sda1``, ``nvme0n1p2``) and stacked devices (loop, dm, md)
    repeat what their disk counts.
    """
    known = set(names)

    def whole(name: str) -> bool:
        if _VIRTUAL_DISK.match(name):
            return False
        stem = name.rstrip("0123456789")
        return stem == name or (
            stem not in known and not (stem.endswith("p") and stem[:-1] in known)
        )

    return {name for name in names if whole(name)}


class SystemMeter:
    """Reads the whole machine once a tick and turns counters into rates."""

    def __init__(self, root: str = "/proc") -> None:
        def file(name: str) -> _File:
            return _File(f"{root}/{name}")

        self._stat, self._load, self._memory = file("stat"), file("loadavg"), file("meminfo")
        self._psi = file("pressure/cpu"), file("pressure/memory"), file("pressure/io")
        self._disk, self._net = file("diskstats"), file("net/dev")
        self._cpu_before: list[tuple[int, ...]] = []
        self._cpu_last = CpuTimes(None, ())
        self.cores = 0
        self._disk_rate, self._net_rate = _Rate(), _Rate()
        self._load_raw: bytes | None = None
        self._stat_raw: bytes | None = None
        self._disk_names: list[str] = []
        self._disks: set[str] = set()

    def counters(self) -> Counters:
        """Read ``stat`` and ``loadavg``; :meth:`read` afterwards uses the same bytes."""
        self._stat_raw, self._load_raw = self._stat.read(), self._load.read()
        forks = last_pid = tasks = None
        if self._stat_raw is not None:
            match = re.search(rb"^processes (\d+)", self._stat_raw, re.M)
            forks = int(match[1]) if match else None
        if self._load_raw is not None:
            fields = self._load_raw.split()
            if len(fields) >= 5 and b"/" in fields[3]:
                last_pid, tasks = int(fields[4]), int(fields[3].partition(b"/")[2])
        return Counters(forks, last_pid, tasks)

    def read(self, now: float) -> System:
        """The figures at ``now`` (seconds of any steady clock); :meth:`counters` comes first."""
        cpu = self._cpu()
        load = None
        if self._load_raw is not None:
            one, five, fifteen = self._load_raw.split()[:3]
            load = (float(one), float(five), float(fifteen))
        pressures = [parse_pressure(file.read()) for file in self._psi]
        pressure = Pressure(*pressures) if any(value is not None for value in pressures) else None
        return System(
            cpu=cpu,
            memory=self._mem(),
            load=load,
            pressure=pressure,
            disk=DiskIo(*self._disk_rate.update(now, self._disk_bytes())),
            net=NetIo(*self._net_rate.update(now, self._net_bytes())),
            cores=self.cores if self.cores > 0 else os.cpu_count() or 1,
        )

    def _cpu(self) -> CpuTimes:
        if self._stat_raw is None:
            return CpuTimes(None, ())
        rows: list[tuple[int, ...]] = []
        for line in self._stat_raw.split(b"\n"):
            if not line.startswith(b"cpu"):
                break
            # guest time (fields 9 and 10) is already part of user and nice
            rows.append(tuple(map(int, line.split()[1:9])))
        before = self._cpu_before
        if before and rows == before:  # two looks within one clock tick: nothing was measured
            return self._cpu_last
        self._cpu_before = rows
        self.cores = len(rows) - 1
        if not rows or len(before) != len(rows):
            return CpuTimes(None, ())
        shares = [_shares(old, new) for old, new in zip(before, rows, strict=True)]
        usage, user, system, iowait = shares[0]
        self._cpu_last = CpuTimes(
            usage, tuple(share[0] for share in shares[1:]), user, system, iowait
        )
        return self._cpu_last

    def _mem(self) -> Memory:
        raw = self._memory.read()
        if raw is None:
            return Memory(None, None, None, None, None)
        kib = {name.decode(): int(value) * 1024 for name, value in _MEMINFO.findall(raw)}
        total, available = kib.get("MemTotal"), kib.get("MemAvailable")
        if available is None and "MemFree" in kib:  # before Linux 3.14
            available = kib["MemFree"] + kib.get("Buffers", 0) + kib.get("Cached", 0)
        used = None if total is None or available is None else total - available
        swap, free = kib.get("SwapTotal"), kib.get("SwapFree")
        swap_used = None if swap is None or free is None else swap - free
        return Memory(total, available, used, swap, swap_used)

    def _disk_bytes(self) -> tuple[int, int] | None:
        raw = self._disk.read()
        if raw is None:
            return None
        rows = [line.split() for line in raw.decode("ascii", "replace").splitlines()]
        rows = [row for row in rows if len(row) >= 10]
        names = [row[2] for row in rows]
        if names != self._disk_names:
            self._disk_names, self._disks = names, physical_disks(names)
        read = written = 0
        for row in rows:
            if row[2] in self._disks:
                read += int(row[5])
                written += int(row[9])
        return read * SECTOR, written * SECTOR

    def _net_bytes(self) -> tuple[int, int] | None:
        raw = self._net.read()
        if raw is None:
            return None
        sent = received = 0
        for line in raw.splitlines()[2:]:
            name, _, figures = line.rpartition(b":")
            fields = figures.split()
            if name.strip() != b"lo" and len(fields) >= 9:
                received += int(fields[0])
                sent += int(fields[8])
        return sent, received

    def close(self) -> None:
        for file in (self._stat, self._load, self._memory, *self._psi, self._disk, self._net):
            file.close()


class _Rate:
    """Two counters a second; ``None`` at first sight, where unreadable, and after a reset."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._before: tuple[int, int] | None = None

    def update(
        self, now: float, values: tuple[int, int] | None
    ) -> tuple[float | None, float | None]:
        at, before = self._at, self._before
        self._at, self._before = now, values
        if at is None or before is None or values is None or now <= at:
            return None, None
        first, second = values[0] - before[0], values[1] - before[1]
        if first < 0 or second < 0:
            return None, None
        return first / (now - at), second / (now - at)


def _shares(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Percent busy, user, system, iowait of one ``cpu`` line between two reads."""
    # Idle and iowait can step back on tickless kernels (proc_stat(5)): never below 0.
    spent = [max(0, two - one) for one, two in zip(old, new)]
    spent += [0] * (8 - len(spent))
    total = sum(spent)
    if total == 0:
        return 0.0, 0.0, 0.0, 0.0
    user, nice, system, idle, iowait, irq, softirq, _steal = spent
    scale = 100.0 / total
    return (
        (total - idle - iowait) * scale,
        (user + nice) * scale,
        (system + irq + softirq) * scale,
        iowait * scale,
    )


def memory_figures(memory: Memory, denied: list[str]) -> dict[str, Any]:
    """``total available used percent swap_total swap_used`` in bytes and percent."""
    percent = None
    if memory.used is not None and memory.total:
        percent = round(memory.used * 100 / memory.total, 1)
    figures: dict[str, Any] = {
        "total": memory.total,
        "available": memory.available,
        "used": memory.used,
        "percent": percent,
        "swap_total": memory.swap_total,
        "swap_used": memory.swap_used,
    }
    denied.extend(f"memory.{name}" for name, value in figures.items() if value is None)
    return figures
