"""asyncio tasks of a running Python 3.14 or later: who awaits whom.

``python -m asyncio pstree PID`` (3.14) reads the target's memory without
pausing it.  Earlier Pythons don't expose their tasks: an event loop that
waits shows its selector and nothing else.
"""

from __future__ import annotations

import os
import re
import sys

from proctui.stacks.starting import find_tool
from proctui.stacks.tooling import run_tool
from proctui.text import sanitize, sanitize_lines

__all__ = ["FIRST", "python_version", "task_tree", "why_no_tasks"]

FIRST = (3, 14)
_TIMEOUT = 10.0
_MOST = 1 << 16


def python_version(pid: int) -> tuple[int, int] | None:
    """The minor version of a Python process, from what it maps; ``None`` where it is none."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        text = ""
    found = re.search(r"/(?:lib)?python(\d)\.(\d+)t?(?:\.so[\d.]*)?$", text, re.MULTILINE)
    if found is None:
        try:
            found = re.search(r"/python(\d)\.(\d+)t?$", os.readlink(f"/proc/{pid}/exe"))
        except OSError:
            return None
    return (int(found[1]), int(found[2])) if found else None


def _interpreter(version: tuple[int, int]) -> str | None:
    """An interpreter of *ours* with that version; the target's own file is never run."""
    if sys.version_info[:2] == version:
        return sys.executable
    return find_tool(f"python{version[0]}.{version[1]}")


def why_no_tasks(version: tuple[int, int] | None) -> str | None:
    """Why the tasks of such a process can't be shown; ``None`` where they can."""
    if version is None:
        return "it is no Python process"
    if version < FIRST:
        return (
            f"Python {version[0]}.{version[1]} does not expose its asyncio tasks, 3.14 and later do"
        )
    if _interpreter(version) is None:
        return f"its asyncio tasks need a python{version[0]}.{version[1]} on PATH"
    return None


def task_tree(pid: int) -> tuple[str | None, str | None]:
    """The tree of tasks as text, or ``None`` and why not."""
    version = python_version(pid)
    reason = why_no_tasks(version)
    if reason is not None or version is None:
        return None, reason
    interpreter = _interpreter(version)
    assert interpreter is not None
    done = run_tool([interpreter, "-m", "asyncio", "pstree", str(pid)], _TIMEOUT)
    text = sanitize_lines(done.out[:_MOST].decode("utf-8", "replace")).strip()
    if done.status == 0 and text:
        return text, None
    trouble = next(
        (line for line in reversed(done.err.splitlines()) if line.strip()), "it said nothing"
    )
    return None, f"its asyncio tasks could not be read: {sanitize(trouble)[:200]}"
