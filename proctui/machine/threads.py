"""The threads of one process: name, state and CPU each (proc_pid_task(5))."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from proctui import text
from proctui.errors import ProctuiError
from proctui.machine import stat
from proctui.machine.procdir import ProcDir, open_process
from proctui.model import Identity

__all__ = ["Thread", "ThreadMeter", "ThreadUse", "read_threads", "switches", "thread_rows"]

_MOST_SUMMED = 512


class Thread(NamedTuple):
    """Times in seconds; ``cpu`` in percent of a core, ``started`` in ticks since boot."""

    tid: int
    name: str
    state: str
    user: float
    system: float
    cpu: float | None
    started: int
    processor: int | None


def read_threads(proc: ProcDir) -> list[Thread] | None:
    """All threads by tid, ``cpu`` left ``None``; ``None`` where they can't be listed."""
    names = proc.names("task", figure="threads")
    if names is None:
        return None
    found: list[Thread] = []
    for name in sorted(filter(str.isdecimal, names), key=int):
        raw = proc.read(f"task/{name}/stat", limit=1024)
        if raw:  # else it ended meanwhile
            found.append(_thread(int(name), raw))
    return found


def _thread(tid: int, raw: bytes) -> Thread:
    line = stat.parse(raw)
    fields = raw[raw.rindex(b")") + 2 :].split()
    return Thread(
        tid,
        text.decode(line.name),
        line.state,
        line.utime / stat.CLOCK_TICKS,
        line.stime / stat.CLOCK_TICKS,
        None,
        line.start,
        int(fields[36]) if len(fields) > 36 else None,
    )


class ThreadMeter:
    """Gives threads their CPU share between two looks; one meter per process."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._used: dict[tuple[int, int], float] = {}

    def update(self, threads: list[Thread]) -> list[Thread]:
        """The same threads with ``cpu`` filled in, ``None`` at first sight."""
        now = time.monotonic()
        elapsed = None if self._at is None else now - self._at
        used = {(one.tid, one.started): one.user + one.system for one in threads}
        if elapsed:
            threads = [
                one._replace(
                    cpu=max(0.0, used[one.tid, one.started] - before) * 100 / elapsed
                    if (before := self._used.get((one.tid, one.started))) is not None
                    else None
                )
                for one in threads
            ]
        self._at, self._used = now, used
        return threads


class ThreadUse:
    """The CPU share of every thread of one process between construction and :meth:`rows`."""

    def __init__(self, process: Identity) -> None:
        self._process = process
        self._meter = ThreadMeter()
        self._look()

    def _look(self) -> list[Thread] | None:
        try:
            with open_process(self._process) as proc:
                found = read_threads(proc)
        except ProctuiError:
            return None
        return None if found is None else self._meter.update(found)

    def rows(self) -> list[dict[str, Any]] | None:
        """``tid name state usage``, busiest first; who began meanwhile has no share yet.

        ``None`` where the threads can't be read or the process is gone.
        """
        found = self._look()
        if found is None:
            return None
        rows = [
            {
                "tid": one.tid,
                "name": one.name,
                "state": one.state,
                "usage": None if one.cpu is None else round(one.cpu, 1),
            }
            for one in found
        ]
        return sorted(rows, key=lambda row: -(row["usage"] or 0.0))


def thread_rows(threads: list[Thread], boottime: float) -> list[dict[str, Any]]:
    """As a result shows them; without a measured share ``cpu`` is that of the thread's life."""
    rows = []
    for one in threads:
        age = max(boottime - one.started / stat.CLOCK_TICKS, 1 / stat.CLOCK_TICKS)
        share = (one.user + one.system) * 100 / age if one.cpu is None else one.cpu
        rows.append(
            {
                "tid": one.tid,
                "name": one.name,
                "state": one.state,
                "cpu": round(share, 1),
                "user": one.user,
                "system": one.system,
                "processor": one.processor,
            }
        )
    return rows


def switches(proc: ProcDir) -> dict[str, int] | None:
    """Context switches of all threads: voluntary and involuntary.

    ``/proc/PID/status`` counts the leader's alone, so the threads' are added
    up; of more than 512 threads only the main one's are told.
    """
    names = proc.names("task")
    tids = [name for name in names or () if name.isdecimal()]
    paths = [f"task/{tid}/status" for tid in tids] if 0 < len(tids) <= _MOST_SUMMED else ["status"]
    voluntary = involuntary = 0
    seen = False
    for path in paths:
        raw = proc.read(path)
        for line in (raw or b"").splitlines()[-4:]:
            name, _, value = line.partition(b":")
            if name == b"voluntary_ctxt_switches":
                voluntary += int(value)
                seen = True
            elif name == b"nonvoluntary_ctxt_switches":
                involuntary += int(value)
    if not seen:
        proc.deny("ctx_switches")
        return None
    return {"voluntary": voluntary, "involuntary": involuntary}
