"""What knowing and ending costs: ``python -m tests.benchmarks.guard [--json FILE]``.

The classification of a tick among a crowd, a baseline of the crowd, the plan
for a large tree and its end.  Everybody is started and ended here.  CPU time
of this process is held against the goal, which on a machine at rest is the clock's; the end
of a tree is waited for, so there it is the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import proctui
from proctui.awareness.baseline import Baseline
from proctui.awareness.library import ProcessBaseline
from proctui.awareness.opening import frugal_source
from proctui.awareness.watch import Watch
from proctui.awareness.writer import create_session
from proctui.jobs.census import Census
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan
from proctui.machine import identity
from proctui.machine.source import open_source
from tests.benchmarks import crowd
from tests.benchmarks.machine import describe, headline, write_json

MINE = 100
T = TypeVar("T")


class Cost(NamedTuple):
    """Milliseconds of CPU of this process, and of the clock."""

    cpu: float
    wall: float


def cost(act: Callable[..., T], *arguments: Any, **options: Any) -> tuple[Cost, T]:
    """What one call takes, and what it returns."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = act(*arguments, **options)
    return Cost((time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3), result


def middle(costs: list[Cost]) -> dict[str, float]:
    return {
        "cpu_ms": statistics.median(one.cpu for one in costs),
        "wall_ms": statistics.median(one.wall for one in costs),
    }


def classification(rounds: int) -> dict[str, Any]:
    """A tick in which nothing of the job moved: the verdicts alone, and all beyond the reading."""
    source = open_source()
    baseline, _ = Baseline.capture(source)
    writer = create_session("benchmark", kind="library", leader=identity.own())
    writer.write_baseline(baseline)
    with Watch(source, writer=writer, history=0) as watch, crowd.idle(MINE - 1):
        # A look reads everybody, and a newcomer is looked at twice.
        for _ in range(3):
            watch.look()
            time.sleep(0.5)
        job = len(watch.look().job)
        verdicts, beyond = [], []
        for _ in range(rounds):
            reading, snapshot = cost(source.sample)
            verdicts.append(cost(watch.classifier.update, snapshot)[0])
            tick, _ = cost(watch.tick)
            beyond.append(Cost(tick.cpu - reading.cpu, tick.wall - reading.wall))
            time.sleep(0.05)
    writer.discard()
    return {
        "processes": len(snapshot.procs),
        "of_the_job": job,
        "verdicts": middle(verdicts),
        "tick_beyond_reading": middle(beyond),
    }


def baselines(rounds: int) -> dict[str, Any]:
    """Of a library's caller, with its sampler, and of a runner, which has none."""

    def captured() -> None:
        source = frugal_source()
        Baseline.capture(source)
        source.close()

    return {
        "library": middle([cost(captured)[0] for _ in range(rounds)]),
        "runner": middle([cost(Census().take)[0] for _ in range(rounds)]),
    }


def ending(size: int, rounds: int) -> dict[str, Any]:
    """Plan and end of a tree that obeys TERM, and a plan for whoever has no watch open yet."""
    plans, ends, whole = [], [], []
    for _ in range(rounds):
        with ProcessBaseline(register=False) as baseline, crowd.idle(size - 1) as root:
            baseline.look()
            planned, plan = cost(make_plan, baseline.look, [root], scope="tree")
            assert len(plan.targets) == size
            ended, report = cost(execute, plan, baseline.look)
            assert report.done and len(report.results) == size
        with crowd.idle(size - 1) as root:
            anew, document = cost(proctui.plan_kill, root, tree=True)
            assert len(document["plan"]["targets"]) == size
        plans.append(planned)
        ends.append(ended)
        whole.append(anew)
    return {"plan": middle(plans), "plan_kill": middle(whole), "kill": middle(ends)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--crowd", type=int, default=10_000, help="processes around (10000)")
    parser.add_argument("--tree", type=int, default=1000, help="size of the tree ended (1000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    machine = describe()
    with tempfile.TemporaryDirectory(dir=Path.home()) as place:
        os.environ |= {"XDG_STATE_HOME": f"{place}/state", "PROCTUI_FALLBACK": f"{place}/fallback"}
        end = ending(args.tree, args.rounds)
        with crowd.idle(max(0, args.crowd - crowd.processes())):
            tick = classification(args.rounds * 4)
            base = baselines(args.rounds)
            among = ending(args.tree, 1)
    print(headline(machine))
    crowded = f"{tick['processes']} processes"
    rows: list[tuple[str, dict[str, float], str, float | None]] = [
        (f"verdicts of a quiet tick, {crowded}", tick["verdicts"], "cpu_ms", 5),
        ("  all of the tick beyond the reading", tick["tick_beyond_reading"], "cpu_ms", None),
        (f"baseline of a library, {crowded}", base["library"], "cpu_ms", 1000),
        ("  of a runner", base["runner"], "cpu_ms", 1000),
        (f"plan for a tree of {args.tree}", end["plan"], "cpu_ms", 200),
        ("  plan_kill(), which opens its eyes first", end["plan_kill"], "cpu_ms", 200),
        ("  among the crowd", among["plan"], "wall_ms", None),
        ("its end, obeying TERM", end["kill"], "wall_ms", 2000),
        ("  among the crowd", among["kill"], "wall_ms", None),
    ]
    print(f"{'milliseconds':<46} {'CPU':>8} {'clock':>8}  goal")
    for name, found, clock, goal in rows:
        bound = mark = ""
        if goal is not None:
            bound, mark = f"≤ {goal}", "reached" if found[clock] <= goal else "MISSED"
        print(f"{name:<46} {found['cpu_ms']:8.1f} {found['wall_ms']:8.1f}  {bound:<7} {mark}")
    write_json(
        args.json,
        {"machine": machine, "tick": tick, "baseline": base, "end": end, "among": among},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
