"""``get_memory_profile``: who holds how much."""

from __future__ import annotations

from typing import Any, cast

from proctui.awareness.view import View
from proctui.errors import AccessDenied, Changed, NoSuchProcess, check_pid
from proctui.model import Proc
from proctui.tools.common import check_flag, find, partial, resident
from proctui.tools.context import looking
from proctui.tools.results import MemoryProfile, ProcessMemory

__all__ = ["get_memory_profile"]

_FIGURES = ("rss", "vms", "shared", "swap", "pss", "uss")


def get_memory_profile(pid: int | None = None, include_children: bool = False) -> MemoryProfile:
    """Memory in bytes of one process, of it and its descendants, or of all.

    ``total`` is RSS summed over what was asked, so shared pages count more
    than once; ``pss`` doesn't have that flaw, but reading it locks the
    target's memory map for a moment, so it is read only where a pid was given.
    """
    if pid is not None:
        check_pid(pid)
    check_flag(include_children, "include_children")
    with looking(once=True, only=pid, tree=include_children) as look:
        view = look()
    if pid is None:
        wanted = list(view.snapshot.procs)
    else:
        find(view, pid)
        wanted = [pid, *(view.descendants(pid) if include_children else ())]
    denied: dict[str, None] = {}
    rows: list[ProcessMemory] = []
    refused = False
    for one in wanted:
        proc = view.proc(one)
        if proc is None:
            continue
        try:
            row, missing = _row(view, proc, exact=pid is not None)
        except (NoSuchProcess, Changed):
            if one == pid:
                raise
            continue
        except AccessDenied:
            row, missing = _unreadable(view, proc), ["vms", "shared", "swap"]
        rows.append(row)
        denied.update(dict.fromkeys(missing))
        refused = refused or bool(missing and one == pid)
    result: dict[str, Any] = {
        "total": sum(row["rss"] or 0 for row in rows) if rows else None,
        "processes": rows,
        "system": _system(denied),
        "denied": list(denied),
    }
    if refused:
        partial(result, f"not all of process {pid}'s memory may be read")
    return cast(MemoryProfile, result)


def _system(denied: dict[str, None]) -> dict[str, Any]:
    from proctui.machine import meters, system

    missing: list[str] = []
    figures = meters.memory_figures(system.system_memory(), missing)
    denied.update(dict.fromkeys(f"system.{name.rpartition('.')[2]}" for name in missing))
    return figures


def _row(view: View, proc: Proc, *, exact: bool) -> tuple[ProcessMemory, list[str]]:
    from proctui.machine.memory import light_figures, memory_of
    from proctui.machine.procdir import open_process
    from proctui.machine.status import parse_status

    with open_process(proc.identity) as held:
        if not exact:
            figures: dict[str, Any] = dict(light_figures(held))
            missing = [name for name, value in figures.items() if value is None]
        else:
            status = held.read("status")
            figures = memory_of(held, parse_status(status) if status else None, pss=True)
            missing = [name.rpartition(".")[2] for name in held.denied]
    row = _unreadable(view, proc)
    row.update({name: figures.get(name) for name in _FIGURES})  # type: ignore[typeddict-item]
    return row, [name for name in missing if name in _FIGURES]


def _unreadable(view: View, proc: Proc) -> ProcessMemory:
    return {
        "pid": proc.pid,
        "name": proc.name,
        "role": str(view.role(proc.pid)),
        "rss": resident(proc),
        "vms": None,
        "shared": None,
        "swap": None,
        "pss": None,
        "uss": None,
    }
