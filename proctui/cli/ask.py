"""Questions to the person at the terminal; where there is none, the answer is no."""

from __future__ import annotations

import sys

from proctui.errors import RefusedError
from proctui.text import sanitize

__all__ = ["confirm", "has_terminal", "read_line"]


def has_terminal() -> bool:
    """Whether somebody can be asked: we read from a terminal and can write to one."""
    return bool(
        sys.stdin is not None
        and sys.stdin.isatty()
        and any(stream is not None and stream.isatty() for stream in (sys.stderr, sys.stdout))
    )


def read_line(question: str) -> str:
    """Ask on the terminal, never on a redirected stdout; end of input is an empty answer."""
    out = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else sys.stdout
    sys.stdout.flush()
    out.write(sanitize(question) + " ")
    out.flush()
    return sys.stdin.readline().strip()


def confirm(question: str, *, instead: str) -> bool:
    """Ask for ``yes``; without a terminal :class:`RefusedError`, whose hint is ``instead``."""
    if not has_terminal():
        raise RefusedError("nobody can be asked here: there is no terminal", instead)
    return read_line(f"{question} Type yes to go on:").lower() in ("y", "yes")
