"""Functions behind made-up tools: one that waits as tools do, one that fails unforeseen."""

from __future__ import annotations

import threading
from typing import Any, TypedDict

from proctui.errors import TimedOut
from proctui.tools.context import pause

stopped = threading.Event()


class Nothing(TypedDict):
    done: bool


def waits(seconds: int = 600) -> dict[str, Any]:
    try:
        pause(seconds)
    except TimedOut:
        stopped.set()
        raise
    return {"done": True}


def breaks() -> dict[str, Any]:
    raise RuntimeError("an unforeseen \x1b[31m error")
