"""What a Python thread is doing, told from its innermost frames.

The kernel shows the same futex for a worker that waits for work and for a
thread in a deadlock; only the Python frames above it tell them apart.  A
known idle leaf never raises an alarm by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from proctui.stacks.origins import PROGRAM, STANDARD, innermost_user, is_plumbing, module_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import NamedTuple

    from proctui.stacks.origins import Frame
else:
    from proctui.records import NamedTuple

__all__ = ["UNKNOWN", "Meaning", "innermost_user", "meaning"]


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

# Module and function: of the frames in which waits are made, innermost first up to the one that
# has a use for it, that decides whose rule stands first; so the particular ones do.
_RULES: dict[tuple[str, str], Meaning] = {
    ("threading.py", "__enter__"): Meaning("lock", "for a condition's lock", lock=True),
    ("concurrent/futures/process.py", "_process_worker"): Meaning("pool-worker", "for work of its process pool", idle=True),
    ("concurrent/futures/process.py", "wait_result_broken_or_wakeup"): Meaning("pool-keeper", "for results of its process pool", idle=True),
    ("multiprocessing/pool.py", "worker"): Meaning("pool-worker", "for work of its pool", idle=True),
    ("multiprocessing/pool.py", "_handle_tasks"): Meaning("pool-keeper", "for tasks to hand to its pool", idle=True),
    ("multiprocessing/pool.py", "_handle_results"): Meaning("pool-keeper", "for results of its pool", idle=True),
    ("multiprocessing/pool.py", "_handle_workers"): Meaning("pool-keeper", "for its pool's workers to change", idle=True),
    ("multiprocessing/pool.py", "_wait_for_updates"): Meaning("pool-keeper", "for its pool's workers to change", idle=True),
    ("multiprocessing/pool.py", "get"): Meaning("result", "for a result of its pool"),
    ("multiprocessing/pool.py", "wait"): Meaning("result", "for a result of its pool"),
    ("multiprocessing/pool.py", "next"): Meaning("result", "for a result of its pool"),
    ("multiprocessing/managers.py", "serve_forever"): Meaning("server", "for clients of its manager", idle=True),
    ("multiprocessing/managers.py", "accepter"): Meaning("server", "for clients of its manager", idle=True),
    ("multiprocessing/managers.py", "serve_client"): Meaning("server", "for a request of its client", idle=True),
    ("multiprocessing/resource_tracker.py", "main"): Meaning("helper", "for resources to track", idle=True),
    ("multiprocessing/forkserver.py", "main"): Meaning("helper", "for a request to fork", idle=True),
    ("multiprocessing/resource_sharer.py", "_serve"): Meaning("server", "for a process to share with", idle=True),
    ("xdist/remote.py", "get"): Meaning("xdist-idle", "for its next test", idle=True),
    ("xdist/remote.py", "pytest_runtestloop"): Meaning("xdist-idle", "for its next test", idle=True),
    ("xdist/dsession.py", "loop_once"): Meaning("xdist-controller", "for its workers", idle=True),
    ("execnet/gateway_base.py", "_thread_receiver"): Meaning("execnet", "for messages of its peer", idle=True),
    ("execnet/gateway_base.py", "trigger_shutdown"): Meaning("execnet", "for messages of its peer", idle=True),
    ("execnet/gateway_base.py", "integrate_as_primary_thread"): Meaning("execnet", "for work of its controller", idle=True),
    ("execnet/gateway_base.py", "waitclose"): Meaning("execnet", "for its channel to close"),
    ("concurrent/futures/_base.py", "result"): Meaning("future", "for a future's result"),
    ("concurrent/futures/_base.py", "exception"): Meaning("future", "for a future's result"),
    ("concurrent/futures/_base.py", "wait"): Meaning("future", "for futures to finish"),
    ("concurrent/futures/_base.py", "as_completed"): Meaning("future", "for futures to finish"),
    ("concurrent/futures/thread.py", "shutdown"): Meaning("join", "for its executor's threads to end"),
    ("threading.py", "join"): Meaning("join", "for a thread to end"),
    ("threading.py", "_wait_for_tstate_lock"): Meaning("join", "for a thread to end"),
    ("threading.py", "_shutdown"): Meaning("join", "for its threads to end before it exits"),
    ("queue.py", "get"): Meaning("queue-get", "for an item of a queue", idle=True),
    ("queue.py", "put"): Meaning("queue-put", "for room in a queue that is full"),
    ("queue.py", "join"): Meaning("queue-join", "for a queue's items to be done"),
    ("multiprocessing/queues.py", "get"): Meaning("queue-get", "for an item of a queue between processes", idle=True),
    ("multiprocessing/queues.py", "put"): Meaning("queue-put", "for room in a queue between processes", lock=False),
    ("multiprocessing/queues.py", "_finalize_join"): Meaning("join", "for its queue's feeder thread to end"),
    ("multiprocessing/connection.py", "_send"): Meaning("send", "for its data to be taken by the reader"),
    ("multiprocessing/queues.py", "_feed"): Meaning("queue-feeder", "for items to send to its queue", idle=True),
    ("multiprocessing/connection.py", "accept"): Meaning("server", "for a connection", idle=True),
    ("multiprocessing/popen_forkserver.py", "poll"): Meaning("exit", "for a child process to end"),
    ("multiprocessing/connection.py", "wait"): Meaning("selector", "for one of its connections", idle=True),
    ("multiprocessing/connection.py", "_recv"): Meaning("receive", "for data of a connection"),
    ("multiprocessing/popen_fork.py", "poll"): Meaning("exit", "for a child process to end"),
    ("multiprocessing/popen_fork.py", "wait"): Meaning("exit", "for a child process to end"),
    ("subprocess.py", "_try_wait"): Meaning("exit", "for a child process to end"),
    ("subprocess.py", "_communicate"): Meaning("exit", "for a child process's output"),
    ("subprocess.py", "_execute_child"): Meaning("exit", "for a child process to start"),
    ("multiprocessing/synchronize.py", "wait"): Meaning("condition", "for a condition between processes"),
    ("multiprocessing/synchronize.py", "__enter__"): Meaning("lock", "for a lock between processes", lock=True),
    ("multiprocessing/synchronize.py", "acquire"): Meaning("lock", "for a lock between processes", lock=True),
    ("<frozen importlib._bootstrap>", "acquire"): Meaning("lock", "for the import lock of a module", lock=True),
    ("threading.py", "acquire"): Meaning("lock", "for a semaphore (a lock)", lock=True),
    ("threading.py", "_acquire_restore"): Meaning("lock", "for a condition's lock", lock=True),
    ("logging/__init__.py", "acquire"): Meaning("lock", "for a logging handler's lock", lock=True),
    ("filelock/_api.py", "acquire"): Meaning("lock", "for a file lock", lock=True),
    ("socketserver.py", "serve_forever"): Meaning("server", "for a request", idle=True),
    ("asyncio/base_events.py", "_run_once"): Meaning("asyncio", "for an event of its event loop", idle=True),
    ("selectors.py", "select"): Meaning("selector", "for one of its descriptors", idle=True),
    ("socket.py", "accept"): Meaning("server", "for a connection", idle=True),
    ("socket.py", "readinto"): Meaning("receive", "for data of a socket"),
    ("ssl.py", "read"): Meaning("receive", "for data of a socket"),
    ("threading.py", "wait"): Meaning("event", "for a condition to be notified"),
}  # fmt: skip
_RANK = {place: rank for rank, place in enumerate(_RULES)}

_EXECUTOR_WORKER = Meaning("executor-worker", "for work of its executor", idle=True)
_THREADING_WAIT = {
    "Event.wait": Meaning("event", "for an event to be set"),
    "Barrier.wait": Meaning("barrier", "for the others at a barrier"),
    "Semaphore.acquire": Meaning("lock", "for a semaphore (a lock)", lock=True),
    "BoundedSemaphore.acquire": Meaning("lock", "for a semaphore (a lock)", lock=True),
    "Condition.__enter__": Meaning("lock", "for a condition's lock", lock=True),
}
_LINES: tuple[tuple[str, Meaning], ...] = (
    (r"\.acquire\s*\(|^\s*(?:async\s+)?with\b|\block\b", Meaning("lock", "for a lock", lock=True)),
    (r"\.get(?:_nowait)?\s*\(", Meaning("queue-get", "for an item of a queue", idle=True)),
    (r"\.put\s*\(", Meaning("queue-put", "for room in a queue that is full")),
    (r"\.join\s*\(", Meaning("join", "for a thread to end")),
    (r"\.result\s*\(", Meaning("future", "for a future's result")),
    (r"\.wait\s*\(", Meaning("event", "to be notified")),
)  # fmt: skip
_A_LOCK = Meaning("lock", "for a lock", lock=True)
_NATIVE = Meaning("native", "in native code")


def meaning(
    frames: Sequence[Frame],
    *,
    futex: bool = False,
    line: Callable[[Frame], str | None] = lambda _: None,
) -> Meaning:
    """What a thread with these frames (innermost first) waits for.

    ``futex``: the kernel says that it sleeps on one; then what no rule knows
    is told by the source of the innermost Python frame, for which ``line`` is
    asked.
    """
    python = [frame for frame in frames if frame.get("kind") == "python"]
    if not python:
        return UNKNOWN
    leaf = python[0]
    if _place(leaf) == ("concurrent/futures/thread.py", "_worker"):
        return _EXECUTOR_WORKER
    found = _by_rule(python)
    if found is not None:
        return found
    return _by_line(module_of(leaf.get("file") or "")[0], line(leaf)) if futex else UNKNOWN


def _place(frame: Frame) -> tuple[str, str] | None:
    """Module and function; ``None`` in the program's own files, whatever their names."""
    origin, module = module_of(frame.get("file") or "")
    return None if origin == PROGRAM else (module, frame["function"].rpartition(".")[2])


def _by_rule(python: Sequence[Frame]) -> Meaning | None:
    """Between a known place and the leaf nothing but plumbing may stand, or it is at work."""
    best: tuple[str, str] | None = None
    stretch: list[Frame] = []
    for frame in python:
        place = _place(frame)
        if place in _RANK and (best is None or _RANK[place] < _RANK[best]):
            best = place
        stretch.append(frame)
        if not is_plumbing(frame):
            break
    return None if best is None else _refine(_RULES[best], stretch)


def _refine(found: Meaning, stretch: Sequence[Frame]) -> Meaning:
    """Among waits of threading.py, the outermost one is what the program called."""
    if found.kind != "event":
        return found
    for frame in reversed(stretch):
        if module_of(frame["file"] or "") == (STANDARD, "threading.py"):
            known = _THREADING_WAIT.get(frame["function"])
            if known is not None:
                return known
    return found


def _by_line(origin: str, line: str | None) -> Meaning:
    """What C code that is called from this very line sleeps on."""
    if line is None or not line.strip():
        return _A_LOCK if origin == PROGRAM else UNKNOWN
    for pattern, found in _patterns():
        if pattern.search(line):
            return found
    return UNKNOWN if origin == STANDARD else _NATIVE


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], Meaning], ...]:
    import re

    return tuple((re.compile(pattern, re.IGNORECASE), found) for pattern, found in _LINES)
