"""Running the tools that look into other processes: py-spy, eu-stack, gdb.

Each runs in a session of its own, with a time limit, and is ended through
the guarded module: a stuck tracer has frozen a whole job for hours
(marin-community/marin#6019).  One thread serves many tools at once, so that
first results come while others still run.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterable

from proctui.stacks.starting import Surroundings, Tool, find_tool, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = ["Outcome", "end", "end_all", "find_tool", "run_many", "run_tool", "width"]

_MOST_OUTPUT = 64 << 20
_CHUNK = 1 << 16


class Outcome(NamedTuple):
    """How a tool ended; ``status`` is ``None`` where it took too long and was ended."""

    status: int | None
    out: bytes
    err: str
    seconds: float


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


Command = list[str] | Tool
"""What a job runs; a tool that was started already is taken as it is."""

_LIVE: set[_Running] = set()


def end_all() -> None:
    """End every tool that still runs, whichever thread waits for it: our own end is near."""
    for one in list(_LIVE):
        end(one.tool)


def end(tool: Tool) -> None:
    """End a tool, and its children where it has ended itself; what it said can still be read."""
    if tool.returncode is None:
        from proctui.killing.signals import end_helper

        end_helper(tool, grace=0.5)


class _Running:
    """A running tool and what it has said so far."""

    def __init__(self, key: object, tool: Tool) -> None:
        self.key = key
        self.tool = tool
        self.said: dict[int, list[bytes]] = {tool.out: [], tool.err: []}
        self.open = set(self.said)
        self.size = 0
        # Whoever judges processes here must know it for one of ours; where nobody has come to
        # judge, loading the judgement would take longer than the look.
        judging = sys.modules.get("proctui.awareness.protect")
        if judging is not None:
            judging.add_helper(tool.pid)
        _LIVE.add(self)

    def pump(self, fd: int) -> None:
        """Take what it says now; an end that says no more leaves ``open``."""
        chunk = os.read(fd, _CHUNK)
        self.size += len(chunk)
        if not chunk or self.size > _MOST_OUTPUT:
            self.open.discard(fd)
        else:
            self.said[fd].append(chunk)

    def over(self, timeout: float) -> bool:
        return time.monotonic() - self.tool.began >= timeout

    def outcome(self, timeout: float) -> Outcome:
        """How it ended; where it does not in time it is ended, and its status is ``None``."""
        tool = self.tool
        left = max(0.1, tool.began + timeout - time.monotonic())
        status = None if self.open else tool.join(left)
        if status is None:
            end(tool)
        _LIVE.discard(self)
        text = b"".join(self.said[tool.err])[-16384:].decode("utf-8", "replace")
        out = b"".join(self.said[tool.out])
        tool.close()
        return Outcome(status, out, text, time.monotonic() - tool.began)


def run_many(
    jobs: Iterable[tuple[object, Command]],
    done: Callable[[object, Outcome], None],
    *,
    timeout: float,
    at_once: int | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Run ``(key, command)`` jobs, a few at once, and tell ``done(key, outcome)`` as each ends.

    ``timeout`` is seconds for each.  ``done`` may raise: then all that still
    run are ended and the exception goes on (so does ``KeyboardInterrupt``).
    ``meanwhile`` is called once, when the first tools have been started.
    """
    waiting = iter(jobs)
    most = at_once or width()
    around = Surroundings()
    live: dict[int, _Running] = {}
    poll = select.poll()
    try:
        while True:
            while len(_tools(live)) < most and (job := next(waiting, None)) is not None:
                _begin(job, around, live, poll, done)
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
            if not live:
                return
            oldest = min(one.tool.began for one in live.values())
            left = max(0.0, oldest + timeout - time.monotonic())
            for fd, _ in poll.poll(left * 1000 + 1):
                live[fd].pump(fd)
                if fd not in live[fd].open:
                    poll.unregister(fd)
            for one in _tools(live):
                if not one.open or one.over(timeout):
                    _forget(one, live, poll)
                    done(one.key, one.outcome(timeout))
    finally:
        for one in _tools(live):
            one.outcome(0.0)


def _tools(live: dict[int, _Running]) -> list[_Running]:
    return list(dict.fromkeys(live.values()))


def _begin(
    job: tuple[object, Command],
    around: Surroundings,
    live: dict[int, _Running],
    poll: select.poll,
    done: Callable[[object, Outcome], None],
) -> None:
    key, command = job
    try:
        one = _Running(key, command if isinstance(command, Tool) else start(command, around))
    except OSError as error:
        assert isinstance(command, list)
        done(key, Outcome(127, b"", f"{command[0]}: {error.strerror}", 0.0))
        return
    for fd in one.open:
        live[fd] = one
        poll.register(fd, select.POLLIN)


def _forget(one: _Running, live: dict[int, _Running], poll: select.poll) -> None:
    for fd in one.said:
        if fd in one.open:
            poll.unregister(fd)
        del live[fd]


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
