"""The short way of ``proctui stack PID``: without a parser, so that it takes hardly longer than py-spy.

Only what is surely meant and goes well is answered here; everything else,
every trouble among it, is left to the parser and looked at once more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

TYPE_CHECKING = False  # typing's own costs more than all the rest of this import
if TYPE_CHECKING:
    from proctui.stacks.starting import Tool
    from proctui.stacks.trace import StackTrace

__all__ = ["quick_stack"]

_FLAGS = frozenset({"--json", "--all-threads"})


def quick_stack(arguments: Sequence[str], *, leave: bool = False) -> int | None:
    """The exit status, all printed; ``None`` where the parser shall decide.

    With ``leave`` the process ends here: taking a Python apart would cost a
    quarter of the time.
    """
    if len(arguments) < 2 or arguments[0] != "stack" or os.environ.get("PROCTUI_SESSION"):
        return None
    pids = [word for word in arguments[1:] if word not in _FLAGS]
    if len(pids) != 1 or not _is_pid(pids[0]) or sys.stdout.isatty():
        return None
    result = _look(int(pids[0]), all_threads="--all-threads" in arguments)
    if result is None or result["warnings"] or result.get("error"):
        return None
    if "--json" in arguments:
        import json

        encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
        text = json.dumps(result, indent=2, ensure_ascii=encoding != "utf8")
    else:
        text = "\n".join(line.rstrip() for line in result["text"].split("\n"))
    sys.stdout.write(text + "\n")
    if leave:
        sys.stdout.flush()
        os._exit(0)
    return 0


def _is_pid(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 8 and int(word) > 0


def _look(pid: int, *, all_threads: bool) -> StackTrace | None:
    """py-spy is started before what its answer needs is imported: the one takes as long as the other."""
    from proctui.stacks.starting import dump_command, find_tool, start

    py_spy = find_tool("py-spy")
    if py_spy is None:
        return None
    try:
        tool = start(dump_command(py_spy, pid))
    except OSError:
        return None
    try:
        return _answer(pid, tool, all_threads)
    finally:
        if tool.returncode is None:
            from proctui.stacks.tooling import end

            end(tool)


def _answer(pid: int, tool: Tool, all_threads: bool) -> StackTrace | None:
    import gc

    gc.disable()
    from proctui.errors import ProctuiError
    from proctui.stacks.capturing import capture

    try:
        return capture(pid, all_threads=all_threads, started=tool)
    except ProctuiError:
        return None
    finally:
        gc.enable()
