"""Everything about one process, on demand: the machine's part of ``inspect_process``.

Who it belongs to and what it waits for is said by the floors above.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proctui import redact, text, units
from proctui.machine import connections as sockets
from proctui.machine import facts, files, memory, settings, stat, status, threads
from proctui.machine.procdir import ProcDir, open_process
from proctui.model import Identity

__all__ = ["inspect"]

_IO = {
    "read_bytes": "read_bytes",
    "write_bytes": "write_bytes",
    "read_chars": "rchar",
    "write_chars": "wchar",
    "read_calls": "syscr",
    "write_calls": "syscw",
    "cancelled_write_bytes": "cancelled_write_bytes",
}
_MOST_WORDS = 8 << 20
"""Bytes of arguments or environment: more than execve(2) takes."""


def inspect(
    process: int | Identity,
    *,
    include_threads: bool = False,
    include_files: bool = False,
    seconds: float = 0.0,
    pss: bool | None = None,
) -> dict[str, Any]:
    """What the kernel tells of one process, as plain values (bytes, seconds, percents).

    ``threads`` and ``fds`` are counts; with ``include_threads`` and
    ``include_files`` ``threads`` and ``files`` are lists.  CPU share and I/O
    rates are means over the process's life (``basis: "lifetime"``), or over
    ``seconds`` where that is above 0 (``basis: "measured"``).  ``pss`` as in
    :func:`proctui.machine.memory.memory_of`.  What could not be read is
    ``None`` and its name stands in ``denied``; ``container`` and ``tty`` are
    ``None`` also where there is none.

    Raises :class:`NoSuchProcess`, :class:`Changed`, :class:`AccessDenied`
    (hidden altogether).
    """
    if not Path("/proc/self/stat").exists():
        from proctui.machine import details_portable

        return details_portable.inspect(
            process, include_threads=include_threads, include_files=include_files
        )
    with open_process(process) as proc:
        before = _usage(proc) if seconds > 0 else None
        if before is not None:
            time.sleep(seconds)
        result = _everything(proc, before, include_threads, include_files, pss)
        proc.stat()  # it lived through all of it, else NoSuchProcess
        result["denied"] = proc.denied
        result["warnings"] = proc.warnings
        return result


def _everything(
    proc: ProcDir,
    before: tuple[float, float, dict[str, int] | None] | None,
    include_threads: bool,
    include_files: bool,
    pss: bool | None,
) -> dict[str, Any]:
    raw = proc.stat()
    line = stat.parse(raw)
    fields = raw[raw.rindex(b")") + 2 :].split()
    raw_status = proc.read("status", figure="status")
    about = status.parse_status(raw_status) if raw_status else {}
    kernel = bool(line.flags & stat.PF_KTHREAD)
    boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
    age = max(0.0, boottime - line.start / stat.CLOCK_TICKS)
    usage = _usage(proc)
    argv = proc.read("cmdline", figure="cmdline", limit=_MOST_WORDS)
    cgroup = settings.cgroup_of(proc)
    result: dict[str, Any] = {
        "pid": proc.pid,
        "identity": str(proc.identity),
        "name": text.decode(line.name),
        "exe": proc.link("exe", figure="exe"),
        "cmdline": None if argv is None else list(facts.parse_cmdline(argv)),
        "cwd": proc.link("cwd", figure="cwd"),
        "root": proc.link("root", figure="root"),
        "user": facts.user_name(_owner(about)),
        "uids": _ids(about, "Uid"),
        "gids": _ids(about, "Gid"),
        "status": line.state,
        "kernel": kernel,
        "ppid": line.ppid,
        "pgid": line.pgid,
        "sid": line.sid,
        "tty": settings.terminal_name(line.tty),
        "started": units.iso_time(time.time() - age),
        "age": round(age, 3),
        "nice": int(fields[16]),
        "priority": settings.scheduling(fields),
        "affinity": _affinity(proc),
        "cpu": _cpu(line, fields, usage, before, age),
        "memory": memory.memory_of(proc, about, pss=pss),
        "faults": {"minor": int(fields[7]), "major": int(fields[9])},
        "io": _io(proc, usage, before, age),
        "connections": _connections(proc),
        "fds": files.count_files(proc),
        "threads": line.threads,
        "limits": settings.limits_of(proc),
        "cgroup": cgroup,
        "container": settings.container_of(proc),
        "ctx_switches": threads.switches(proc),
        "environ": _environ(proc),
        "oom": settings.oom_of(proc),
        "capabilities": status.capabilities(about),
        "seccomp": status.seccomp(about),
        "namespaces": settings.namespaces_of(proc),
        "signals": status.signals(about),
        "tracer": int(about["TracerPid"]) if about.get("TracerPid", "0") != "0" else None,
    }
    for name in ("user", "capabilities", "seccomp", "signals"):
        if result[name] is None:
            proc.deny(name)
    if include_threads:
        found = threads.read_threads(proc)
        result["threads"] = None if found is None else threads.thread_rows(found, boottime)
    if include_files:
        opened = files.open_files(proc)
        result["files"] = None if opened is None else files.file_rows(opened)
    return result


def _usage(proc: ProcDir) -> tuple[float, float, dict[str, int] | None]:
    """When, CPU seconds so far, and the I/O counters."""
    line = stat.parse(proc.stat())
    raw = proc.read("io")
    counters = None
    if raw:
        pairs = (row.partition(b":") for row in raw.splitlines())
        counters = {name.decode("ascii"): int(value) for name, _, value in pairs}
    return time.monotonic(), (line.utime + line.stime) / stat.CLOCK_TICKS, counters


def _cpu(
    line: stat.StatLine,
    fields: list[bytes],
    now: tuple[float, float, dict[str, int] | None],
    before: tuple[float, float, dict[str, int] | None] | None,
    age: float,
) -> dict[str, Any]:
    """Shares in percent of one core, times in seconds; children are those already reaped."""
    if before is not None:
        share = (now[1] - before[1]) * 100 / (now[0] - before[0])
    else:
        share = now[1] * 100 / max(age, 1 / stat.CLOCK_TICKS)
    return {
        "usage": round(share, 1),
        "basis": "lifetime" if before is None else "measured",
        "user": line.utime / stat.CLOCK_TICKS,
        "system": line.stime / stat.CLOCK_TICKS,
        "children_user": int(fields[13]) / stat.CLOCK_TICKS,
        "children_system": int(fields[14]) / stat.CLOCK_TICKS,
        "processor": int(fields[36]) if len(fields) > 36 else None,
        "iowait": int(fields[39]) / stat.CLOCK_TICKS if len(fields) > 39 else None,
    }


def _io(
    proc: ProcDir,
    now: tuple[float, float, dict[str, int] | None],
    before: tuple[float, float, dict[str, int] | None] | None,
    age: float,
) -> dict[str, Any] | None:
    counters = now[2]
    if counters is None:
        proc.deny("io")
        return None
    result: dict[str, Any] = {ours: counters.get(name) for ours, name in _IO.items()}
    old = None if before is None else before[2]
    elapsed = age if before is None else now[0] - before[0]
    for rate, name in (("read_rate", "read_bytes"), ("write_rate", "write_bytes")):
        spent = counters.get(name, 0) - (0 if old is None else old.get(name, 0))
        measurable = elapsed > 0.05 and (before is None or old is not None)
        result[rate] = round(spent / elapsed, 1) if measurable else None
    result["basis"] = "lifetime" if before is None else "measured"
    return result


def _connections(proc: ProcDir) -> list[dict[str, Any]] | None:
    found = sockets.connections_of(proc)
    return None if found is None else sockets.connection_rows(found)


def _environ(proc: ProcDir) -> dict[str, str] | None:
    """Names and values as the process was *started* with them, secrets hidden."""
    raw = proc.read("environ", figure="environ", limit=_MOST_WORDS)
    if raw is None:
        return None
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
    return redact.redact_environ(
        {text.decode(name): text.decode(value) for name, _, value in pairs}
    )


def _affinity(proc: ProcDir) -> list[int] | None:
    cores = proc.attempt(lambda: os.sched_getaffinity(proc.pid), "affinity")
    return None if cores is None else sorted(cores)


def _owner(about: Mapping[str, str]) -> int | None:
    ids = _ids(about, "Uid")
    return None if ids is None else ids["effective"]


def _ids(about: Mapping[str, str], name: str) -> dict[str, int] | None:
    fields = about.get(name, "").split()
    if len(fields) < 4:
        return None
    return dict(zip(("real", "effective", "saved", "filesystem"), map(int, fields), strict=False))
