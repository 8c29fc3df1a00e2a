"""Logs: found, followed, searched, understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proctui.logs.finding import discover
    from proctui.logs.follow import Follower
    from proctui.logs.helper import PatternHelper
    from proctui.logs.matches import iter_matches

__all__ = ["Follower", "PatternHelper", "discover", "iter_matches"]

_HOMES = {
    "Follower": "follow",
    "PatternHelper": "helper",
    "discover": "finding",
    "iter_matches": "matches",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, not all of it: a helper process must start in milliseconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
