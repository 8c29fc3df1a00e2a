"""Stacks of whole jobs, who waits for whom, and verdicts with their evidence.

Names are loaded when first used: one stack must be on screen about as fast
as py-spy alone would bring it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs more than all the rest of this import
if TYPE_CHECKING:
    from typing import Any

    from proctui.stacks.capturing import capture, capture_many
    from proctui.stacks.graph import wait_graph
    from proctui.stacks.merging import compare, merge, merged_text
    from proctui.stacks.profile import hot_functions
    from proctui.stacks.trace import StackTrace
    from proctui.stacks.verdict import find_hangs, hang_text, is_responding
    from proctui.stacks.waits import describe

__all__ = [
    "StackTrace",
    "capture",
    "capture_many",
    "compare",
    "describe",
    "find_hangs",
    "hang_text",
    "hot_functions",
    "is_responding",
    "merge",
    "merged_text",
    "wait_graph",
]

_HOMES = {
    "StackTrace": "trace",
    "capture": "capturing",
    "capture_many": "capturing",
    "compare": "merging",
    "describe": "waits",
    "find_hangs": "verdict",
    "hot_functions": "profile",
    "hang_text": "verdict",
    "is_responding": "verdict",
    "merge": "merging",
    "merged_text": "merging",
    "wait_graph": "graph",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
