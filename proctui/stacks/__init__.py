"""Stacks of whole jobs, who waits for whom, and verdicts with their evidence.

Names are loaded when first used: one stack must be on screen about as fast
as py-spy alone would bring it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proctui.stacks.capturing import capture, capture_many
    from proctui.stacks.trace import StackTrace
    from proctui.stacks.waits import describe

__all__ = ["StackTrace", "capture", "capture_many", "describe"]

_HOMES = {
    "StackTrace": "trace",
    "capture": "capturing",
    "capture_many": "capturing",
    "describe": "waits",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
