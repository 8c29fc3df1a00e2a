"""What a person chose in the dashboard and finds again: kept beside the sessions, never needed."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from proctui import paths

__all__ = ["remember_theme", "remembered_theme"]

_NAME = "dashboard.json"
_LIMIT = 4096


def _place() -> Path:
    return paths.state_candidates()[0] / _NAME


def remembered_theme() -> str | None:
    """The theme chosen last, ``None`` where none was or the file can't be read."""
    try:
        fd = os.open(_place(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            return None
        found = json.loads(os.read(fd, _LIMIT))
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    theme = found.get("theme") if isinstance(found, dict) else None
    return theme if isinstance(theme, str) else None


def remember_theme(theme: str) -> None:
    """Keep a theme; a state directory that can't be written is no trouble here."""
    place = _place()
    temporary = place.with_name(f".{_NAME}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(temporary, flags, 0o600)
        try:
            os.write(fd, json.dumps({"theme": theme}).encode())
        finally:
            os.close(fd)
        temporary.rename(place)
