"""Native frames by eu-stack (elfutils) and gdb, for what py-spy knows nothing of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from proctui.stacks.starting import find_tool
from proctui.stacks.tooling import Outcome
from proctui.text import sanitize

__all__ = ["parse_eu_stack", "parse_gdb", "reason", "tools"]

Frames = dict[int, list[dict[str, Any]]]

_EU_TID = re.compile(r"^TID (\d+):")
_EU_FRAME = re.compile(
    r"^#\d+\s+0x[0-9a-f]+(?: -)?\s+(?P<function>\S+)?(?:\s+-\s+(?P<module>\S+))?$"
)
_EU_SOURCE = re.compile(r"^\s{4,}(?P<file>/\S+?):(?P<line>\d+)")
_GDB_THREAD = re.compile(r"^Thread \d+ \(.*?(?:LWP (?P<lwp>\d+)|process (?P<pid>\d+))")
_GDB_FRAME = re.compile(
    r"^#\d+\s+(?:0x[0-9a-f]+ in )?(?P<function>.+?) \(.*?\)(?: at (?P<file>.+?):(?P<line>\d+)| from (?P<module>.+))?$"
)


def tools(pid: int) -> list[tuple[str, list[str], Callable[[str], Frames]]]:
    """The native tools that are installed, best first: name, command, parser."""
    found: list[tuple[str, list[str], Callable[[str], Frames]]] = []
    eu_stack = find_tool("eu-stack")
    if eu_stack:
        found.append(("eu-stack", [eu_stack, "-m", "-s", "-p", str(pid)], parse_eu_stack))
    gdb = find_tool("gdb")
    if gdb:
        argv = [
            gdb,
            "-nx",
            "-batch",
            "-p",
            str(pid),
            "-ex",
            "set width 0",
            "-ex",
            "set print frame-arguments none",
        ]
        found.append(("gdb", [*argv, "-ex", "thread apply all bt"], parse_gdb))
    return found


def _frame(function: str | None, file: str | None, line: str | None) -> dict[str, Any]:
    return {
        "function": sanitize((function or "?").split("@")[0]),
        "file": sanitize(file) if file else None,
        "line": int(line) if line else None,
        "kind": "native",
    }


def parse_eu_stack(text: str) -> Frames:
    """Frames by thread id, innermost first."""
    frames: Frames = {}
    current: list[dict[str, Any]] = []
    for row in text.splitlines():
        if thread := _EU_TID.match(row):
            current = frames.setdefault(int(thread[1]), [])
        elif frame := _EU_FRAME.match(row):
            current.append(_frame(frame["function"], frame["module"], None))
        elif current and (source := _EU_SOURCE.match(row)):
            current[-1].update(file=sanitize(source["file"]), line=int(source["line"]))
    return frames


def parse_gdb(text: str) -> Frames:
    """Frames by thread id, innermost first."""
    frames: Frames = {}
    current: list[dict[str, Any]] = []
    for row in text.splitlines():
        if thread := _GDB_THREAD.match(row):
            current = frames.setdefault(int(thread["lwp"] or thread["pid"]), [])
        elif frame := _GDB_FRAME.match(row):
            current.append(
                _frame(frame["function"], frame["file"] or frame["module"], frame["line"])
            )
    return frames


def reason(outcome: Outcome) -> str:
    """Why a tool gave nothing, in its own words."""
    if outcome.status is None:
        return "it took too long and was ended"
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    return sanitize(lines[0][:200]) if lines else f"it ended with status {outcome.status}"
