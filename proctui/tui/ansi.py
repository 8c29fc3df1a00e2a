"""A line of a terminal's output as runs: colours kept, everything else made harmless."""

from __future__ import annotations

import re
from itertools import pairwise

from rich.text import Text

from proctui.text import sanitize

__all__ = ["line_runs", "overwritten"]

Run = tuple[str, str]
Runs = tuple[Run, ...]

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_LIMIT = 4000


def overwritten(line: str) -> str:
    """What a terminal shows of a line in which carriage returns wrote over what stood there."""
    if "\r" not in line:
        return line
    parts = [part for part in line.split("\r") if part]
    if not parts:
        return ""
    if any("\x1b" in part for part in parts):
        return parts[-1]
    shown = ""
    for part in parts:
        shown = part + shown[len(part) :]
    return shown


def line_runs(line: str, base: str = "quiet") -> Runs:
    """Runs of one line; style names that begin with ``=`` are Rich styles over the pane's own."""
    line = overwritten(line[:_LIMIT].rstrip("\r\n")).expandtabs(8)
    if "\x1b" not in line:
        return ((sanitize(line), base),)
    line = _ESCAPE.sub(lambda match: match[0] if _SGR.fullmatch(match[0]) else "", line)
    text = Text.from_ansi(line)
    plain = sanitize(text.plain)
    if not text.spans:
        return ((plain, base),)
    edges = sorted({0, len(plain), *(s.start for s in text.spans), *(s.end for s in text.spans)})
    runs: list[Run] = []
    for start, end in pairwise(edges):
        styles = [str(s.style) for s in text.spans if s.start <= start and end <= s.end]
        style = "=" + " ".join(styles) if styles else base
        if start < end:
            runs.append((plain[start:end], style))
    return tuple(runs)
