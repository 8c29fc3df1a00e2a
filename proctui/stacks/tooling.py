"""Running the tools that look into other processes: py-spy, eu-stack, gdb.

Each runs in a session of its own, with a time limit, and is ended through
the guarded module: a stuck tracer has frozen a whole job for hours
(marin-community/marin#6019).  One thread serves many tools at once, so that
first results come while others still run.
"""

from __future__ import annotations

import os
import selectors
import stat
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

__all__ = ["Outcome", "end_all", "find_tool", "run_many", "run_tool", "width"]

_MOST_OUTPUT = 64 << 20
_CHUNK = 1 << 16


class Outcome(NamedTuple):
    """How a tool ended; ``status`` is ``None`` where it took too long and was ended."""

    status: int | None
    out: bytes
    err: str
    seconds: float


def find_tool(name: str) -> str | None:
    """The program beside our interpreter (a venv's), else on PATH."""
    beside = os.path.join(sys.executable.rpartition("/")[0], name)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for path in (beside, *(os.path.join(folder, name) for folder in folders if folder)):
        if _is_program(path):
            return path
    return None


def _is_program(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False


def width() -> int:
    """How many tools run at once: at most four, two more than cores to fill each other's waits.

    Measured on two cores, sixty processes: 2.0 s with two, 1.7 s with four,
    and on a busy machine half the time.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return min(4, cores + 2)


_LIVE: weakref.WeakSet[_Running] = weakref.WeakSet()


def end_all() -> None:
    """End every tool that still runs, whichever thread waits for it: our own end is near."""
    for one in list(_LIVE):
        if one.child.poll() is None:
            one.end()


class _Running:
    """A started tool and what it has said so far."""

    def __init__(self, key: object, argv: list[str]) -> None:
        self.key = key
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "RUST_BACKTRACE": "0", "LC_ALL": "C", "DEBUGINFOD_URLS": ""},
        )
        # Whoever judges processes here must know it for one of ours; where nobody has come to
        # judge, loading the judgement would take longer than the look.
        judging = sys.modules.get("proctui.awareness.protect")
        if judging is not None:
            judging.add_helper(self.child.pid)
        self.out: list[bytes] = []
        self.err: list[bytes] = []
        self.size = 0
        self.open = 2
        _LIVE.add(self)

    def streams(self) -> Iterator[tuple[IO[bytes], list[bytes]]]:
        for stream, parts in ((self.child.stdout, self.out), (self.child.stderr, self.err)):
            if stream is not None:
                yield stream, parts

    def end(self) -> None:
        from proctui.killing.signals import end_helper

        end_helper(self.child, grace=0.5)

    def outcome(self, status: int | None) -> Outcome:
        for stream, _ in self.streams():
            stream.close()
        text = b"".join(self.err)[-16384:].decode("utf-8", "replace")
        return Outcome(status, b"".join(self.out), text, time.monotonic() - self.began)


def run_many(
    jobs: Iterable[tuple[object, list[str]]],
    done: Callable[[object, Outcome], None],
    *,
    timeout: float,
    at_once: int | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Run ``(key, argv)`` jobs, a few at once, and tell ``done(key, outcome)`` as each ends.

    ``timeout`` is seconds for each.  ``done`` may raise: then all that still
    run are ended and the exception goes on (so does ``KeyboardInterrupt``).
    ``meanwhile`` is called once, when the first tools have been started.
    """
    waiting = iter(jobs)
    most = at_once or width()
    live: set[_Running] = set()
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                while len(live) < most and (job := next(waiting, None)) is not None:
                    _start(job, live, selector, done)
                if meanwhile is not None:
                    meanwhile()
                    meanwhile = None
                if not live:
                    return
                oldest = min(one.began for one in live)
                for key, _ in selector.select(max(0.0, oldest + timeout - time.monotonic())):
                    _pump(key, selector)
                for one in [one for one in live if one.open == 0]:
                    live.discard(one)
                    done(one.key, _reap(one, timeout))
                for one in [one for one in live if time.monotonic() - one.began >= timeout]:
                    live.discard(one)
                    _drop(one, selector)
                    done(one.key, one.outcome(None))
        finally:
            for one in live:
                _drop(one, selector)
                one.outcome(None)


def _start(
    job: tuple[object, list[str]],
    live: set[_Running],
    selector: selectors.BaseSelector,
    done: Callable[[object, Outcome], None],
) -> None:
    key, argv = job
    try:
        one = _Running(key, argv)
    except OSError as error:
        done(key, Outcome(127, b"", f"{argv[0]}: {error.strerror}", 0.0))
        return
    live.add(one)
    for stream, parts in one.streams():
        selector.register(stream, selectors.EVENT_READ, (one, parts))


def _pump(key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
    one, parts = key.data
    chunk = os.read(key.fd, _CHUNK)
    one.size += len(chunk)
    if not chunk or one.size > _MOST_OUTPUT:
        selector.unregister(key.fileobj)
        one.open -= 1
        return
    parts.append(chunk)


def _reap(one: _Running, timeout: float) -> Outcome:
    left = max(0.1, one.began + timeout - time.monotonic())
    try:
        return one.outcome(one.child.wait(left))
    except subprocess.TimeoutExpired:
        one.end()
        return one.outcome(None)


def _drop(one: _Running, selector: selectors.BaseSelector) -> None:
    for stream, _ in one.streams():
        if stream in selector.get_map():
            selector.unregister(stream)
    one.end()


def run_tool(
    argv: list[str], timeout: float, meanwhile: Callable[[], None] | None = None
) -> Outcome:
    """Run one tool; its outcome."""
    outcomes: list[Outcome] = []
    run_many(
        [(None, argv)],
        lambda _, outcome: outcomes.append(outcome),
        timeout=timeout,
        meanwhile=meanwhile,
    )
    return outcomes[0]
