"""The client of the helper processes: start, ask, and end them in time.

All patterns a person types run in such a process: the regular expression
engine holds the interpreter and can't be interrupted, but a process can be
ended.  The helper lets the kernel end it when one block has used up its CPU
time; whoever sees no sign of life for long ends it through the guard.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import select
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from proctui.errors import BadArgument, ProctuiError

__all__ = ["CPU_LIMIT", "HelperGone", "PatternHelper", "Worker", "run_tasks"]

CPU_LIMIT = 1.0
"""Seconds of CPU that a pattern may take for one block; the helper ends itself behind that."""
_SILENCE: Final = 30.0
"""Seconds without a sign of life: far more than the CPU alarm, for a machine that stalls."""


_KEEP_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
"""For glibc (mallopt(3)): to give a block's memory back and to get it again is an eighth of the work."""


class HelperGone(ProctuiError):
    """The helper ended in the middle of its work: nearly always a pattern that exploded."""

    kind = "timed-out"


def _command() -> list[str]:
    spec = importlib.util.find_spec("re2")
    extra = [str(Path(spec.origin).parent.parent)] if spec and spec.origin else []
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("helper_main.py")), *extra]


class Worker:
    """One helper process with its two pipes; frames in, frames out."""

    def __init__(self, pass_fds: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=tuple(pass_fds),
            close_fds=True,
            env={**os.environ, **_KEEP_MEMORY},
        )
        from proctui.awareness.protect import add_helper

        add_helper(self._process.pid)
        assert self._process.stdin and self._process.stdout
        self._in = self._process.stdin.fileno()
        self.out = self._process.stdout.fileno()
        os.set_blocking(self.out, False)
        os.set_blocking(self._in, False)
        self._buffer = bytearray()
        self._unsent = bytearray()
        self.heard = time.monotonic()
        self.ended = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: dict[str, Any], *, wait: bool = True) -> None:
        """Write one request; :class:`HelperGone` if nobody reads it.

        Without ``wait`` what the pipe does not take is kept for :meth:`flush`.
        """
        body = marshal.dumps({"cpu": CPU_LIMIT, **request})
        self._unsent += len(body).to_bytes(4, "big") + body
        self.flush()
        while wait and self._unsent:
            select.select([], [self._in], [], 1.0)
            self.flush()

    def flush(self) -> None:
        """Hand over what the pipe takes now."""
        try:
            while self._unsent:
                with memoryview(self._unsent) as view:
                    done = os.write(self._in, view[: 1 << 16])
                del self._unsent[:done]
        except BlockingIOError:
            return
        except BrokenPipeError as error:
            raise HelperGone("the pattern helper ended") from error

    def receive(self) -> list[Any]:
        """The frames that are there, without waiting; sets ``ended`` at the end of the stream."""
        frames: list[Any] = []
        while True:
            try:
                data = os.read(self.out, 1 << 20)
            except BlockingIOError:
                break
            if not data:
                self.ended = True
                break
            self._buffer += data
            self.heard = time.monotonic()
            if len(data) < 1 << 16:
                break
        at = 0
        while len(self._buffer) - at >= 4:
            size = int.from_bytes(self._buffer[at : at + 4], "big")
            if len(self._buffer) - at - 4 < size:
                break
            frames.append(marshal.loads(memoryview(self._buffer)[at + 4 : at + 4 + size]))
            at += 4 + size
        if at:
            del self._buffer[:at]
        return frames

    def ask(self, request: dict[str, Any]) -> Any:
        """Send a request and wait for its one answer; :class:`HelperGone` if none comes."""
        self.heard = time.monotonic()
        self.send(request)
        with selectors.DefaultSelector() as selector:
            selector.register(self.out, selectors.EVENT_READ)
            while time.monotonic() - self.heard < _SILENCE:
                selector.select(1.0)
                for frame in self.receive():
                    if frame[0] in ("bad", "failed"):
                        raise BadArgument(frame[2])
                    return frame[1]
                if self.ended:
                    break
        raise HelperGone("the pattern helper ended")

    def close(self) -> None:
        """End the process at once; it holds nothing that would be lost."""
        from proctui.killing.signals import end_helper

        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except OSError:
                    continue
        end_helper(self._process, 0.5)
        self.ended = True


class PatternHelper:
    """One persistent helper for a pane: requests are queued, answers polled.

    ``ask`` starts the process where needed and returns the request's number;
    ``poll`` returns answers and never waits; ``cancel`` drops what is asked
    and ends a helper that is busy with it.  A helper that ended in the middle
    gives ``("stopped", number)`` for the request it was at.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._asked: deque[int] = deque()
        self._waiting: deque[dict[str, Any]] = deque()
        self._number = 0

    @property
    def busy(self) -> bool:
        return bool(self._asked or self._waiting)

    @property
    def fileno(self) -> int | None:
        """What to wait on for answers, if there is a process."""
        return self._worker.out if self._worker is not None else None

    def check(self, regex: str, ignore_case: bool = False) -> None:
        """:class:`BadArgument` for a bad pattern."""
        from proctui.logs.regex import check

        check(regex, ignore_case)

    def dangerous(self, pattern: tuple[str, bool]) -> bool:
        """Whether a pattern may backtrack without end."""
        from proctui.logs.matcher import Matcher

        return Matcher(*pattern).dangerous

    def ask(self, op: str, **fields: Any) -> int:
        self._number += 1
        self._waiting.append({"op": op, "id": self._number, **fields})
        self._push()
        return self._number

    def _push(self) -> None:
        """Hand over one request at a time, so that no pipe fills up with both sides writing."""
        if self._asked or not self._waiting:
            return
        if self._worker is None or self._worker.ended:
            self._drop()
            self._worker = Worker()
        request = self._waiting.popleft()
        self._asked.append(request["id"])
        self._worker.heard = time.monotonic()
        try:
            self._worker.send(request, wait=False)
        except HelperGone:
            self._worker.ended = True

    def poll(self) -> list[tuple[Any, ...]]:
        """Answers that have come since; ends with ``done``, ``gone``, ``bad``, ``stopped``."""
        answers: list[tuple[Any, ...]] = []
        worker = self._worker
        if worker is None:
            return answers
        try:
            worker.flush()
        except HelperGone:
            worker.ended = True
        for frame in worker.receive():
            answers.append(frame)
            if frame[0] in ("done", "gone", "bad", "failed") and self._asked:
                self._asked.popleft()
        silent = self._asked and time.monotonic() - worker.heard > _SILENCE
        if worker.ended or silent:
            answers += [("stopped", number) for number in self._asked]
            self._asked.clear()
            self._drop()
        self._push()
        return answers

    def wait(self, timeout: float) -> list[tuple[Any, ...]]:
        """Like :meth:`poll`, but waits for something to come: for code without an event loop."""
        if self._worker is not None and self._asked:
            with selectors.DefaultSelector() as selector:
                selector.register(self._worker.out, selectors.EVENT_READ)
                selector.select(timeout)
        return self.poll()

    def cancel(self) -> None:
        """Forget everything asked; a busy helper is ended, the next question starts another."""
        self._waiting.clear()
        if self._asked:
            self._asked.clear()
            self._drop()

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def close(self) -> None:
        self.cancel()
        self._drop()


def _hand(worker: Worker, task: dict[str, Any]) -> None:
    try:
        worker.send(task)
    except HelperGone:
        worker.ended = True


def run_tasks(
    tasks: Sequence[dict[str, Any]], fd: int, workers: int
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Do the tasks in ``workers`` helpers, in order of their start; yields (task index, answer).

    A task whose helper ends before it has answered gives ``("stopped",)``.
    """
    waiting = deque(range(len(tasks)))
    at: dict[Worker, int] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or at:
                while waiting and len(at) < workers:
                    worker = Worker((fd,))
                    selector.register(worker.out, selectors.EVENT_READ, worker)
                    at[worker] = waiting.popleft()
                    _hand(worker, tasks[at[worker]])
                ready = [key.data for key, _ in selector.select(1.0)]
                for worker in ready or list(at):
                    index = at[worker]
                    frames = worker.receive()
                    # Before the answers are handed on: whoever takes them may let us wait for long.
                    silent = not frames and time.monotonic() - worker.heard > _SILENCE
                    for frame in frames:
                        yield index, frame
                        if frame[0] == "bad":
                            raise BadArgument(frame[2])
                        if frame[0] in ("part", "failed"):
                            if waiting:
                                index = at[worker] = waiting.popleft()
                                _hand(worker, tasks[index])
                            else:
                                index = -1
                    if index < 0 or worker.ended or silent:
                        selector.unregister(worker.out)
                        del at[worker]
                        worker.close()
                        if index >= 0:
                            yield index, ("stopped",)
        finally:
            for worker in at:
                worker.close()
