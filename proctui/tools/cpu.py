"""``get_cpu_profile``: who uses the processors, over a time that is really waited for."""

from __future__ import annotations

import threading
from typing import Any, cast

from proctui.awareness.view import View
from proctui.errors import AccessDenied, BadArgument, NoSuchProcess, check_pid
from proctui.machine.threads import ThreadUse
from proctui.model import Proc
from proctui.tools.common import find, partial
from proctui.tools.context import looking, pause
from proctui.tools.results import CpuProfile, ProcessCpu

__all__ = ["cpu_of", "get_cpu_profile"]

LONGEST = 86400
SAMPLED = 10
"""Seconds that hot functions are sampled at most: sampling is work too."""
SAMPLED_PROCESSES = 64


def get_cpu_profile(pid: int | None = None, duration: float = 1) -> CpuProfile:
    """CPU use over ``duration`` seconds.

    With a pid ``usage`` is its percentage of *one core* (more than 100 with
    several threads) and ``processes`` holds it and its descendants; without
    one it is the percentage of the machine.  ``threads`` lists the pid's
    threads, busiest first, with the share of a core of each.  For a Python pid ``hot`` names
    the functions most samples were in; the target is never paused.  Raises
    :class:`NoSuchProcess` where the process ends meanwhile.
    """
    return cpu_of(pid, duration)


def cpu_of(
    pid: int | None = None, duration: float = 1, *, tree: bool = False, save: str | None = None
) -> CpuProfile:
    """As the command line asks: ``hot`` of the descendants too with ``tree``, all samples in a file.

    ``save`` is written as https://www.speedscope.app reads it, and stands in
    the result as ``saved``.
    """
    if pid is not None:
        check_pid(pid)
    elif tree or save is not None:
        raise BadArgument("hot functions are those of a process", "give its pid")
    if type(duration) not in (int, float) or not 0 < duration <= LONGEST:
        raise BadArgument(f"duration must be above 0 and at most {LONGEST} seconds")
    with looking() as look:
        first = look()
        if pid is not None:
            find(first, pid)
        threads = None if pid is None else ThreadUse(first.snapshot.procs[pid].identity)
        hot = None
        if pid is not None:
            below = first.descendants(pid)[: SAMPLED_PROCESSES - 1] if tree else []
            hot = _Hot([pid, *below], min(duration, SAMPLED), save)
        machine = _Machine()
        pause(duration)
        second = look()
        system = machine.finish()
        python = pid is not None and _looks_like_python(second, pid)
    elapsed = max(second.snapshot.boottime - first.snapshot.boottime, 1e-6)
    denied: dict[str, None] = {}
    if pid is None:
        wanted = list(second.snapshot.procs)
    else:
        _must_live(first, second, pid)
        wanted = [pid, *second.descendants(pid)]
    rows = [_row(first, second, second.snapshot.procs[one], elapsed, denied) for one in wanted]
    result: dict[str, Any] = {
        "usage": None,
        "basis": "machine" if pid is None else "core",
        "duration": round(elapsed, 3),
        "user": None,
        "system": None,
        "cores": system.cores,
        "per_core": [round(share, 1) for share in system.cpu.per_core],
        "processes": rows,
    }
    if pid is not None:
        result.update({name: rows[0][name] for name in ("usage", "user", "system")})
    else:
        whole = elapsed * system.cores / 100
        cpu = system.cpu
        result["usage"] = None if cpu.usage is None else round(cpu.usage, 1)
        result["user"] = None if cpu.user is None else round(cpu.user * whole, 2)
        result["system"] = None if cpu.system is None else round(cpu.system * whole, 2)
    if threads is not None:
        result["threads"] = threads.rows()
    wanted_figures = ("usage", "user", "system", *(("threads",) if threads is not None else ()))
    denied.update(dict.fromkeys(n for n in wanted_figures if result[n] is None))
    if hot is not None:
        hot.into(result, denied, python=python)
    result["denied"] = list(denied)
    return cast(CpuProfile, result)


def _looks_like_python(view: View, pid: int) -> bool:
    info = view.info(pid)
    words = [view.snapshot.procs[pid].name] if pid in view.snapshot.procs else []
    words += [] if info is None or not info.cmdline else [info.cmdline[0].rpartition("/")[2]]
    return any(word.startswith(("python", "pypy")) for word in words)


class _Machine:
    """The machine's counters between two moments of our own, whoever else looks meanwhile."""

    def __init__(self) -> None:
        import time

        from proctui.machine.meters import SystemMeter

        self._clock = time.monotonic
        self._meter = SystemMeter()
        self._meter.counters()
        self._meter.read(self._clock())

    def finish(self) -> Any:
        try:
            self._meter.counters()
            return self._meter.read(self._clock())
        finally:
            self._meter.close()


class _Hot:
    """Samples Python targets beside our own waiting."""

    def __init__(self, pids: list[int], seconds: float, save: str | None) -> None:
        self._found: list[Any] = []
        self._pids, self._seconds, self._save = pids, seconds, save
        if save is not None:
            # Whether it can be is better known before the wait than after it.
            from proctui.stacks.profile import need_writable

            need_writable(save)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        try:
            from proctui.stacks import hot_functions

            self._found.append(hot_functions(self._pids, self._seconds, save=self._save))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._found.append(error)

    def into(self, result: dict[str, Any], denied: dict[str, None], *, python: bool) -> None:
        """``hot`` for a Python target; a failure is a warning, the figures stand without it."""
        self._thread.join(self._seconds + 10)
        found = self._found[0] if self._found else None
        if isinstance(found, Exception):
            if isinstance(found, NoSuchProcess):
                return
            if isinstance(found, AccessDenied):
                # Of another's program nobody can tell what it is but by its name.
                if python:
                    result["hot"] = None
                    denied["hot"] = None
                    which = f"process {self._pids[0]}"
                    partial(result, f"the hot functions of {which} may not be read")
                return
            result["hot"] = None
            denied["hot"] = None
            result["warnings"] = [f"no hot functions: {found}"]
        elif found is not None:
            result["hot"] = found
            if self._save is not None:
                result["saved"] = self._save
        elif self._save is not None:
            result["warnings"] = ["nothing was saved: there is no Python program to sample"]


def _must_live(first: View, second: View, pid: int) -> None:
    before, now = first.snapshot.procs[pid], second.proc(pid)
    ended = now is None or not now.identity.same(before.identity)
    if now is not None and now.state in "ZX" and before.state not in "ZX":
        ended = (now.threads or 1) <= 1
    if ended:
        raise NoSuchProcess(f"process {pid} ended while it was looked at")


def _row(
    first: View, second: View, proc: Proc, elapsed: float, denied: dict[str, None]
) -> ProcessCpu:
    before = first.proc(proc.pid)
    if before is not None and not before.identity.same(proc.identity):
        before = None
    user = _within(proc.user_time, before, "user_time")
    system = _within(proc.system_time, before, "system_time")
    usage = None if user is None or system is None else round((user + system) / elapsed * 100, 1)
    figures = {"usage": usage, "user": user, "system": system, "threads": proc.threads}
    denied.update(dict.fromkeys(name for name, value in figures.items() if value is None))
    return cast(
        ProcessCpu,
        {
            "pid": proc.pid,
            "name": proc.name,
            "role": str(second.role(proc.pid)),
            "identity": str(proc.identity),
            **figures,
        },
    )


def _within(now: float | None, before: Proc | None, name: str) -> float | None:
    """Seconds used within; one born meanwhile used all of its time within."""
    if now is None:
        return None
    start = 0.0 if before is None else getattr(before, name)
    return None if start is None else round(max(0.0, now - start), 2)
