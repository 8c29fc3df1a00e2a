"""What else a person wants of the log pane: copies, the place in the file, a small histogram."""

from __future__ import annotations

import os
from typing import NamedTuple

from proctui.errors import AccessDenied, ProctuiError
from proctui.logs import levels
from proctui.logs.pane import LogModel
from proctui.logs.rows import FOLD
from proctui.logs.styling import plain_text
from proctui.text import sanitize

__all__ = ["Bucket", "editor_place", "entry_text", "histogram", "line_text", "save"]


class Bucket(NamedTuple):
    """Lines and errors from ``begin`` (Unix seconds) on."""

    begin: float
    lines: int
    errors: int


def line_text(model: LogModel, index: int) -> str:
    """One row as text, harmless."""
    entry = model.entry(index)
    if entry is None or index >= len(model.window.rows):
        return model.row(index).text
    line = model.window.rows[index][1]
    return plain_text(entry.lines[line]) if line != FOLD else model.row(index).text.strip()


def entry_text(model: LogModel, index: int) -> str:
    """The whole entry of a row, a folded traceback included."""
    entry = model.entry(index)
    if entry is None:
        return model.row(index).text
    return "\n".join(plain_text(line) for line in entry.lines)


def editor_place(model: LogModel, index: int) -> tuple[str, int] | None:
    """(path, line from 1) of a row, for ``$EDITOR +LINE PATH``; counts the lines before it.

    ``None`` for what stands in no file, in one that was rotated away or is compressed.
    """
    entry = model.entry(index)
    if entry is None or entry.kind != "entry":
        return None
    source = model.sources[entry.source]
    if entry.generation != source.latest or source.spool is not None:
        return None
    line = max(0, model.window.rows[index][1])
    return source.path, source.line_number((entry.generation, entry.offset)) + line


def save(model: LogModel, path: str) -> int:
    """Write the entries that are shown into a new file (0600), tracebacks whole; returns its lines.

    An existing file is never overwritten.
    """
    entries = list({id(entry): entry for entry, _ in model.window.rows}.values())
    lines = [line for entry in entries for line in entry.lines]
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            for line in lines:
                file.write(line + b"\n")
    except PermissionError as error:
        raise AccessDenied(f"{sanitize(path)} can't be written: permission denied") from error
    except OSError as error:
        raise ProctuiError(f"{sanitize(path)} can't be written: {error.strerror}") from error
    return len(lines)


def histogram(model: LogModel, buckets: int = 40) -> list[Bucket]:
    """Lines and errors over time of what is in the window, in equal buckets, oldest first."""
    entries = [one for one in model.window.entries() if one.time is not None]
    if not entries or buckets < 1:
        return []
    times = [entry.time or 0.0 for entry in entries]
    first, last = min(times), max(times)
    width = max((last - first) / buckets, 1e-3)
    counts = [[0, 0] for _ in range(buckets)]
    for entry, moment in zip(entries, times, strict=True):
        at = min(int((moment - first) / width), buckets - 1)
        counts[at][0] += len(entry.lines) * entry.count
        if entry.level in (levels.ERROR, levels.CRITICAL):
            counts[at][1] += entry.count
    return [
        Bucket(first + index * width, lines, errors) for index, (lines, errors) in enumerate(counts)
    ]
