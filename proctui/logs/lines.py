"""Lines of a block of bytes, cut out one at a time; each stands behind its newline."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["each_line", "line_at", "lines_backward"]


def line_at(body: bytes, start: int) -> bytes:
    """The line that begins at ``start``."""
    end = body.find(b"\n", start)
    return body[start:] if end < 0 else body[start:end]


def each_line(body: bytes) -> Iterator[bytes]:
    """The lines from the first on."""
    start = body.find(b"\n") + 1
    while start:
        line = line_at(body, start)
        yield line
        start = body.find(b"\n", start + len(line)) + 1


def lines_backward(body: bytes) -> Iterator[bytes]:
    """The lines from the last one back."""
    end = len(body)
    while (start := body.rfind(b"\n", 0, end)) >= 0:
        yield body[start + 1 : end]
        end = start
