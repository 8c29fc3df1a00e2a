"""``start_process`` and ``read_output``: background processes with a name and an end.

Each is a job of its own: a session with its leader, its captured output and
its exit status.  A starter process between us and it ends it through the
guard when we go, by whatever way.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from proctui.errors import (
    AccessDenied,
    BadArgument,
    NoSuchFile,
    ProctuiError,
    RefusedError,
    TimedOut,
    check_pid,
)
from proctui.model import Identity
from proctui.redact import redact_argv
from proctui.text import decode, sanitize
from proctui.tools.results import Background, Output, ProcessRef
from proctui.units import iso_time

if TYPE_CHECKING:
    from proctui.jobs.launch import Job

__all__ = ["close_all", "own_by", "read_output", "start_process"]

_STARTING = 15.0
_ENDING = 8.0
_MOST_LINES = 10_000
_MOST_BYTES = 4 << 20
_LONGEST_NAME = 80
_DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)
"""What we were started with: a watch raises its own limit, which is nothing for a job."""


class _Running:
    """One background job of this process; ``Popen`` is its starter."""

    def __init__(self, name: str, starter: subprocess.Popen[bytes], answer: dict[str, Any]) -> None:
        from proctui.awareness.registry import load_session
        from proctui.jobs.launch import attach

        self.name = name
        self.starter = starter
        self.session: str = answer["session"]
        self.pid: int = check_pid(answer["pid"])
        loaded = load_session(self.session)
        self.job: Job = attach(loaded)
        self.identity: Identity | None = loaded.leader
        self.started = loaded.created.wall

    def status(self) -> int | None:
        return self.job.poll()


_running: dict[str, _Running] = {}
_lock = threading.Lock()
_owner: list[ProcessRef] = []


def own_by(owner: ProcessRef | None) -> None:
    """Whose the background processes are: the client of the server."""
    _owner[:] = [] if owner is None else [owner]


def start_process(command: list[str] | str, name: str) -> Background:
    """Start ``command`` (a list, or a line for ``/bin/sh``) in the background under ``name``.

    Raises :class:`RefusedError` while a living one has that name, and what
    starting it raises.
    """
    argv = _argv(command)
    label = _name(name)
    with _lock:
        before = _running.get(label)
        if before is not None and before.status() is None:
            raise RefusedError(
                f"a process named {label!r} is running (pid {before.pid})",
                "choose another name, or end it with plan_kill and execute_kill",
            )
        found = _start(argv, label)
        _running[label] = found
    return {
        "name": label,
        "pid": found.pid,
        "identity": None if found.identity is None else str(found.identity),
        "session": found.session,
        "owner": _owner[0] if _owner else None,
        "command": list(redact_argv([sanitize(one) for one in argv])),
        "started": iso_time(found.started),
    }


def _argv(command: object) -> list[str]:
    if isinstance(command, str) and command:
        argv = ["/bin/sh", "-c", command]
    elif isinstance(command, list) and command and all(isinstance(one, str) for one in command):
        argv = list(command)
    else:
        raise BadArgument("command must be a list of words, or a line for /bin/sh")
    if any("\0" in one for one in argv) or not argv[0]:
        raise BadArgument("command holds a NUL byte, or names no program")
    return argv


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        raise BadArgument(f"name must be text of 1 to {_LONGEST_NAME} characters")
    return sanitize(name.strip())


def _start(argv: list[str], name: str) -> _Running:
    starter = subprocess.Popen(
        [sys.executable, "-P", "-m", "proctui.tools.starter"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert starter.stdin is not None and starter.stdout is not None
    try:
        request = {"command": argv, "name": name, "descriptors": _DESCRIPTORS}
        starter.stdin.write(json.dumps(request).encode() + b"\n")
        starter.stdin.flush()
        answer = _answer(starter.stdout.fileno())
        error = answer.get("error")
        if error is not None:
            raise _failure(name, error)
        return _Running(name, starter, answer)
    except BaseException:
        starter.stdin.close()
        raise
    finally:
        starter.stdout.close()


def _failure(name: str, error: dict[str, Any]) -> ProctuiError:
    """As a shell tells them apart: 127 is no such command, 126 one that can't be executed."""
    kind = {127: NoSuchFile, 126: AccessDenied}.get(error.get("status", 0), ProctuiError)
    return kind(f"{name!r} was not started: {error['message']}", error.get("hint"))


def _answer(descriptor: int) -> dict[str, Any]:
    deadline = time.monotonic() + _STARTING
    # Not select(2): a watch holds a descriptor per process, so ours may lie above 1023.
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    data = bytearray()
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise TimedOut(f"it was not started within {_STARTING:.0f} s")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            raise ProctuiError("it was not started: its starter ended")
        data += chunk
    answer: dict[str, Any] = json.loads(data)
    return answer


def read_output(name: str, last_n_lines: int | None = None) -> Output:
    """The end of the output (stdout and stderr in one) and how the process is."""
    label = _name(name)
    wanted = 100 if last_n_lines is None else last_n_lines
    if type(wanted) is not int or not 1 <= wanted <= _MOST_LINES:
        raise BadArgument(f"last_n_lines must be a whole number from 1 to {_MOST_LINES}")
    with _lock:
        found = _running.get(label)
        names = sorted(_running)
    if found is None:
        raise BadArgument(
            f"nothing was started under the name {label!r}",
            f"there are: {', '.join(names)}" if names else "start_process starts one",
        )
    status = found.status()
    lines, cut = _tail(found.job, wanted)
    word = found.job.status()
    document = {
        "name": label,
        "pid": found.pid,
        "identity": None if found.identity is None else str(found.identity),
        "session": found.session,
        "running": status is None,
        "exit_status": status,
        "ended": word.get("ended"),
        "lines": lines,
        "truncated": cut,
    }
    return cast(Output, document)


def _tail(job: Job, wanted: int) -> tuple[list[str], bool]:
    """The last lines of the capture, and whether there is more before them."""
    lines: list[str] = []
    more = False
    for path in job.capture.values():
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                begin = max(0, size - _MOST_BYTES)
                file.seek(begin)
                raw = file.read(_MOST_BYTES)
        except FileNotFoundError:
            continue
        found = raw.split(b"\n")
        if found and not found[-1]:
            found.pop()
        if begin and found:
            found = found[1:]
        more = more or begin > 0 or len(found) > wanted
        lines += [decode(line.rstrip(b"\r")) for line in found[-wanted:]]
    return lines, more


def close_all() -> None:
    """End every background job: each starter ends its own when it sees us go."""
    with _lock:
        starters = [one.starter for one in _running.values()]
        _running.clear()
    for starter in starters:
        if starter.stdin is not None:
            starter.stdin.close()
    deadline = time.monotonic() + _ENDING
    for starter in starters:
        try:
            starter.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue
