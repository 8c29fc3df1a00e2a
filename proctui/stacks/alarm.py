"""Which waits of a closed set are a hang: the set alone can't tell a deadlock from a rest.

A service that sleeps until a signal ends it, with the worker and the helper
that wait for it to speak, is as closed as two threads that hold each other's
lock.  What differs is what each waits *for*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proctui.stacks.graph import Node, WaitGraph

__all__ = ["Alarm", "stuck_in_test"]

_LIVES_ON = ("event", "condition", "barrier")
"""A main thread waits for these while it lives for its daemon threads, until a signal comes."""
_LISTENS = ("exit", "vfork", "read", "receive", "poll")
"""Waits that are as good or bad as what is at their other end."""


class Alarm:
    """Judges each thread by its own wait, those that only listen by those they listen to."""

    def __init__(self, graph: WaitGraph, rows: Mapping[int, dict[str, Any]], python: Iterable[int]):
        self._graph = graph
        self._rows = rows
        self._python = frozenset(python)

    def raised_by(self, tid: int) -> bool:
        """Whether a thread that nothing outside can wake is stuck, and not at rest."""
        own = self._own(tid)
        if own is not None or not self._listens(self._graph.nodes[tid]):
            return bool(own)
        reach = [one for one in self._graph.reach(tid) if one in self._graph.nodes]
        if any(self._own(one) for one in reach if not self._listens(self._graph.nodes[one])):
            return True
        # Of those that listen to each other none ever speaks; but one whose main thread rests
        # is at rest, and so are those that listen to it.
        mains = {self._graph.nodes[one].thread.pid for one in reach}
        return not any(self._own(main) is False for main in mains if main in self._graph.nodes)

    def _listens(self, node: Node) -> bool:
        row = self._rows.get(node.thread.tid)
        asyncio = row is not None and row["waits_for"] == "asyncio"
        return node.wait.kind in _LISTENS and not asyncio

    def _own(self, tid: int) -> bool | None:
        """Stuck, at rest, or ``None`` where the thread by itself tells neither."""
        node = self._graph.nodes[tid]
        row = self._rows.get(tid)
        main = tid == node.thread.pid
        if node.thread.pid not in self._python:
            return None if self._listens(node) else True
        if row is None or not any(frame["kind"] == "python" for frame in row["frames"]):
            # A helper of native code.
            return True if node.owner is not None else None
        if main and row["waits_for"] == "asyncio":
            return True
        if main and stuck_in_test(row):
            return True
        if row.get("idle") or (main and row["waits_for"] in _LIVES_ON):
            return False
        return None if self._listens(node) else True


def stuck_in_test(row: Mapping[str, Any]) -> bool:
    """Whether a main thread waits, inside a test, for what elsewhere it would rest for."""
    in_test = any("/_pytest/" in (frame["file"] or "") for frame in row["frames"])
    return in_test and row["waits_for"] in (*_LIVES_ON, "queue-get")
