"""What a Python thread is doing, told from its innermost frames.

The kernel shows the same futex for a worker that waits for work and for a
thread in a deadlock; only the Python frames above it tell them apart.  A
known idle leaf never raises an alarm by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Meaning", "innermost_user", "is_library", "meaning", "short_file"]

Frame = Mapping[str, Any]

_LIBRARY = re.compile(
    r"/(?:site|dist)-packages/|/lib(?:64)?/python[23]\.\d+t?/|/Lib/|\.zip/|^<frozen "
)
# Where waits are made: between a known idle function and the leaf nothing else may stand, or the
# worker is at work.
_PLUMBING = re.compile(
    r"(?:^|/)(?:threading|queue|selectors|socket|socketserver|subprocess|ssl)\.py$"
    r"|/(?:multiprocessing|concurrent/futures|asyncio|execnet|xdist)/[\w/]+\.py$|^<frozen importlib"
)


class Meaning(NamedTuple):
    """``kind`` as in ``_RULES``; ``idle``: a leaf that waits for work by design.

    ``lock``: a lock (or semaphore) is what it waits for.  ``words`` read
    after "waits": "for a lock".
    """

    kind: str
    words: str
    idle: bool = False
    lock: bool = False


UNKNOWN = Meaning("unknown", "")

# (file suffix, function's last name, meaning): the first rule whose frame is among the library
# frames above the innermost user frame decides, so the particular ones stand first.
_RULES: tuple[tuple[str, str, Meaning], ...] = (
    ("concurrent/futures/process.py", "_process_worker", Meaning("pool-worker", "for work of its process pool", idle=True)),
    ("concurrent/futures/process.py", "wait_result_broken_or_wakeup", Meaning("pool-keeper", "for results of its process pool", idle=True)),
    ("multiprocessing/pool.py", "worker", Meaning("pool-worker", "for work of its pool", idle=True)),
    ("multiprocessing/pool.py", "_handle_tasks", Meaning("pool-keeper", "for tasks to hand to its pool", idle=True)),
    ("multiprocessing/pool.py", "_handle_results", Meaning("pool-keeper", "for results of its pool", idle=True)),
    ("multiprocessing/pool.py", "_handle_workers", Meaning("pool-keeper", "for its pool's workers to change", idle=True)),
    ("multiprocessing/pool.py", "_wait_for_updates", Meaning("pool-keeper", "for its pool's workers to change", idle=True)),
    ("multiprocessing/pool.py", "get", Meaning("result", "for a result of its pool")),
    ("multiprocessing/pool.py", "wait", Meaning("result", "for a result of its pool")),
    ("multiprocessing/pool.py", "next", Meaning("result", "for a result of its pool")),
    ("multiprocessing/managers.py", "serve_forever", Meaning("server", "for clients of its manager", idle=True)),
    ("multiprocessing/managers.py", "accepter", Meaning("server", "for clients of its manager", idle=True)),
    ("multiprocessing/managers.py", "serve_client", Meaning("server", "for a request of its client", idle=True)),
    ("multiprocessing/resource_tracker.py", "main", Meaning("helper", "for resources to track", idle=True)),
    ("multiprocessing/forkserver.py", "main", Meaning("helper", "for a request to fork", idle=True)),
    ("multiprocessing/resource_sharer.py", "_serve", Meaning("server", "for a process to share with", idle=True)),
    ("xdist/remote.py", "get", Meaning("xdist-idle", "for its next test", idle=True)),
    ("xdist/remote.py", "pytest_runtestloop", Meaning("xdist-idle", "for its next test", idle=True)),
    ("xdist/dsession.py", "loop_once", Meaning("xdist-controller", "for its workers", idle=True)),
    ("execnet/gateway_base.py", "_thread_receiver", Meaning("execnet", "for messages of its peer", idle=True)),
    ("execnet/gateway_base.py", "trigger_shutdown", Meaning("execnet", "for messages of its peer", idle=True)),
    ("execnet/gateway_base.py", "integrate_as_primary_thread", Meaning("execnet", "for work of its controller", idle=True)),
    ("execnet/gateway_base.py", "waitclose", Meaning("execnet", "for its channel to close")),
    ("concurrent/futures/_base.py", "result", Meaning("future", "for a future's result")),
    ("concurrent/futures/_base.py", "exception", Meaning("future", "for a future's result")),
    ("concurrent/futures/_base.py", "wait", Meaning("future", "for futures to finish")),
    ("concurrent/futures/_base.py", "as_completed", Meaning("future", "for futures to finish")),
    ("concurrent/futures/thread.py", "shutdown", Meaning("join", "for its executor's threads to end")),
    ("threading.py", "join", Meaning("join", "for a thread to end")),
    ("threading.py", "_wait_for_tstate_lock", Meaning("join", "for a thread to end")),
    ("threading.py", "_shutdown", Meaning("join", "for its threads to end before it exits")),
    ("queue.py", "get", Meaning("queue-get", "for an item of a queue", idle=True)),
    ("queue.py", "put", Meaning("queue-put", "for room in a queue that is full")),
    ("queue.py", "join", Meaning("queue-join", "for a queue's items to be done")),
    ("multiprocessing/queues.py", "get", Meaning("queue-get", "for an item of a queue between processes", idle=True)),
    ("multiprocessing/queues.py", "put", Meaning("queue-put", "for room in a queue between processes", lock=False)),
    ("multiprocessing/queues.py", "_finalize_join", Meaning("join", "for its queue's feeder thread to end")),
    ("multiprocessing/connection.py", "_send", Meaning("send", "for its data to be taken by the reader")),
    ("multiprocessing/queues.py", "_feed", Meaning("queue-feeder", "for items to send to its queue", idle=True)),
    ("multiprocessing/connection.py", "accept", Meaning("server", "for a connection", idle=True)),
    ("multiprocessing/connection.py", "wait", Meaning("selector", "for one of its connections", idle=True)),
    ("multiprocessing/connection.py", "_recv", Meaning("receive", "for data of a connection")),
    ("multiprocessing/popen_fork.py", "poll", Meaning("exit", "for a child process to end")),
    ("multiprocessing/popen_fork.py", "wait", Meaning("exit", "for a child process to end")),
    ("subprocess.py", "_try_wait", Meaning("exit", "for a child process to end")),
    ("subprocess.py", "_communicate", Meaning("exit", "for a child process's output")),
    ("subprocess.py", "_execute_child", Meaning("exit", "for a child process to start")),
    ("multiprocessing/synchronize.py", "wait", Meaning("condition", "for a condition between processes")),
    ("multiprocessing/synchronize.py", "__enter__", Meaning("lock", "for a lock between processes", lock=True)),
    ("multiprocessing/synchronize.py", "acquire", Meaning("lock", "for a lock between processes", lock=True)),
    ("importlib/_bootstrap>", "acquire", Meaning("lock", "for the import lock of a module", lock=True)),
    ("importlib._bootstrap>", "acquire", Meaning("lock", "for the import lock of a module", lock=True)),
    ("threading.py", "acquire", Meaning("lock", "for a semaphore (a lock)", lock=True)),
    ("threading.py", "_acquire_restore", Meaning("lock", "for a condition's lock", lock=True)),
    ("logging/__init__.py", "acquire", Meaning("lock", "for a logging handler's lock", lock=True)),
    ("filelock/_api.py", "acquire", Meaning("lock", "for a file lock", lock=True)),
    ("socketserver.py", "serve_forever", Meaning("server", "for a request", idle=True)),
    ("asyncio/base_events.py", "_run_once", Meaning("asyncio", "for an event of its event loop", idle=True)),
    ("selectors.py", "select", Meaning("selector", "for one of its descriptors", idle=True)),
    ("socket.py", "accept", Meaning("server", "for a connection", idle=True)),
    ("socket.py", "readinto", Meaning("receive", "for data of a socket")),
    ("ssl.py", "read", Meaning("receive", "for data of a socket")),
    ("threading.py", "wait", Meaning("event", "to be notified")),
)  # fmt: skip

_EXECUTOR_WORKER = Meaning("executor-worker", "for work of its executor", idle=True)
_THREADING_WAIT = {
    "Event.wait": Meaning("event", "for an event to be set"),
    "Barrier.wait": Meaning("barrier", "for the others at a barrier"),
    "Semaphore.acquire": Meaning("lock", "for a semaphore (a lock)", lock=True),
    "BoundedSemaphore.acquire": Meaning("lock", "for a semaphore (a lock)", lock=True),
    "Condition.__enter__": Meaning("lock", "for a condition's lock", lock=True),
}
_LINES: tuple[tuple[re.Pattern[str], Meaning], ...] = (
    (re.compile(r"\.acquire\s*\(|^\s*(?:async\s+)?with\b|\block\b", re.I), Meaning("lock", "for a lock", lock=True)),
    (re.compile(r"\.get(?:_nowait)?\s*\("), Meaning("queue-get", "for an item of a queue", idle=True)),
    (re.compile(r"\.put\s*\("), Meaning("queue-put", "for room in a queue that is full")),
    (re.compile(r"\.join\s*\("), Meaning("join", "for a thread to end")),
    (re.compile(r"\.result\s*\("), Meaning("future", "for a future's result")),
    (re.compile(r"\.wait\s*\("), Meaning("event", "to be notified")),
)  # fmt: skip
_A_LOCK = Meaning("lock", "for a lock", lock=True)
_NATIVE = Meaning("native", "in native code")


def is_library(frame: Frame) -> bool:
    """Whether a frame belongs to the standard library, an installed package or native code."""
    if frame.get("kind") != "python":
        return True
    return bool(_LIBRARY.search(frame.get("file") or ""))


def innermost_user(frames: Sequence[Frame]) -> Frame | None:
    """The innermost frame of the program's own code; ``None`` where all are a library's."""
    return next((frame for frame in frames if not is_library(frame)), None)


def short_file(path: str | None) -> str:
    """The last two parts at most: ``pkg/mod.py``; a package's below site-packages."""
    if not path:
        return "?"
    for mark in ("/site-packages/", "/dist-packages/"):
        if mark in path:
            return path.rpartition(mark)[2]
    match = re.search(r"/lib(?:64)?/python[23]\.\d+t?/(.*)$", path)
    if match:
        return match[1]
    return "/".join(path.rsplit("/", 2)[-2:]).lstrip("/")


def _last(function: str) -> str:
    return function.rpartition(".")[2]


def meaning(frames: Sequence[Frame], *, futex: bool = False, line: str | None = None) -> Meaning:
    """What a thread with these frames (innermost first) waits for.

    ``futex``: the kernel says that it sleeps on one; then a leaf in the
    program's own code is a lock, unless its source ``line`` tells otherwise.
    """
    above: list[Frame] = []
    python = [frame for frame in frames if frame.get("kind") == "python"]
    for frame in python:
        if not is_library(frame):
            break
        above.append(frame)
    if not above:
        return _by_line(line) if futex and python else UNKNOWN
    leaf = above[0]
    if _last(leaf["function"]) == "_worker" and (leaf["file"] or "").endswith(
        "concurrent/futures/thread.py"
    ):
        return _EXECUTOR_WORKER
    for suffix, function, found in _RULES:
        for frame in above:
            if _last(frame["function"]) == function and _is_file(frame["file"], suffix):
                return _refine(found, above)
            if not _PLUMBING.search(frame["file"] or ""):
                break
    return UNKNOWN


def _is_file(path: str | None, suffix: str) -> bool:
    path = path or ""
    return (
        path.endswith("/" + suffix)
        or path == suffix
        or (suffix.endswith(">") and path.endswith(suffix))
    )


def _refine(found: Meaning, above: Sequence[Frame]) -> Meaning:
    """Among waits of threading.py, the outermost one is what the program called."""
    if found.kind != "event":
        return found
    for frame in reversed(above):
        if _is_file(frame["file"], "threading.py") and frame["function"] in _THREADING_WAIT:
            return _THREADING_WAIT[frame["function"]]
    return found


def _by_line(line: str | None) -> Meaning:
    if line is None or not line.strip():
        return _A_LOCK
    for pattern, found in _LINES:
        if pattern.search(line):
            return found
    return _NATIVE
