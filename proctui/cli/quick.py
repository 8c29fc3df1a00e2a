"""The short way of ``proctui stack PID``: without a parser, so that it takes hardly longer than py-spy.

Only what is surely meant and goes well is answered here; everything else,
every trouble among it, is left to the parser and looked at once more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

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
    if len(pids) != 1 or not (pids[0].isascii() and pids[0].isdigit()) or sys.stdout.isatty():
        return None
    import gc

    from proctui.errors import ProctuiError
    from proctui.stacks.capturing import capture

    gc.disable()
    try:
        result = capture(int(pids[0]), all_threads="--all-threads" in arguments)
    except ProctuiError:
        return None
    finally:
        gc.enable()
    if result["warnings"] or "error" in result:
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
