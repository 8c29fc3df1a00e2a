"""What the faces cost: ``python -m tests.benchmarks.faces [--crowd N]``.

Prints one JSON document, milliseconds.  Wall time is the best of several
tries, as it is the one least disturbed; ``cpu`` is our own processor time,
which other work on the machine hardly touches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import proctui
from tests.benchmarks.crowd import idle
from tests.support import running

_TRIES = 7


def wall(work: Callable[[], object], tries: int = _TRIES) -> float:
    """Milliseconds of the fastest try."""
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return round(best * 1000, 1)


def cpu(work: Callable[[], object], tries: int = 3) -> float:
    """Milliseconds of processor time of the cheapest try."""
    best = float("inf")
    for _ in range(tries):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return round(best * 1000, 1)


def interpreter(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def command(*argv: str) -> Callable[[], object]:
    line = [sys.executable, "-m", "proctui", *argv]
    return lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


async def _mcp() -> dict[str, float]:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(command=sys.executable, args=["-m", "proctui", "mcp"])
    async with (
        stdio_client(parameters) as (reading, writing),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        best = {"get_memory_profile": float("inf"), "inspect_process": float("inf")}
        for _ in range(_TRIES):
            for name in best:
                began = time.perf_counter()
                await session.call_tool(name, {"pid": os.getpid()})
                best[name] = min(best[name], time.perf_counter() - began)
    return {name: round(value * 1000, 1) for name, value in best.items()}


def measure(crowd: int) -> dict[str, Any]:
    bare = wall(interpreter("pass"))
    result: dict[str, Any] = {
        "bare_python": bare,
        "import_over_bare": round(wall(interpreter("import proctui")) - bare, 1),
        "version": wall(command("--version")),
        "help": wall(command("--help")),
    }
    with running(["sleep", "600"]) as sleeper:
        pid = sleeper.pid
        result["inspect_process"] = wall(lambda: proctui.inspect_process(pid))
        result["get_memory_profile_pid"] = wall(lambda: proctui.get_memory_profile(pid))
    result["mcp_call"] = asyncio.run(_mcp())
    with idle(crowd):
        result["crowd"] = crowd
        result["tree_of_crowd"] = wall(lambda: proctui.show_process_tree(1), 3)
        result["tree_of_crowd_cpu"] = cpu(lambda: proctui.show_process_tree(1))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crowd", type=int, default=10_000, help="processes for the tree")
    print(json.dumps(measure(parser.parse_args().crowd), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
