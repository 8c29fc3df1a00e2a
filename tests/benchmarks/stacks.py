"""What a look costs, the job that is looked at above all: ``python -m tests.benchmarks.stacks``.

Prints one JSON document.  ``pause``: the longest gap of a heartbeat of one
millisecond in the target, while nothing and while something looks.
``one``: ``proctui stack`` against py-spy.  ``many``: the stacks of a hundred
Python processes against a loop of py-spy.  ``graph``: the wait graph of a
thousand processes.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from proctui import stacks
from proctui.stacks.graph import WaitGraph
from proctui.stacks.tooling import find_tool
from proctui.stacks.world import World
from tests.support import python, running

SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
HEARTBEAT = """
import sys, time
print('ready', flush=True)
longest, last = 0.0, time.perf_counter()
while True:
    time.sleep(0.001)
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
    if not int(now * 1000) % 100:
        sys.stdout.write(f'{longest}\\n'); sys.stdout.flush(); longest = 0.0
"""


def median(action: Callable[[], object], times: int) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(taken), 1)


def quietly(argv: Sequence[str]) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


@contextlib.contextmanager
def pythons(count: int) -> Iterator[list[int]]:
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(running(python(SLEEPER), stdout=subprocess.PIPE))
            for _ in range(count)
        ]
        for child in children:
            assert child.stdout.readline()
        yield [child.pid for child in children]


def pause(seconds: float = 3.0) -> dict[str, float]:
    """Longest gap of the heartbeat in milliseconds: untouched, while captured, while paused."""
    found: dict[str, float] = {}
    with running(python(HEARTBEAT), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        looks: dict[str, Callable[[], object]] = {
            "untouched": lambda: time.sleep(0.05),
            "nonblocking": lambda: stacks.capture(child.pid),
            "hangs": lambda: stacks.find_hangs(child.pid, 0.1),
            "exact": lambda: stacks.capture(child.pid, exact=True),
        }
        for name, look in looks.items():
            until, gaps = time.monotonic() + seconds, []
            child.stdout.readline()
            while time.monotonic() < until:
                look()
                gaps.append(float(child.stdout.readline()))
            found[name] = round(max(gaps) * 1000, 2)
    return found


def one() -> dict[str, float]:
    tool = find_tool("py-spy") or "py-spy"
    with pythons(1) as (pid,):
        found = {
            "python_start_ms": median(lambda: quietly([sys.executable, "-c", "pass"]), 21),
            "py_spy_ms": median(
                lambda: quietly([tool, "dump", "--nonblocking", "--pid", str(pid)]), 21
            ),
            "proctui_ms": median(
                lambda: quietly([sys.executable, "-m", "proctui", "stack", str(pid)]), 21
            ),
        }
    found["allowed_ms"] = round(1.5 * (found["py_spy_ms"] + found["python_start_ms"]), 1)
    return found


def many(count: int = 100) -> dict[str, float]:
    tool = find_tool("py-spy") or "py-spy"
    with pythons(count) as pids:
        first: list[float] = []
        began = time.perf_counter()
        stacks.capture_many(pids, lambda _: first.append(time.perf_counter() - began))
        ours = time.perf_counter() - began
        began = time.perf_counter()
        for pid in pids:
            quietly([tool, "dump", "--nonblocking", "--pid", str(pid)])
        loop = time.perf_counter() - began
    return {
        "processes": count,
        "loop_s": round(loop, 2),
        "proctui_s": round(ours, 2),
        "share": round(ours / loop, 2),
        "first_s": round(first[0], 3),
    }


def graph(count: int = 1000) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        children = [stack.enter_context(running(["cat"], **pipes)) for _ in range(count)]
        pids = [child.pid for child in children]

        def look() -> None:
            WaitGraph(World(), pids).closed()

        return {"processes": count, "graph_ms": median(look, 5)}


def main() -> None:
    results: dict[str, Any] = {"pause_ms": pause(), "one": one(), "many": many(), "graph": graph()}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
