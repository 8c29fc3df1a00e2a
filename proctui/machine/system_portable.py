"""The machine's figures where there is no ``/proc``, by psutil."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import psutil

from proctui import text
from proctui.machine.meters import memory_figures
from proctui.model import Memory

__all__ = ["memory", "read"]


def memory() -> Memory:
    """Memory and swap now; ``used`` is total minus available."""
    now = psutil.virtual_memory()
    try:
        swap = psutil.swap_memory()
    except OSError:
        return Memory(now.total, now.available, now.total - now.available, None, None)
    return Memory(now.total, now.available, now.total - now.available, swap.total, swap.used)


def read(metrics: Sequence[str], *, seconds: float) -> dict[str, Any]:
    """The same sections as :func:`proctui.machine.system.read`, pressure always ``None``."""
    denied: list[str] = []
    result: dict[str, Any] = {}
    if "cpu" in metrics:
        psutil.cpu_percent(percpu=True)
        time.sleep(seconds)
        per_core = psutil.cpu_percent(percpu=True)
        result["cpu"] = {
            "usage": round(sum(per_core) / len(per_core), 1) if per_core else None,
            "per_core": per_core,
            "cores": len(per_core),
            "load": list(os.getloadavg()),
            "pressure": None,
        }
    if "memory" in metrics:
        result["memory"] = memory_figures(memory(), denied) | {"pressure": None}
    if "disk" in metrics:
        result["disk"] = [_disk(part, denied) for part in psutil.disk_partitions(all=False)]
        io = psutil.disk_io_counters()
        result["disk_io"] = (
            None
            if io is None
            else {
                "reads": io.read_count,
                "writes": io.write_count,
                "read_bytes": io.read_bytes,
                "write_bytes": io.write_bytes,
            }
        )
        if io is None:
            denied.append("disk_io")
    if "network" in metrics:
        result["network"] = [
            {
                "nic": text.sanitize(nic),
                "bytes_sent": row.bytes_sent,
                "bytes_recv": row.bytes_recv,
                "packets_sent": row.packets_sent,
                "packets_recv": row.packets_recv,
                "errors": row.errin + row.errout,
                "dropped": row.dropin + row.dropout,
            }
            for nic, row in psutil.net_io_counters(pernic=True).items()
        ]
    result["denied"] = denied
    return result


def _disk(part: Any, denied: list[str]) -> dict[str, Any]:
    mount = text.sanitize(part.mountpoint)
    row: dict[str, Any] = {
        "mount": mount,
        "device": text.sanitize(part.device),
        "type": part.fstype,
        "total": None,
        "used": None,
        "free": None,
        "percent": None,
    }
    try:
        usage = psutil.disk_usage(part.mountpoint)
    except OSError:
        denied.append(f"disk.{mount}")
        return row
    return row | {
        "total": usage.total,
        "used": usage.used,
        "free": usage.free,
        "percent": usage.percent,
    }
