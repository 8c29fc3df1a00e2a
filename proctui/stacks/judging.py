"""Judging one process by itself: the GIL, locks by their source, CPU, state, known idle leaves."""

from __future__ import annotations

from typing import Any, NamedTuple

from proctui.stacks import locks
from proctui.stacks.alarm import stuck_in_test
from proctui.stacks.graph import Edge, Node, WaitGraph
from proctui.stacks.looking import Observed
from proctui.stacks.origins import innermost_user
from proctui.stacks.trace import frame_text

__all__ = ["Judgement", "judge_alone", "judge_gil", "judge_locks", "reasons", "thread_sentence"]

_TOLD_BY_EDGES = ("exit", "read", "write", "receive", "send", "file-lock")
"""Kinds of wait whose edges say all that their words say, and who is at the other end."""
BUSY_PERCENT = 5.0
"""CPU above this is work; below it may be the ticking of timed waits."""


_CHILDREN_MOST = 6


class Judgement(NamedTuple):
    verdict: str
    evidence: list[str]
    cycle: list[int] | None = None
    unless: list[str] = []
    edges: tuple[Edge, ...] = ()


def thread_sentence(
    row: dict[str, Any] | None, node: Node | None, *, with_wait: bool = True
) -> str:
    """``4711 "MainThread" at work (pkg/mod.py:12), waiting for a lock``."""
    if row is None:
        assert node is not None
        title = f'{node.thread.tid} "{node.thread.name}"'
        return f"{title}: {node.wait.words}" if with_wait else title
    title = f'{row["tid"]} "{row["name"]}"'
    where = innermost_user(row["frames"])
    if where is not None:
        title += f" at {frame_text(where)}"
    return f"{title}: {row['wait'] or 'running'}" if with_wait else title


def reasons(node: Node) -> str:
    """Why it waits, once for all whom it waits for alike."""
    if node.wait.kind == "exit" and len(node.edges) > 1:
        children = [str(edge.to_pid) for edge in node.edges]
        more = len(children) - _CHILDREN_MOST
        shown = [*children[:_CHILDREN_MOST], *([f"{more} more"] if more > 0 else [])]
        return (
            f"waits for one of its {len(children)} children to exit: "
            f"{', '.join(shown[:-1])} and {shown[-1]}"
        )
    return "; ".join(list(dict.fromkeys(edge.why for edge in node.edges))[:3])


def judge_gil(one: Observed) -> Judgement | None:
    """A thread that sleeps while it holds the GIL that others wait for."""
    if len(one.traces) < 1:
        return None
    rows = one.rows
    wanting = [row for row in rows.values() if row["waits_for"] == "gil"]
    holders = [
        row
        for row in rows.values()
        if row["holds_gil"] and row["state"] in ("S", "D") and one.still(row["tid"])
    ]
    if not holders or not wanting:
        return None
    holder = holders[0]
    evidence = [
        f"{thread_sentence(holder, None)}, holding the GIL all the while",
        ("1 thread waits" if len(wanting) == 1 else f"{len(wanting)} threads wait")
        + " for the GIL: "
        + ", ".join(thread_sentence(row, None, with_wait=False) for row in wanting[:4]),
    ]
    edges = tuple(
        Edge(one.pid, row["tid"], one.pid, holder["tid"], "waits for the GIL") for row in wanting
    )
    limit = ["that sleep ends"] if "at most" in (holder["wait"] or "") else []
    return Judgement("suspected", evidence, None, limit, edges)


def judge_locks(
    one: Observed, graph: WaitGraph, locked: set[int], harmless: frozenset[int]
) -> Judgement | None:
    """Python locks that no closed set explains: who holds them, by source and locals.

    ``locked`` is the closed set in which ``harmless`` threads, idle workers
    and native helpers, don't count as wakers.  What other processes share is
    judged by closed sets alone: their sources say nothing about each other.
    """
    rows = one.rows
    waiting = [
        row
        for row in rows.values()
        if (row.get("lock") or (row["tid"] == one.pid and stuck_in_test(row)))
        and _is_private(one, row, graph)
    ]
    if not waiting or not one.framed:
        return None
    tids = {row["tid"] for row in waiting}
    holdings = _holdings(one, tids)
    found = locks.cycles(holdings)
    # One thread that takes a lock twice may mean it for a signal: others are to release it.
    sure = [chain for chain in found if len(chain) > 1 or chain[0].tid in locked]
    if sure:
        return _inversion(one, rows, sure[0])
    unexplained = [row for row in waiting if row["tid"] in locked and not _owner(row, holdings)]
    if not unexplained:
        return None
    evidence = [thread_sentence(row, None) for row in unexplained[:6]]
    evidence.append(f"no thread of the process that could wake it ran in {one.seconds:.1f} s")
    helpers = [row for row in rows.values() if row["tid"] in harmless and row not in unexplained]
    unless = [f'{row["tid"]} "{row["name"]}" wakes it' for row in helpers[:3]]
    return Judgement("suspected", evidence, None, unless or ["a signal handler wakes it"])


def _is_private(one: Observed, row: dict[str, Any], graph: WaitGraph) -> bool:
    """A lock wait without a time limit, of this process alone, that lasted the whole look."""
    node = graph.nodes.get(row["tid"])
    return node is not None and node.blocked and not node.edges and one.still(row["tid"])


def _owner(row: dict[str, Any], holdings: list[locks.Holding]) -> locks.Holding | None:
    held = next((one for one in holdings if one.tid == row["tid"]), None)
    return locks.owner_of(held.wants, holdings) if held and held.wants else None


def _holdings(one: Observed, waiting: set[int]) -> list[locks.Holding]:
    """Needs the addresses of locals, so one more look, unpaused like all of them."""
    from proctui.errors import ProctuiError
    from proctui.stacks.capturing import capture

    try:
        threads = capture(one.pid, locals=True)["threads"]
    except ProctuiError:
        return []
    return [
        locks.holding(one.pid, row["tid"], row["frames"], waits=row["tid"] in waiting)
        for row in threads
    ]


def _inversion(
    one: Observed, rows: dict[int, dict[str, Any]], chain: list[locks.Holding]
) -> Judgement:
    evidence, edges = [], []
    for held, after in zip(chain, [*chain[1:], chain[0]], strict=True):
        wants = held.wants
        assert wants is not None
        taken = next(lock for lock in after.holds if lock.key == wants.key)
        who = "itself" if after.tid == held.tid else f'{after.tid} "{rows[after.tid]["name"]}"'
        why = f"waits for the lock {wants.text}, which {who} took at line {taken.line} as {taken.text}"
        evidence.append(f"{thread_sentence(rows[held.tid], None, with_wait=False)} {why}")
        edges.append(Edge(one.pid, held.tid, one.pid, after.tid, why))
    inside = {held.tid for held in chain}
    free = [
        f'{tid} "{row["name"]}" releases one of them'
        for tid, row in rows.items()
        if tid not in inside and _may_release(row)
    ]
    unless = [*free[:4], "the source files are not what runs"]
    return Judgement("suspected", evidence, [held.tid for held in chain], unless, tuple(edges))


def _may_release(row: dict[str, Any]) -> bool:
    """A thread that runs the program's own code, and is not itself stuck in a lock, might."""
    return not row.get("idle") and innermost_user(row["frames"]) is not None


def judge_alone(one: Observed, graph: WaitGraph) -> Judgement:
    """State, CPU and leaves: what is left when nothing hangs."""
    assert one.last is not None
    state = one.last.state
    if state in ("T", "t"):
        who = "a tracer" if state == "t" else "a signal"
        return Judgement("waiting", [f"stopped by {who}; SIGCONT lets it go on"])
    if state in ("Z", "X") and not graph.world.threads(one.pid):
        return Judgement(
            "waiting", [f"has ended; its parent {one.last.ppid} has not yet reaped it"]
        )
    main = graph.nodes.get(one.pid)
    if main is not None and main.wait.kind == "frozen":
        return Judgement("waiting", [f"{main.wait.words}; thawing it lets it go on"])
    rows = one.rows
    running = any(thread.state == "R" for thread in one.last.threads)
    leaf = next((row for row in rows.values() if row["state"] == "R" or not row["wait"]), None)
    if one.usage >= BUSY_PERCENT or running or leaf is not None:
        where = f"; {thread_sentence(leaf, None)}" if leaf else ""
        return Judgement(
            "running", [f"used {one.usage:.0f} % of a core over {one.seconds:.1f} s{where}"]
        )
    return _asleep(one, graph)


def _asleep(one: Observed, graph: WaitGraph) -> Judgement:
    main = one.pid
    rows = one.rows
    nodes = {
        t.tid: graph.nodes[t.tid] for t in graph.world.threads(one.pid) if t.tid in graph.nodes
    }
    main_tid = main if main in nodes else next(iter(nodes), main)
    quiet = all(_is_quiet(one, nodes[tid], rows.get(tid)) for tid in nodes)
    verdict = "idle" if quiet and nodes else "waiting"
    told = [
        main_tid,
        *(
            tid
            for tid in nodes
            if tid != main_tid and not _is_quiet(one, nodes[tid], rows.get(tid))
        ),
    ]
    evidence = []
    for tid in told[:6]:
        if tid not in nodes:
            continue
        row, node = rows.get(tid), nodes[tid]
        sentence = thread_sentence(row, node)
        if node.edges and node.wait.kind in _TOLD_BY_EDGES and not (row and row.get("idle")):
            sentence = f"{thread_sentence(row, node, with_wait=False)} {reasons(node)}"
        elif node.outside and node.outside[0] not in sentence:
            sentence += f"; it may be ended by {node.outside[0]}"
        evidence.append(sentence)
    return Judgement(verdict, evidence or [f"state {one.last.state if one.last else '?'}"])


def _is_quiet(one: Observed, node: Node, row: dict[str, Any] | None) -> bool:
    """A timed sleep, a known idle leaf, or a native helper thread of a Python process."""
    if row is not None and row.get("lock"):
        return False
    if node.wait.timed:
        return True
    if row is not None and row.get("idle"):
        return True
    helper = row is None or not any(frame["kind"] == "python" for frame in row["frames"])
    return one.framed and helper and node.wait.kind == "futex"
