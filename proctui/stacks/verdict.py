"""Verdicts: running, idle, waiting, suspected or deadlock-proven, each with its evidence.

"Proven" is the greatest set of threads that are all blocked without a time
limit, with every possible waker of each inside the set and readable, no
caught timer signal and no descriptor in flight.  What falls short of it is
*suspected, unless …*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proctui.errors import NoSuchProcess, check_pid
from proctui.machine.identity import identify
from proctui.stacks import kernel, names
from proctui.stacks.closed import ClosedSets
from proctui.stacks.graph import WaitGraph, edge_row
from proctui.stacks.judging import Judgement, judge_alone, judge_gil, judge_locks
from proctui.stacks.looking import Capture, Observation, Observed
from proctui.stacks.trace import joined_warnings
from proctui.stacks.world import World

__all__ = ["find_hangs", "hang_text", "is_responding"]

HANGS = ("suspected", "deadlock-proven")
_WIDENINGS = 3
_OTHERS_MOST = 8
_STRANGERS_SECONDS = 0.5
"""A set that slept while it was read is closed for good: only rests shall not be met half-way."""


def find_hangs(
    pids: int | Iterable[int],
    seconds: float = 2.0,
    *,
    descendants: bool = True,
    capture: Capture | None = None,
) -> dict[str, Any]:
    """Verdicts for processes and their descendants, looked at for ``seconds``.

    ``verdicts`` [``pid identity name label verdict evidence cycle unless``],
    ``graph`` [``from to why from_pid to_pid``], ``stacks`` (the last dump of
    each), ``seconds``, ``warnings``, ``denied``, and ``error`` where not all
    could be looked into.  Nothing is paused.  Raises
    :class:`NoSuchProcess` where none of them lives.
    """
    asked = [check_pid(pid) for pid in ([pids] if isinstance(pids, int) else pids)]
    kernel.need()
    if isinstance(pids, int):
        identify(asked[0])
    wanted = asked
    if descendants:
        tree = World()
        wanted = list(dict.fromkeys(one for pid in asked for one in tree.tree(pid)))
    observation = Observation(capture)
    observation.look(wanted, seconds)
    sets = _closed_sets(observation, seconds)
    seen = {pid: one for pid in wanted if (one := observation.seen.get(pid)) is not None}
    if not seen and asked:
        raise NoSuchProcess(f"no process {asked[0]}: it ended while it was looked at")
    graph = sets.graph
    judged: dict[int, Judgement] = {}
    for pid, one in seen.items():
        judged[pid] = (
            sets.judge(pid)
            or judge_gil(one)
            or judge_locks(one, graph, sets.locked, sets.harmless)
            or judge_alone(one, graph)
        )
    _blame_waiters(judged, seen, graph)
    edges = [*graph.sentences(), *sets.edges, *(e for j in judged.values() for e in j.edges)]
    result = {
        "verdicts": [_row(seen[pid], judged[pid]) for pid in seen],
        "graph": [edge_row(edge) for edge in dict.fromkeys(edges)],
        "seconds": round(seconds, 3),
        "stacks": [one.traces[-1] for one in seen.values() if one.traces],
        "warnings": joined_warnings(observation.failed),
        "denied": observation.denied,
    }
    if observation.errors:
        # What may be read with other rights comes before what would be with other tools.
        errors = sorted(observation.errors, key=lambda one: one["kind"] != "permission-denied")
        result["error"] = errors[0]
    return result


def _closed_sets(observation: Observation, seconds: float) -> ClosedSets:
    """Those of the processes looked at, and of others that they wait for, looked at in turn."""
    for _ in range(_WIDENINGS):
        sets = ClosedSets(WaitGraph(observation.world, observation.seen), observation.seen)
        strangers = sets.strangers()
        if not strangers:
            return sets
        observation.look(strangers, min(seconds, _STRANGERS_SECONDS))
    return ClosedSets(WaitGraph(observation.world, observation.seen), observation.seen)


def _blame_waiters(
    judged: dict[int, Judgement], seen: dict[int, Observed], graph: WaitGraph
) -> None:
    """Who waits without a time limit for the exit of a process that hangs, hangs with it."""
    changed = True
    while changed:
        changed = False
        for pid, one in seen.items():
            main = graph.nodes.get(pid)
            if (
                judged[pid].verdict in HANGS
                or main is None
                or main.wait.kind != "exit"
                or not main.blocked
            ):
                continue
            children = {edge.to_pid for edge in main.edges}
            hung = [
                child for child in children if child in judged and judged[child].verdict in HANGS
            ]
            if children and len(hung) == len(children) and one.still(pid) and len(one.after) == 1:
                evidence = [f"{main.edges[0].why}, which hangs"]
                judged[pid] = Judgement("suspected", evidence, None, judged[hung[0]].unless)
                changed = True


def _row(one: Observed, judgement: Judgement) -> dict[str, Any]:
    evidence = list(dict.fromkeys(judgement.evidence))
    if judgement.unless:
        evidence.append("unless " + "; or ".join(judgement.unless[:6]))
    return {
        "pid": one.pid,
        "identity": str(one.identity),
        "name": one.first.name,
        "label": one.traces[-1]["label"] if one.traces else names.label_of_pid(one.pid),
        "verdict": judgement.verdict,
        "evidence": evidence,
        "cycle": judgement.cycle,
        "unless": judgement.unless,
    }


def is_responding(pid: int, seconds: float = 1.0) -> bool:
    """False where the process is suspected or proven to hang, or is stopped (or frozen)."""
    check_pid(pid)
    identify(pid)
    found = find_hangs(pid, seconds, descendants=False)
    row = next(row for row in found["verdicts"] if row["pid"] == pid)
    stopped = any(
        trace["pid"] == pid
        and any(row["waits_for"] in ("stopped", "frozen") for row in trace["threads"][:1])
        for trace in found["stacks"]
    )
    return row["verdict"] not in HANGS and not stopped


def hang_text(found: dict[str, Any]) -> str:
    """The result as people read it: the worst first, then who waits for whom.

    Where something hangs, of those that don't only a few are named, and of
    the graph what has to do with those that do.
    """
    order = {"deadlock-proven": 0, "suspected": 1, "waiting": 2, "running": 3, "idle": 4}
    rows = sorted(found["verdicts"], key=lambda row: order[row["verdict"]])
    bad = {row["pid"] for row in rows if row["verdict"] in HANGS}
    shown = rows[: len(bad) + _OTHERS_MOST] if bad else rows
    lines: list[str] = []
    for row in shown:
        name = f"{row['name']} ({row['label']})" if row["label"] else row["name"]
        lines.append(f"{row['pid']} {name}: {row['verdict']}")
        lines += [f"    {sentence}" for sentence in row["evidence"]]
        if row["cycle"]:
            lines.append("    cycle: " + " → ".join(map(str, [*row["cycle"], row["cycle"][0]])))
    if len(shown) < len(rows):
        lines.append(f"… and {len(rows) - len(shown)} more that don't hang")
    edges = [edge for edge in found["graph"] if not bad or {edge["from_pid"], edge["to_pid"]} & bad]
    if edges:
        lines += ["", "Who waits for whom:"]
        lines += [f"    {edge['from']} {edge['why']}" for edge in edges]
    lines += [f"! {warning}" for warning in found["warnings"]]
    return "\n".join(lines)
