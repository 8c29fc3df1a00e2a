"""The machine as a whole, on demand: what ``get_system_resources`` returns.

Linux figures are read here (see :mod:`proctui.machine.meters` for the
sources); elsewhere psutil gives them.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proctui import text
from proctui.machine.facts import read_bytes
from proctui.machine.meters import SECTOR, SystemMeter, memory_figures, physical_disks
from proctui.model import Memory, System

__all__ = [
    "METRICS",
    "REMOTE_FILESYSTEM",
    "SHORTEST_LOOK",
    "read",
    "system_memory",
]

METRICS = ("cpu", "memory", "disk", "network")
SHORTEST_LOOK = 0.25
"""Seconds between the two looks that a share needs: 25 clock ticks a core."""
REMOTE_FILESYSTEM = re.compile(r"(?:nfs\d?|cifs|smb3?|9p|virtiofs|ceph|glusterfs|afs|fuse\.\S+)$")
"""File systems whose server, or program, may never answer."""
_STACKED = frozenset({"overlay", "zfs", "bcachefs", "virtiofs", "9p"})
_PATIENCE = 1.0
"""Seconds a file system may take to answer statvfs(3): a dead NFS server never does."""


def read(metrics: Sequence[str] = METRICS, *, seconds: float = SHORTEST_LOOK) -> dict[str, Any]:
    """The sections named in ``metrics``: cpu, memory, disk (and disk_io), network.

    Sizes in bytes, rates in bytes a second, shares in percent; takes
    ``seconds`` where shares or rates are asked for.  A figure that could not
    be read is ``None`` and named in ``denied``.
    """
    if not Path("/proc/stat").exists():
        from proctui.machine import system_portable

        return system_portable.read(metrics, seconds=seconds)
    wanted = tuple(dict.fromkeys(metrics))
    denied: list[str] = []
    result: dict[str, Any] = {}
    system, elapsed, counters = _look(seconds if set(wanted) - {"memory"} else 0.0)
    for metric in wanted:
        if metric == "cpu":
            result["cpu"] = _cpu(system, denied)
        elif metric == "memory":
            pressure = _pressure("memory", denied)
            result["memory"] = memory_figures(system.memory, denied) | {"pressure": pressure}
        elif metric == "disk":
            result["disk"] = _disks(denied)
            result["disk_io"] = _disk_io(elapsed, counters, denied)
        elif metric == "network":
            result["network"] = _network(elapsed, counters, denied)
    result["denied"] = denied
    return result


def _look(seconds: float) -> tuple[System, float, dict[str, Any]]:
    """Look twice, ``seconds`` apart; the first look's I/O counters come along for rates."""
    meter = SystemMeter()
    try:
        meter.counters()
        began = time.monotonic()
        system = meter.read(began)
        counters = {"disk": disk_counters(), "net": net_counters()}
        if seconds <= 0:
            return system, 0.0, counters
        time.sleep(seconds)
        meter.counters()
        return meter.read(time.monotonic()), time.monotonic() - began, counters
    finally:
        meter.close()


def system_memory() -> Memory:
    """Memory and swap of the machine now."""
    if not Path("/proc/meminfo").exists():
        from proctui.machine import system_portable

        return system_portable.memory()
    meter = SystemMeter()
    try:
        meter.counters()
        return meter.read(0.0).memory
    finally:
        meter.close()


def _cpu(system: System, denied: list[str]) -> dict[str, Any]:
    cpu = system.cpu
    figures = {
        "usage": _round(cpu.usage),
        "per_core": [round(share, 1) for share in cpu.per_core],
        "cores": system.cores,
        "load": None if system.load is None else list(system.load),
        "user": _round(cpu.user),
        "system": _round(cpu.system),
        "iowait": _round(cpu.iowait),
    }
    denied.extend(f"cpu.{name}" for name, value in figures.items() if value is None)
    return figures | {"pressure": _pressure("cpu", denied)}


def _pressure(resource: str, denied: list[str]) -> dict[str, dict[str, float]] | None:
    """``some`` and ``full``: percents over 10, 60 and 300 s, ``total`` in seconds (psi.rst).

    ``None`` where the kernel has no PSI; that is no denial.
    """
    path = f"/proc/pressure/{resource}"
    raw = read_bytes(path, 1024)
    if raw is None:
        if Path(path).exists() and not os.access(path, os.R_OK):
            denied.append(f"{resource}.pressure")
        return None
    result: dict[str, dict[str, float]] = {}
    for line in raw.decode("ascii", "replace").splitlines():
        kind, *pairs = line.split()
        figures = {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}
        figures["total"] = figures.get("total", 0.0) / 1e6
        result[kind] = figures
    return result


def disk_counters() -> dict[str, tuple[int, int, int, int]] | None:
    """Reads, bytes read, writes, bytes written of every whole disk since boot."""
    raw = read_bytes("/proc/diskstats")
    if raw is None:
        return None
    rows = [line.split() for line in raw.decode("ascii", "replace").splitlines()]
    rows = [row for row in rows if len(row) >= 10]
    disks = physical_disks([row[2] for row in rows])
    return {
        text.sanitize(row[2]): (
            int(row[3]),
            int(row[5]) * SECTOR,
            int(row[7]),
            int(row[9]) * SECTOR,
        )
        for row in rows
        if row[2] in disks
    }


def _disk_io(elapsed: float, counters: dict[str, Any], denied: list[str]) -> dict[str, Any] | None:
    before, now = counters["disk"], disk_counters()
    if now is None:
        denied.append("disk_io")
        return None
    devices: list[dict[str, Any]] = []
    for name, (reads, read_bytes_, writes, written) in sorted(now.items()):
        old = (before or {}).get(name)
        devices.append(
            {
                "device": name,
                "reads": reads,
                "writes": writes,
                "read_bytes": read_bytes_,
                "write_bytes": written,
                "read_rate": None if old is None else _rate(read_bytes_ - old[1], elapsed),
                "write_rate": None if old is None else _rate(written - old[3], elapsed),
            }
        )
    totals = {
        name: sum(device[name] for device in devices)
        for name in ("reads", "writes", "read_bytes", "write_bytes")
    }
    rates = {
        name: sum(device[name] or 0.0 for device in devices)
        if all(device[name] is not None for device in devices)
        else None
        for name in ("read_rate", "write_rate")
    }
    return totals | rates | {"devices": devices}


def net_counters() -> dict[str, tuple[int, ...]] | None:
    """The sixteen counters of every interface (proc_pid_net(5))."""
    raw = read_bytes("/proc/net/dev")
    if raw is None:
        return None
    result: dict[str, tuple[int, ...]] = {}
    for line in raw.splitlines()[2:]:
        name, _, figures = line.rpartition(b":")
        fields = figures.split()
        if len(fields) >= 16:
            result[text.decode(name.strip())] = tuple(map(int, fields[:16]))
    return result


def _network(
    elapsed: float, counters: dict[str, Any], denied: list[str]
) -> list[dict[str, Any]] | None:
    before, now = counters["net"], net_counters()
    if now is None:
        denied.append("network")
        return None
    result = []
    for nic, row in now.items():
        old = (before or {}).get(nic)
        result.append(
            {
                "nic": nic,
                "bytes_sent": row[8],
                "bytes_recv": row[0],
                "packets_sent": row[9],
                "packets_recv": row[1],
                "errors": row[2] + row[10],
                "dropped": row[3] + row[11],
                "sent_rate": None if old is None else _rate(row[8] - old[8], elapsed),
                "recv_rate": None if old is None else _rate(row[0] - old[0], elapsed),
            }
        )
    return result


def _disks(denied: list[str]) -> list[dict[str, Any]] | None:
    """Mounted file systems that hold data, each once (proc_pid_mountinfo(5), statvfs(3))."""
    raw = read_bytes("/proc/self/mountinfo", 1 << 22)
    if raw is None:
        denied.append("disk")
        return None
    nodev = _virtual_types()
    rows: dict[str, dict[str, Any]] = {}
    for line in raw.decode("utf-8", "surrogateescape").splitlines():
        front, _, back = line.partition(" - ")
        fields, source = front.split(), back.split()
        if len(fields) < 5 or len(source) < 2:
            continue
        number, mount, kind = fields[2], _unescape(fields[4]), source[0]
        remote = bool(REMOTE_FILESYSTEM.match(kind))
        if (kind in nodev and kind not in _STACKED and not remote) or number in rows:
            continue
        row = _space(mount, _unescape(source[1]), kind, remote, denied)
        if row is not None:
            rows[number] = row
    return list(rows.values())


def _space(
    mount: str, device: str, kind: str, remote: bool, denied: list[str]
) -> dict[str, Any] | None:
    shown = text.sanitize(mount)
    row: dict[str, Any] = {
        "mount": shown,
        "device": text.sanitize(device),
        "type": text.sanitize(kind),
    }
    row |= {"total": None, "used": None, "free": None, "percent": None}
    space = _patiently(lambda: os.statvfs(mount)) if remote else _try(lambda: os.statvfs(mount))
    if space is None:
        denied.append(f"disk.{shown}")
        return row
    if space.f_blocks == 0:
        return None
    total = space.f_blocks * space.f_frsize
    used = total - space.f_bfree * space.f_frsize
    free = space.f_bavail * space.f_frsize
    row |= {"total": total, "used": used, "free": free}
    if used + free:  # what df shows: the reserve of root counts for nobody
        row["percent"] = round(used * 100 / (used + free), 1)
    return row


def _virtual_types() -> set[str]:
    raw = read_bytes("/proc/filesystems") or b""
    return {
        line.partition("\t")[2]
        for line in raw.decode("ascii", "replace").splitlines()
        if line.startswith("nodev")
    }


def _unescape(field: str) -> str:
    r"""Undo ``\040`` and its like (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _try(ask: Callable[[], os.statvfs_result]) -> os.statvfs_result | None:
    try:
        return ask()
    except OSError:
        return None


def _patiently(ask: Callable[[], os.statvfs_result]) -> os.statvfs_result | None:
    """Ask a remote file system in a thread that may be left behind."""
    answer: list[os.statvfs_result | None] = []
    thread = threading.Thread(target=lambda: answer.append(_try(ask)), daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return answer[0] if answer else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _rate(amount: int, elapsed: float) -> float | None:
    return round(amount / elapsed, 1) if elapsed > 0 and amount >= 0 else None
