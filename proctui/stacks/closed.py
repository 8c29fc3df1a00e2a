"""Closed sets of the wait graph: which of them are hangs, their cycle and the evidence."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from proctui.stacks.alarm import Alarm
from proctui.stacks.graph import Edge, Node, WaitGraph
from proctui.stacks.judging import Judgement, reasons, thread_sentence
from proctui.stacks.looking import Observed
from proctui.stacks.origins import Frame, innermost_user, owner_of
from proctui.stacks.rlocks import owner_idents
from proctui.stacks.trace import frame_text

__all__ = ["ClosedSets"]

_FATAL = frozenset({4, 5, 6, 7, 8, 11})
"""ILL TRAP ABRT BUS FPE SEGV: faulthandler catches them, nobody sends them to wake a sleeper."""
_TIMERS = frozenset({14, 26, 27})
_NEVER_WAKE = frozenset({28, 32, 33, 34})
"""WINCH, which whoever imports readline catches, and those that the C library keeps for itself."""
_SIGINT = 2
_WAITS_FOR_SIGNAL = ("event", "condition", "asyncio", "selector", "poll", "queue-get", "server")
_MOST_STRANGERS = 32
_RLOCK_SECONDS = 2.0
"""Of our own CPU time, for all the searches of one look."""


class ClosedSets:
    """The greatest closed set, and what each process in it is to be told."""

    def __init__(self, graph: WaitGraph, seen: dict[int, Observed]) -> None:
        self.graph = graph
        self.seen = seen
        self.rows = {tid: row for one in seen.values() for tid, row in one.rows.items()}
        self.python = {pid for pid, one in seen.items() if one.python}
        self._know_rlocks()
        # All that the graph was made of has been read: whoever slept until now has changed none.
        for one in seen.values():
            one.recount()
        minded = [pid for pid in self.python if self._caught_on_purpose(pid)]
        self.alarm = Alarm(graph, self.rows, self.python, minded)
        self._unseen = {t for t, node in graph.nodes.items() if node.thread.pid not in seen}
        self._awake = {t for t, node in graph.nodes.items() if self._may_wake(node)}
        self.members = graph.closed(self._awake | self._unseen)
        self._locking = {owner_of(user) for row in self.rows.values() if (user := _wants_lock(row))}
        self.harmless = frozenset(tid for tid in graph.nodes if self._is_harmless(tid))
        self.locked = graph.closed(self._awake | self._unseen, self.harmless)
        self.edges: list[Edge] = []

    def _is_harmless(self, tid: int) -> bool:
        """A worker that waits for work in another's code alone holds no lock of those who wait."""
        row = self.rows.get(tid)
        if row is None or self.graph.nodes[tid].thread.pid not in self.python:
            return False
        if not any(frame["kind"] == "python" for frame in row["frames"]):
            return True
        user = innermost_user(row["frames"])
        return bool(row.get("idle")) and (user is None or owner_of(user) not in self._locking)

    def _know_rlocks(self) -> None:
        """Whoever owns an RLock is its only waker; a Lock may be released by anybody."""
        wanted: dict[int, list[Node]] = {}
        for tid, row in self.rows.items():
            node = self.graph.nodes.get(tid)
            if node is None or not row.get("lock") or node.edges or node.wait.kind != "futex":
                continue
            if not node.wait.timed and self.seen[node.thread.pid].still(tid):
                wanted.setdefault(node.thread.pid, []).append(node)
        closed = self.graph.closed()
        until = time.thread_time() + _RLOCK_SECONDS
        # Where no closed set explains a wait yet, the owner is wanted most.
        for pid, nodes in sorted(wanted.items(), key=lambda item: item[1][0].thread.tid in closed):
            if time.thread_time() > until:
                return
            owners = owner_idents(pid, {node.wait.target or 0 for node in nodes})
            for node in nodes:
                if node.wait.target in owners:
                    self.graph.nodes[node.thread.tid] = self._owned(node, owners[node.wait.target])

    def _owned(self, node: Node, ident: int) -> Node:
        pid, tid = node.thread.pid, node.thread.tid
        rows = self.seen[pid].rows
        owner = next((other for other, row in rows.items() if row.get("ident") == ident), None)
        if owner is None:
            edge = Edge(pid, tid, pid, None, "waits for an RLock whose owner, a thread, has ended")
            # Unless it is one of C code that Python does not know at the moment.
            known = {other for other, row in rows.items() if row.get("ident") is not None}
            others = {thread.tid for thread in self.graph.world.threads(pid)} - known
            return node._replace(wakers=frozenset(others), edges=(edge,))
        edge = Edge(pid, tid, pid, owner, f"waits for an RLock that thread {owner} owns")
        return node._replace(wakers=frozenset({owner}), edges=(edge,), owner=owner)

    def strangers(self) -> set[int]:
        """Processes that were not looked at and would close a set that hangs: they are to be."""
        closed = self.graph.closed(self._awake)
        stuck = [t for t in closed - self._unseen if self.alarm.raised_by(t)]
        reach = {one for tid in stuck for one in self.graph.reach(tid)}
        found = {self.graph.nodes[one].thread.pid for one in reach & self._unseen}
        return found if len(found) <= _MOST_STRANGERS else set()

    def _may_wake(self, node: Node) -> bool:
        """Whether a thread ran during the look, or a caught signal may be meant to wake it."""
        one = self.seen.get(node.thread.pid)
        return (one is not None and not one.still(node.thread.tid)) or self._signal_wakes(node)

    def _signal_wakes(self, node: Node) -> bool:
        pid, tid = node.thread.pid, node.thread.tid
        caught = self._caught_on_purpose(pid)
        if caught is None:
            return True
        if pid in self.python:
            row = self.rows.get(tid)
            kind = row["waits_for"] if row else "unknown"
            return tid == pid and kind in _WAITS_FOR_SIGNAL and bool(caught)
        if node.owner is not None:
            return False
        own_pipe = node.wait.kind in ("read", "receive") and any(
            edge.to_pid == pid for edge in node.edges
        )
        return (node.wait.kind in ("futex", "poll") or own_pipe) and bool(caught)

    def _caught_on_purpose(self, pid: int) -> frozenset[int] | None:
        """Signals that may be meant to wake a sleeper; ``None`` where they may not be read."""
        signals = self.graph.world.signals(pid)
        if signals is None:
            return None
        caught = frozenset(signals.caught) - _FATAL - _TIMERS - _NEVER_WAKE
        # Python's own handler of SIGINT stands in every program.
        return caught - {_SIGINT} if pid in self.python else caught

    def judge(self, pid: int) -> Judgement | None:
        """The verdict for a process with a thread of its own in a closed set that alarms."""
        inside = [tid for tid in self.members if self.graph.nodes[tid].thread.pid == pid]
        own = sorted(
            (tid for tid in inside if self.alarm.raised_by(tid)), key=lambda tid: (tid != pid, tid)
        )
        if not own:
            return None
        reach = self.graph.reach(own[0])
        return self._judgement(
            pid, own[0], reach, [one for one in sorted(reach) if self.alarm.raised_by(one)]
        )

    def _judgement(self, pid: int, tid: int, reach: set[int], culprits: list[int]) -> Judgement:
        doubts = self.graph.doubts(reach)
        asyncio = [one for one in culprits if self._kind(one) == "asyncio"]
        if asyncio and len(asyncio) == len(culprits):
            # Its tasks would tell what is awaited; the kernel shows the selector alone.
            doubts.append("a signal handler sets what its event loop waits for")
        cycle = self._cycle(tid, reach, culprits)
        told = self._told(pid, culprits) + self._suspects(culprits, reach)
        evidence = [self._sentence(one) for one in told]
        evidence.append("none of them ran during the look, and nothing outside them can end it")
        verdict = "suspected" if doubts else "deadlock-proven"
        return Judgement(verdict, evidence, cycle if not doubts or len(cycle) > 1 else None, doubts)

    def _told(self, pid: int, culprits: list[int]) -> list[int]:
        """Those of the process first, then who is the trouble; a handful is enough."""
        own = [tid for tid in culprits if self.graph.nodes[tid].thread.pid == pid]
        others = [tid for tid in culprits if tid not in own]
        return [*own, *sorted(others, key=lambda tid: not self.alarm.is_stuck(tid))][:8]

    def _suspects(self, culprits: list[int], reach: set[int]) -> list[int]:
        """At rest by themselves, but a culprit may wait for just that thread: nobody else tells which."""
        joined = {self.graph.nodes[c].thread.pid for c in culprits if self._kind(c) == "join"}
        locked = {self.graph.nodes[c].thread.pid for c in culprits if self._kind(c) == "lock"}
        found = []
        for tid in sorted(reach - set(culprits)):
            row, node = self.rows.get(tid), self.graph.nodes.get(tid)
            if row is None or node is None or row["waits_for"].startswith("pool-"):
                continue
            pid = node.thread.pid
            framed = any(frame["kind"] == "python" for frame in row["frames"])
            if framed and (pid in joined or (pid in locked and tid not in self.harmless)):
                found.append(tid)
        return found[:4]

    def _kind(self, tid: int) -> str:
        row = self.rows.get(tid)
        return str(row["waits_for"]) if row else self.graph.nodes[tid].wait.kind

    def _sentence(self, tid: int) -> str:
        node = self.graph.nodes[tid]
        if node.edges:
            where = thread_sentence(self.rows.get(tid), node, with_wait=False)
            return f"{where} {reasons(node)}"
        return thread_sentence(self.rows.get(tid), node)

    def _cycle(self, tid: int, reach: set[int], culprits: list[int]) -> list[int]:
        """Pids where the cycle spans processes, else the thread ids of the one."""
        stuck = {self.graph.nodes[one].thread.pid for one in culprits}
        by_pid = self._process_cycle(tid, reach, stuck)
        if by_pid:
            return by_pid
        owned = self._owner_cycle(culprits)
        if owned:
            return owned
        # The heart of the matter is where a lock is waited for, be it in another process; who
        # only listens to somebody stuck is in no cycle.
        own = self.graph.nodes[tid].thread.pid
        locked = [one for one in culprits if self._kind(one) in ("lock", "futex", "pi-mutex")]
        hearts = locked or [one for one in culprits if self.alarm.is_stuck(one)]
        pids = [self.graph.nodes[one].thread.pid for one in hearts]
        pid = own if own in pids or not pids else pids[0]
        waiting = [one for one in culprits if self.graph.nodes[one].thread.pid == pid]
        chosen = [one for one in waiting if one in locked] or waiting
        if len(chosen) > 1:
            self._link(chosen)
        return chosen

    def _link(self, tids: list[int]) -> None:
        """Only the others of the process can release what each of them waits for."""
        for one, other in zip(tids, [*tids[1:], tids[0]], strict=True):
            node = self.graph.nodes[one]
            if not node.edges:
                row = self.rows.get(one)
                where = innermost_user(row["frames"]) if row else None
                at = f" at {frame_text(where)}" if where else ""
                words = (row["wait"] if row else None) or node.wait.words
                why = f"{words}{at}, which only other threads of its process can end"
                self.edges.append(Edge(node.thread.pid, one, node.thread.pid, other, why))

    def _owner_cycle(self, tids: Iterable[int]) -> list[int]:
        for start in tids:
            chain: list[int] = []
            current: int | None = start
            while current is not None and current not in chain:
                chain.append(current)
                node = self.graph.nodes.get(current)
                current = node.owner if node else None
            if current is not None:
                return chain[chain.index(current) :]
        return []

    def _process_cycle(self, tid: int, reach: set[int], stuck: set[int]) -> list[int]:
        """A cycle of at least two stuck processes along the edges of the set."""
        following: dict[int, list[int]] = {}
        for one in reach:
            for edge in self._likely_edges(one):
                known = following.setdefault(edge.pid, [])
                if edge.to_pid != edge.pid and edge.to_pid in stuck and edge.to_pid not in known:
                    known.append(edge.to_pid)
        start = self.graph.nodes[tid].thread.pid
        return _find_cycle(following, start)

    def _likely_edges(self, tid: int) -> tuple[Edge, ...]:
        """Of those who share a lock, the ones that wait for a lock themselves are in its cycle."""
        node = self.graph.nodes.get(tid)
        if node is None:
            return ()
        if node.wait.kind != "futex":
            return node.edges
        locked = {
            self.graph.nodes[one].thread.pid for one in self.members if self._kind(one) == "lock"
        }
        return tuple(edge for edge in node.edges if edge.to_pid in locked) or node.edges


def _wants_lock(row: dict[str, Any]) -> Frame | None:
    """Where the program waits for a lock; ``None`` where it does not."""
    return innermost_user(row["frames"]) if row.get("lock") else None


def _find_cycle(following: dict[int, list[int]], start: int) -> list[int]:
    """The shortest cycle that can be reached from ``start``, through it where there is one."""
    for begin in [start, *sorted(set(following) - {start})]:
        paths, done = [[begin]], {begin}
        for path in paths:
            for following_pid in following.get(path[-1], ()):
                if following_pid == begin:
                    return path
                if following_pid not in done:
                    done.add(following_pid)
                    paths.append([*path, following_pid])
    return []
