"""Python tracebacks in a list of lines: where one ends, what it says.

One traceback is one thing, however many exceptions are chained or grouped in
it: it counts under the exception that left it last.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proctui.logs.times import find_stamp

__all__ = ["EXCEPTION", "MARK", "Traceback", "example", "read_traceback", "trace_at"]

MARK = b"Traceback (most recent call last):"

_FRAME = re.compile(rb'\s*File "([^"\n]*)", line (\d+)(?:, in (.*))?')
EXCEPTION = re.compile(rb"([A-Za-z_][\w.<>]*)(?::(?:\s|$)|\s*$)")
_CHAINS = (
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
)
_GROUP_LINE = re.compile(rb"\s*(?:[|+]|$)")
_EXAMPLE_LINES = 60
_MAX_LINES = 20_000
_PIECE = 2048
_AHEAD = 16
"""Lines behind a traceback that tell whether another is chained to it."""


class Traceback(NamedTuple):
    """``end`` is the index of the first line behind it."""

    end: int
    exception: bytes
    file: bytes
    line: int
    func: bytes
    chained: bool


def read_traceback(lines: list[bytes], start: int) -> Traceback:
    """Read the traceback whose ``Traceback`` mark stands in ``lines[start]``.

    Lines may all carry the same prefix (journald, docker); one that is cut
    off by another entry has the exception ``unfinished``.
    """
    column = lines[start].index(MARK)
    prefix = lines[start][:column]
    if prefix.strip(b" ").endswith(b"+ Exception Group") or prefix.rstrip().endswith(
        b"Exception Group"
    ):
        return _read_group(lines, start, column)
    width = _prefix_width(lines, start, column)
    at = start
    chained = False
    exception = b"unfinished"
    frame: tuple[bytes, int, bytes] = (b"", 0, b"")
    stop = min(len(lines), start + _MAX_LINES)
    while True:
        at, found, frame = _frames(lines, at + 1, stop, width, frame)
        if found is not None:
            exception = found
        following = _next_in_chain(lines, at, stop, width)
        if following is None:
            return Traceback(at, exception, *frame, chained)
        at = following
        chained = True
        exception = b"unfinished"


def trace_at(body: bytes, start: int) -> tuple[list[bytes], Traceback]:
    """The traceback whose mark stands in the line that begins at byte ``start``, and lines from there on.

    No more of ``body`` is cut into lines than what is read.
    """
    size = _PIECE
    while True:
        piece = body[start : start + size]
        lines = piece.split(b"\n")
        whole = start + size >= len(body)
        if not whole:
            lines.pop()
        if whole or len(lines) > 1:
            trace = read_traceback(lines, 0)
            if whole or trace.end + _AHEAD < len(lines):
                return lines, trace
        size *= 8


def _prefix_width(lines: list[bytes], start: int, column: int) -> int:
    """How much of each line stands before the traceback: 0, its indentation, or a log prefix."""
    if start + 1 < len(lines) and column:
        following = lines[start + 1]
        if not following[:column].strip() and not lines[start][:column].strip():
            return column
        if _FRAME.match(following) is None and _FRAME.match(following, column):
            return column
    return 0


def _frames(
    lines: list[bytes], at: int, stop: int, width: int, frame: tuple[bytes, int, bytes]
) -> tuple[int, bytes | None, tuple[bytes, int, bytes]]:
    """Frames and the exception line from ``at``: (index behind, exception, last frame)."""
    while at < stop:
        line = lines[at][width:].rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            found = _FRAME.match(line)
            if found:
                frame = (found[1], int(found[2][:9]), found[3] or b"")
            at += 1
            continue
        named = EXCEPTION.match(line)
        if named:
            return at + 1, named[1], frame
        break
    return at, None, frame


def _next_in_chain(lines: list[bytes], at: int, stop: int, width: int) -> int | None:
    """The index of the next traceback's mark, if the one before ``at`` is chained to it.

    The message of an exception may have lines of its own, so a few are passed
    over as long as nothing but the chain's own words ends the search.
    """
    for ahead in range(at, min(stop, at + 12)):
        line = lines[ahead][width:].strip()
        if line in _CHAINS:
            for mark in range(ahead + 1, min(stop, ahead + 4)):
                if lines[mark][width:].strip() == MARK:
                    return mark
            return None
        if MARK in line or (line and find_stamp(line) is not None):
            return None
    return None


def _read_group(lines: list[bytes], start: int, column: int) -> Traceback:
    """An exception group: every line with a rail belongs to it."""
    exception = b"unfinished"
    frame: tuple[bytes, int, bytes] = (b"", 0, b"")
    indent = len(lines[start]) - len(lines[start].lstrip(b" "))
    rail = re.compile(rb" {%d}\|(?: )(.*)" % indent)
    at = start + 1
    stop = min(len(lines), start + _MAX_LINES)
    done = False
    while at < stop and lines[at].strip() and _GROUP_LINE.match(lines[at]):
        outer = rail.match(lines[at].rstrip(b"\r"))
        if outer and not done:
            found = _FRAME.match(outer[1])
            if found:
                frame = (found[1], int(found[2][:9]), found[3] or b"")
            elif outer[1][:1] not in (b" ", b""):
                named = EXCEPTION.match(outer[1])
                if named:
                    exception, done = named[1], True
        at += 1
    return Traceback(at, exception, *frame, False)


def example(lines: list[bytes], start: int, end: int) -> bytes:
    """The traceback's own lines, the middle of a long one left out."""
    if end - start <= _EXAMPLE_LINES:
        return b"\n".join(lines[start:end])
    head, tail = _EXAMPLE_LINES // 3, _EXAMPLE_LINES - _EXAMPLE_LINES // 3
    left_out = end - start - head - tail
    return b"\n".join(
        [
            *lines[start : start + head],
            b"  [%d lines left out]" % left_out,
            *lines[end - tail : end],
        ]
    )
