"""Looking at a job for a while: kernel state at both ends, dumps in between, what moved."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

from proctui.errors import AccessDenied, NoSuchProcess
from proctui.ident import Identity
from proctui.machine.identity import identify
from proctui.machine.stat import CLOCK_TICKS
from proctui.stacks import kernel
from proctui.stacks.capturing import capture_many
from proctui.stacks.kernel import ProcessLook
from proctui.stacks.tasks import python_version
from proctui.stacks.trace import StackTrace
from proctui.stacks.world import World

__all__ = ["Observation", "Observed"]

Capture = Callable[[list[int]], list[StackTrace]]


class Observed:
    """One process over the look: ``rows`` are its threads' last seen rows by tid."""

    def __init__(self, identity: Identity, first: ProcessLook, began: float) -> None:
        self.identity = identity
        self.pid = identity.pid
        self.first = first
        self.last: ProcessLook | None = None
        self.traces: list[StackTrace] = []
        self.before = _switches(first)
        self.after: dict[int, int | None] = {}
        self._began = began
        self._ended = began

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        return {row["tid"]: row for row in self.traces[-1]["threads"]} if self.traces else {}

    @property
    def framed(self) -> bool:
        """Whether its Python frames are known."""
        return bool(self.traces and self.traces[-1].get("python"))

    @functools.cached_property
    def python(self) -> bool:
        """Whether it is a Python process, be its frames known or not."""
        if self.traces and self.traces[-1].get("python") is not None:
            return bool(self.traces[-1]["python"])
        return python_version(self.pid) is not None

    def recount(self) -> None:
        """Count the context switches again: the look lasts until now."""
        if self.last is not None:
            self.after = _switches(self.last)
            self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been looked at."""
        return self._ended - self._began

    def still(self, tid: int) -> bool:
        """Whether a thread did not run at all during the look: its context switches stood still."""
        count = self.before.get(tid)
        return count is not None and count == self.after.get(tid)

    @property
    def all_still(self) -> bool:
        return (
            bool(self.after)
            and set(self.before) == set(self.after)
            and all(map(self.still, self.after))
        )

    @property
    def usage(self) -> float:
        """Percent of one core over the look, of the threads seen at both ends."""
        if self.last is None or self.seconds <= 0:
            return 0.0
        before = {thread.tid: thread.cpu for thread in self.first.threads}
        ticks = sum(thread.cpu - before.get(thread.tid, thread.cpu) for thread in self.last.threads)
        return 100.0 * ticks / CLOCK_TICKS / self.seconds

    def changes(self) -> dict[int, str]:
        from proctui.stacks.merging import compare

        return {row["tid"]: row["change"] for row in compare([[trace] for trace in self.traces])}


def _switches(look: ProcessLook) -> dict[int, int | None]:
    return {t.tid: kernel.switches(look.pid, t.tid) for t in look.threads if t.state not in "ZX"}


class Observation:
    """What :meth:`look` saw of each process; ``world`` is the moment at the end."""

    def __init__(self, capture: Capture | None = None) -> None:
        self.seen: dict[int, Observed] = {}
        self.world = World()
        self.failed: list[StackTrace] = []
        self.errors: list[dict[str, Any]] = []
        self.denied: list[str] = []
        self._capture = capture or capture_many

    def look(self, pids: Iterable[int], seconds: float) -> None:
        """Look at processes for ``seconds``, and so much longer at those seen before.

        Stacks are dumped at the beginning, and again at the end for those in
        which any thread ran meanwhile: the others' can't have changed.
        """
        began = time.monotonic()
        new: list[int] = []
        for pid in pids:
            try:
                self.seen[pid] = Observed(identify(pid), kernel.look(pid), began)
                new.append(pid)
            except (NoSuchProcess, AccessDenied):
                continue
        self._dump(new)
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        self.world = World()
        for pid, one in list(self.seen.items()):
            one.last = self.world.look(pid)
            if one.last is None or not _same(one.identity):
                del self.seen[pid]
                continue
            one.recount()
        self._dump([pid for pid, one in self.seen.items() if not one.all_still])

    def _dump(self, pids: list[int]) -> None:
        for trace in self._capture(pids):
            self.seen[trace["pid"]].traces.append(trace)
            if trace.get("error"):
                self.errors.append(trace["error"])
                self.failed.append(trace)
                self.denied += [one for one in trace["denied"] if one not in self.denied]


def _same(identity: Identity) -> bool:
    try:
        return identify(identity.pid).same(identity)
    except NoSuchProcess:
        return False
