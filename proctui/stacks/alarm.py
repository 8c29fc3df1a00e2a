"""Which waits of a closed set are a hang: the set alone can't tell a deadlock from a rest.

A service that sleeps until a signal ends it, with the worker and the helper
that wait for it to speak, is as closed as two threads that hold each other's
lock.  What differs is what each waits *for*.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.stacks.graph import Node, WaitGraph

__all__ = ["Alarm", "stuck_in_test"]

_LIVES_ON = ("event", "condition", "barrier")
"""A main thread waits for these while it lives for its daemon threads, until a signal comes."""
_LISTENS = ("exit", "vfork", "read", "receive", "poll")
"""Waits that are as good or bad as what is at their other end."""
_FOR_WORK = ("event", "condition")
"""What a thread below a main thread that rests waits for as a worker does for work."""
_FOR_A_THREAD = ("join", "future", "result", "queue-join")
_FROM_HANDLER = ("event", "condition", "queue-get")
"""What a signal's handler gives, as one that tells the workers to stop does."""


class _Mood(enum.Enum):
    """What a thread's wait tells by itself; ``LISTENS``: nothing, ask those it waits for."""

    STUCK = 1
    RESTS = 2
    HELPS = 3
    LISTENS = 4


class Alarm:
    """Judges each thread by its own wait, those that only listen by those they listen to.

    ``minded`` are the processes that catch a signal on purpose: in Python its
    handler runs in the main thread, whatever that one waits for.
    """

    def __init__(
        self,
        graph: WaitGraph,
        rows: Mapping[int, dict[str, Any]],
        python: Iterable[int],
        minded: Iterable[int] = (),
    ):
        self._graph = graph
        self._rows = rows
        self._python = frozenset(python)
        self._minded = frozenset(minded)
        self._moods: dict[int, _Mood] = {}

    def raised_by(self, tid: int) -> bool:
        """Whether a thread that nothing outside can wake is stuck, and not at rest."""
        mood = self._mood(tid)
        if mood is not _Mood.LISTENS:
            return mood is _Mood.STUCK
        reach = [one for one in self._graph.reach(tid) if one in self._graph.nodes]
        if any(self._mood(one) is _Mood.STUCK for one in reach):
            return True
        # Of those that listen to each other none ever speaks; but one whose main thread rests
        # is at rest, and so are those that listen to it.
        mains = {self._graph.nodes[one].thread.pid for one in reach}
        return not any(self._rests(main) for main in mains if main in self._graph.nodes)

    def is_stuck(self, tid: int) -> bool:
        """Whether its own wait is the trouble, and not that of those it listens to."""
        return self._mood(tid) is _Mood.STUCK

    def _rests(self, main: int) -> bool:
        return self._mood(main) is _Mood.RESTS or self._is_told_by_signal(main)

    def _mood(self, tid: int) -> _Mood:
        if tid not in self._moods:
            pid = self._graph.nodes[tid].thread.pid
            self._moods[tid] = self._of_python(tid) if pid in self._python else self._native(tid)
        return self._moods[tid]

    def _of_python(self, tid: int) -> _Mood:
        node, row = self._graph.nodes[tid], self._rows.get(tid)
        listens = node.wait.kind in _LISTENS
        if row is None or not any(frame["kind"] == "python" for frame in row["frames"]):
            # A helper of native code.
            if node.owner is not None:
                return _Mood.STUCK
            return _Mood.LISTENS if listens else _Mood.HELPS
        main, kind = tid == node.thread.pid, row["waits_for"]
        if main and (kind == "asyncio" or stuck_in_test(row)):
            return _Mood.STUCK
        if row.get("idle") or (main and kind in _LIVES_ON):
            return _Mood.RESTS
        if self._is_told_by_signal(tid) or (not main and kind in _FOR_WORK):
            return _Mood.LISTENS
        return _Mood.LISTENS if listens and kind != "asyncio" else _Mood.STUCK

    def _is_told_by_signal(self, tid: int) -> bool:
        """A main thread that waits for one that a signal's handler will send home."""
        row, pid = self._rows.get(tid), self._graph.nodes[tid].thread.pid
        if row is None or tid != pid or pid not in self._minded:
            return False
        return row["waits_for"] in _FOR_A_THREAD and any(
            one != tid and self._rows[one]["waits_for"] in _FROM_HANDLER
            for one in self._graph.reach(tid)
            if one in self._rows and self._graph.nodes[one].thread.pid == pid
        )

    def _native(self, tid: int) -> _Mood:
        node = self._graph.nodes[tid]
        # One that joins another is as good or bad as that one.
        joins = node.owner is None and any(edge.to_tid is not None for edge in node.edges)
        if node.wait.kind in _LISTENS or joins:
            return _Mood.LISTENS
        if node.wait.kind == "futex" and node.owner is None and self._serves(node.thread.pid):
            return _Mood.HELPS
        return _Mood.STUCK

    def _serves(self, pid: int) -> bool:
        """Whether some thread listens to another process: the rest may wait for what it brings."""
        return any(_listens_to_others(self._graph.nodes[one]) for one in self._threads(pid))

    def _threads(self, pid: int) -> list[int]:
        threads = self._graph.world.threads(pid)
        return [thread.tid for thread in threads if thread.tid in self._graph.nodes]


def _listens_to_others(node: Node) -> bool:
    reading = node.wait.kind in ("read", "receive", "poll")
    return reading and any(edge.to_pid != edge.pid for edge in node.edges)


def stuck_in_test(row: Mapping[str, Any]) -> bool:
    """Whether a main thread waits, inside a test, for what elsewhere it would rest for."""
    in_test = any("/_pytest/" in (frame["file"] or "") for frame in row["frames"])
    return in_test and row["waits_for"] in (*_LIVES_ON, "queue-get")
