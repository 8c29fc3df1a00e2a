"""How a job is, as its runner writes it down: ``status.json``, replaced as a whole.

The file, not a message, carries the exit status to whoever waits: it is
there also when the runner that wrote it is not.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from proctui.awareness import files
from proctui.units import iso_time

__all__ = ["NAME", "certificate", "fresh", "oom_kills", "read", "write"]

NAME = "status.json"
_LIMIT = 4 << 20


def write(directory: int, status: dict[str, Any], name: str = NAME) -> None:
    """Replace the file in the directory behind the descriptor.

    Not synced to the disk: a status matters to processes that wait for it,
    and none of them outlives the machine's fall.
    """
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        files.write_all(descriptor, json.dumps(status, indent=1).encode() + b"\n")
    finally:
        os.close(descriptor)
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def read(directory: int, name: str = NAME) -> dict[str, Any] | None:
    """The file's content, ``None`` while there is none (or it can't be trusted)."""
    try:
        found = json.loads(files.read_private(directory, name, _LIMIT))
    except (OSError, ValueError, files.FileProblem):
        return None
    return found if isinstance(found, dict) else None


def oom_kills() -> int | None:
    """How often the kernel's OOM killer struck in our cgroup (``memory.events``, cgroup v2)."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            path = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
        with open(f"/sys/fs/cgroup{path}/memory.events", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def certificate(end: Any, began: float, oom_before: int | None) -> dict[str, Any]:
    """How the job's leader ended, from waitid(2)'s siginfo: code or signal, core, OOM kills.

    ``began`` is seconds of the monotonic clock.
    """
    signalled = end.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
    now_oom = oom_kills()
    return {
        "exit_status": 128 + end.si_status if signalled else end.si_status,
        "exit_code": None if signalled else end.si_status,
        "signal": _name(end.si_status) if signalled else None,
        "core_dumped": end.si_code == os.CLD_DUMPED,
        "ended": iso_time(time.time()),
        "duration": round(time.monotonic() - began, 3),
        "oom_kills": None if None in (oom_before, now_oom) else (now_oom or 0) - (oom_before or 0),
    }


def fresh(session_id: str, pid: int, streams: list[str]) -> dict[str, Any]:
    """The status of a job that just began."""
    return {
        "session": session_id,
        "state": "running",
        "pid": pid,
        "streams": streams,
        "exit_status": None,
        "error": None,
        "notes": [],
    }


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"SIG{signum}"
