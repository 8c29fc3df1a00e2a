"""Functions behind made-up tools: that wait as tools do, that fail unforeseen, that never end."""

from __future__ import annotations

import threading
import time
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


def stuck() -> dict[str, Any]:
    """Deaf to all cancelling."""
    time.sleep(600)
    return {"done": True}
