"""Who waits for whom: threads as nodes, and for each what could wake it.

Threads, not processes: in a graph of processes every idle pytest-xdist
worker closes a cycle with its controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any, NamedTuple

from proctui.errors import check_pid
from proctui.stacks import kernel
from proctui.stacks.kernel import ThreadLook
from proctui.stacks.wakers import WakerFinder
from proctui.stacks.wording import Wait
from proctui.stacks.world import World

__all__ = ["Edge", "Node", "WaitGraph", "wait_graph"]

_TIMER_SIGNALS = {14: "SIGALRM", 26: "SIGVTALRM", 27: "SIGPROF"}


class Edge(NamedTuple):
    """``tid`` of ``pid`` waits for ``to_tid`` of ``to_pid`` (``None``: any of its threads)."""

    pid: int
    tid: int
    to_pid: int
    to_tid: int | None
    why: str


class Node(NamedTuple):
    """A thread, its wait, and what could end it.

    ``wakers`` are the threads that could; ``outside`` what else could (then
    it is no part of a closed set); ``doubts`` what can't be seen but might.
    """

    thread: ThreadLook
    wait: Wait
    wakers: frozenset[int]
    outside: tuple[str, ...]
    doubts: tuple[str, ...]
    edges: tuple[Edge, ...]
    owner: int | None = None

    @property
    def blocked(self) -> bool:
        """Asleep without a time limit, and nothing outside the graph known to end it."""
        return not self.wait.timed and not self.outside and self.wait.kind != "running"


class WaitGraph:
    """The waits of the asked processes and of everything they wait for."""

    def __init__(self, world: World, pids: Iterable[int]) -> None:
        self.world = world
        self.nodes: dict[int, Node] = {}
        self.pids: set[int] = set()
        queue = list(dict.fromkeys(pids))
        for pid in queue:
            if pid in self.pids:
                continue
            self.pids.add(pid)
            for thread in world.threads(pid):
                node, more = self._node(thread)
                self.nodes[thread.tid] = node
                queue.extend(more)

    def _node(self, thread: ThreadLook) -> tuple[Node, list[int]]:
        wait = self.world.wait(thread)
        if wait.timed or wait.kind == "running":
            return Node(thread, wait, frozenset(), (), (), ()), []
        finder = WakerFinder(self.world, thread, wait)
        finder.find()
        edges: list[Edge] = []
        wakers: set[int] = set()
        for pid, why in finder.processes.items():
            # A process that itself holds the other end can be woken by its other threads only.
            tids = [t.tid for t in self.world.threads(pid) if t.tid != thread.tid]
            wakers.update(tids)
            if pid != thread.pid:
                look = self.world.look(pid)
                if look is not None and look.state in "Tt":
                    why += f"; {pid} is stopped"
                edges.append(Edge(thread.pid, thread.tid, pid, None, why))
        if finder.others is not None:
            wakers.update(t.tid for t in self.world.threads(thread.pid) if t.tid != thread.tid)
        if finder.owner is not None:
            wakers.add(finder.owner)
            why = f"waits for a mutex that thread {finder.owner} owns"
            edges.append(Edge(thread.pid, thread.tid, thread.pid, finder.owner, why))
        if finder.joined is not None:
            wakers.add(finder.joined)
            why = f"waits for thread {finder.joined} to end"
            edges.append(Edge(thread.pid, thread.tid, thread.pid, finder.joined, why))
        node = Node(
            thread,
            wait,
            frozenset(wakers),
            tuple(dict.fromkeys(finder.outside)),
            tuple(dict.fromkeys(finder.doubts)),
            tuple(edges),
            finder.owner,
        )
        # What something outside can end needs no further search.
        return node, [] if finder.outside else list(finder.processes)

    def closed(
        self,
        extra_outside: Set[int] = frozenset(),
        harmless: Set[int] = frozenset(),
    ) -> set[int]:
        """The greatest set of threads that are all blocked and whose wakers are all in it.

        ``extra_outside`` are no members whatever they wait for; ``harmless``
        are not counted as wakers.
        """
        members = {
            tid for tid, node in self.nodes.items() if node.blocked and tid not in extra_outside
        }
        changed = True
        while changed:
            leaving = {tid for tid in members if not self.nodes[tid].wakers - harmless <= members}
            members -= leaving
            changed = bool(leaving)
        return members

    def reach(self, tid: int) -> set[int]:
        """A thread and everything that could, by any chain, wake it."""
        seen, queue = {tid}, [tid]
        for one in queue:
            for waker in self.nodes[one].wakers if one in self.nodes else ():
                if waker not in seen:
                    seen.add(waker)
                    queue.append(waker)
        return seen

    def doubts(self, tids: Iterable[int]) -> list[str]:
        """What might still end the waits of a closed set and can't be seen or excluded."""
        tids = [tid for tid in tids if tid in self.nodes]
        found = [doubt for tid in tids for doubt in self.nodes[tid].doubts]
        kinds = {self.nodes[tid].wait.kind for tid in tids}
        for pid in sorted({self.nodes[tid].thread.pid for tid in tids}):
            found += timers(self.world, pid)
        if (
            kinds & {"read", "write", "receive", "send", "poll"}
            and self.world.descriptors_in_flight()
        ):
            found.append("a descriptor on its way through a UNIX socket is the other end")
        return list(dict.fromkeys(found))

    def sentences(self) -> list[Edge]:
        return [edge for node in self.nodes.values() for edge in node.edges]


def timers(world: World, pid: int) -> list[str]:
    """Timers of a process that may break a wait: setitimer(2) is invisible but for its handler."""
    signals = world.signals(pid)
    if signals is None:
        return [f"{pid} has a timer (its signals may not be read)"]
    found = [
        f"a timer sends {pid} the {name} that it catches"
        for number, name in _TIMER_SIGNALS.items()
        if number in signals.caught
    ]
    try:
        with open(f"/proc/{pid}/timers", encoding="ascii", errors="replace") as file:
            if file.read(4096).strip():
                found.append(f"the POSIX timer of {pid} wakes it")
    except OSError:
        pass
    return found


def wait_graph(pids: int | Iterable[int]) -> list[dict[str, Any]]:
    """Who waits for whom among the processes and what they wait for.

    ``from`` and ``to`` are thread ids (a main thread's is its pid; ``to`` is
    a pid where any thread of it may be the one), ``from_pid`` and ``to_pid``
    their processes.
    """
    kernel.need()
    world = World()
    asked = [pids] if isinstance(pids, int) else list(pids)
    graph = WaitGraph(world, [check_pid(pid) for pid in asked])
    return [edge_row(edge) for edge in graph.sentences()]


def edge_row(edge: Edge) -> dict[str, Any]:
    """An edge as the contract shows it."""
    return {
        "from": edge.tid,
        "to": edge.to_tid if edge.to_tid is not None else edge.to_pid,
        "why": edge.why,
        "from_pid": edge.pid,
        "to_pid": edge.to_pid,
    }
