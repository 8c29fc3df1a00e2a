"""Memory of one process.

``statm`` and ``status`` are free to read; ``smaps_rollup`` walks the page
tables with the target's memory map locked (0.24 ms at 13 MB, 12 ms at 1 GB,
seconds at 200 GB), so PSS and USS are read on demand only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from proctui.machine.procdir import ProcDir
from proctui.machine.stat import PAGE_SIZE

__all__ = ["LARGEST_UNASKED", "light_figures", "memory_of", "proportional", "smaps_rollup"]

LARGEST_UNASKED = 2 << 30
"""Bytes of RSS up to which PSS is read without anybody having asked for it by name."""
_STATUS = {
    "peak_rss": "VmHWM",
    "peak_vms": "VmPeak",
    "swap": "VmSwap",
    "anonymous": "RssAnon",
    "file": "RssFile",
    "shmem": "RssShmem",
    "data": "VmData",
    "stack": "VmStk",
    "text": "VmExe",
    "libraries": "VmLib",
    "page_tables": "VmPTE",
    "locked": "VmLck",
}
_SWAP = re.compile(rb"^VmSwap:\s+(\d+) kB", re.M)
_ROLLUP = re.compile(rb"^(\w+): +(\d+) kB", re.M)


def memory_of(
    proc: ProcDir, status: Mapping[str, str] | None, *, pss: bool | None
) -> dict[str, Any]:
    """Every figure in bytes; a kernel thread or zombie has no memory, which is a true 0.

    ``pss``: ``True`` reads PSS and USS, ``False`` leaves them out as
    ``None``, ``None`` reads them up to :data:`LARGEST_UNASKED`.
    """
    figures: dict[str, Any] = {"rss": None, "vms": None, "shared": None}
    statm = proc.read("statm")
    if statm:
        pages = [int(field) for field in statm.split()[:3]]
        figures["vms"], figures["rss"], figures["shared"] = (page * PAGE_SIZE for page in pages)
    empty = figures["vms"] == 0
    for ours, name in _STATUS.items():
        value = None if status is None else status.get(name)
        figures[ours] = int(value.split()[0]) * 1024 if value else (0 if empty else None)
    figures["pss"] = figures["uss"] = None
    if empty:
        figures["pss"] = figures["uss"] = 0
    elif pss is False:
        pass
    elif pss is None and (figures["rss"] or 0) > LARGEST_UNASKED:
        proc.warnings.append("PSS and USS not read: that would lock a process of this size")
    else:
        figures["pss"], figures["uss"] = proportional(proc)
    unread = [name for name, value in figures.items() if value is None]
    for name in unread:
        if not (pss is False and name in ("pss", "uss")):
            proc.deny(f"memory.{name}")
    return figures


def light_figures(proc: ProcDir) -> dict[str, int | None]:
    """``rss vms shared swap`` in bytes, for a look at many processes."""
    figures: dict[str, int | None] = dict.fromkeys(("rss", "vms", "shared", "swap"))
    statm = proc.read("statm", limit=256)
    if statm:
        vms, rss, shared = (int(field) * PAGE_SIZE for field in statm.split()[:3])
        figures = {"rss": rss, "vms": vms, "shared": shared, "swap": None if vms else 0}
        match = _SWAP.search(proc.read("status", limit=4096) or b"") if vms else None
        if match:
            figures["swap"] = int(match[1]) * 1024
    return figures


def proportional(proc: ProcDir) -> tuple[int | None, int | None]:
    """PSS and USS in bytes (proc_pid_smaps(5))."""
    rollup = smaps_rollup(proc)
    if not rollup:
        return None, None
    return rollup.get("Pss"), rollup.get("Private_Clean", 0) + rollup.get("Private_Dirty", 0)


def smaps_rollup(proc: ProcDir) -> dict[str, int] | None:
    """The sums over all mappings, in bytes; since Linux 4.14, before that ``smaps`` is summed."""
    raw = proc.read("smaps_rollup")
    if raw is None:
        raw = proc.read("smaps", limit=64 << 20)
    if raw is None:
        return None
    sums: dict[str, int] = {}
    for name, kib in _ROLLUP.findall(raw):
        key = name.decode("ascii")
        sums[key] = sums.get(key, 0) + int(kib) * 1024
    return sums
