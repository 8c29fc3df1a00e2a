"""Writes what the dashboard would have shown, and plays it again."""

from __future__ import annotations

from typing import Any

__all__ = ["Replay", "ReplayWatch", "open_replay", "record"]

_HOME = {
    "Replay": "proctui.recording.replay",
    "ReplayWatch": "proctui.recording.replay",
    "open_replay": "proctui.recording.replay",
    "record": "proctui.recording.recorder",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
