"""Pattern work for the log pane: lines it holds, and stretches of a file it does not.

Answers come in pieces, so that a pattern that is ended has told what it found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from proctui.logs.blocks import blocks, guard
from proctui.logs.matcher import Matcher

__all__ = ["find_lines", "match_lines"]

_PIECE: Final = 500

MatcherOf = Callable[[tuple[str, bool] | None], Matcher | None]


def match_lines(request: dict[str, Any], matcher_of: MatcherOf) -> Iterator[tuple[Any, ...]]:
    """Spans of each pattern in each line.

    ``("spans", id, first line of the piece, [[spans per pattern] per line])``
    with ``None`` for a pattern that a line does not match, then ``("done", id)``.
    """
    matchers = [matcher for pattern in request["patterns"] if (matcher := matcher_of(pattern))]
    switch = guard(any(matcher.dangerous for matcher in matchers), request["cpu"])
    lines: list[str] = request["lines"]
    for at in range(0, len(lines), _PIECE):
        piece = lines[at : at + _PIECE]
        data = "\n".join(piece).encode("utf-8", "replace")
        starts: dict[int, int] = {}
        offset = 0
        for number, line in enumerate(piece):
            starts[offset] = number
            offset += len(line.encode("utf-8", "replace")) + 1
        out: list[list[list[list[int]] | None]] = [[None] * len(matchers) for _ in piece]
        for index, matcher in enumerate(matchers):
            switch(True)
            for start, _ in matcher.lines(data + b"\n"):
                number = starts[start]
                out[number][index] = matcher.spans(piece[number])
            switch(False)
        yield "spans", request["id"], at, out
    yield "done", request["id"]


def find_lines(request: dict[str, Any], matcher_of: MatcherOf) -> Iterator[tuple[Any, ...]]:
    """Where the lines stand that a pattern matches, without their colours (all, without one).

    ``("found", id, [line starts], byte reached, lines)`` per block, then
    ``("done", id)``; ``("gone", id)`` if the path is another file by now.
    """
    fd = os.open(request["path"], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        if [status.st_dev, status.st_ino] != list(request["file"]):
            yield "gone", request["id"]
            return
        matcher = matcher_of(request["pattern"])
        switch = guard(matcher is not None and matcher.dangerous, request["cpu"])
        for block in blocks(fd, request["begin"], request["end"], 1 << 18):
            switch(True)
            wanted = _matching(block.data, matcher) if matcher else _starts(block.data)
            switch(False)
            reached = block.offset + len(block.data) + block.left_out
            lines = block.data.count(b"\n")
            yield "found", request["id"], [block.offset + start for start in wanted], reached, lines
    finally:
        os.close(fd)
    yield "done", request["id"]


def _matching(data: bytes, matcher: Matcher) -> list[int]:
    if b"\x1b" not in data and b"\r" not in data:
        return [start for start, _ in matcher.lines(data)]
    from proctui.logs.layout import clean

    cleaned = clean(data)
    starts = _starts(data)
    number = at = 0
    out = []
    for start, _ in matcher.lines(cleaned):
        number += cleaned.count(b"\n", at, start)
        at = start
        out.append(starts[number])
    return out


def _starts(data: bytes) -> list[int]:
    out = []
    at = 0
    while at < len(data):
        out.append(at)
        at = data.find(b"\n", at) + 1 or len(data)
    return out
