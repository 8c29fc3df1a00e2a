"""A part of an open log, analysed: the work that both this process and a helper can do.

Answers are plain tuples: ``("hits", number, [hit, …])`` for matching lines
(how many, and the wanted ones), ``("alive",)`` when a block is done,
``("part", tally, clipped lines)`` at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from proctui.logs.blocks import beyond, blocks, careful, inverted
from proctui.logs.layout import Layout
from proctui.logs.matcher import Matcher
from proctui.logs.scan import Scanner
from proctui.text import sanitize

__all__ = ["scan_part"]

_TEXT: Final = 16384


def scan_part(
    fd: int,
    begin: int,
    end: int,
    layout: Layout | None,
    *,
    seen_header: bool,
    matcher: Matcher | None,
    invert: bool,
    details: int,
    switch: Callable[[bool], None],
) -> Iterator[tuple[Any, ...]]:
    """Analyse bytes ``begin`` to ``end``; ``details`` is how many hits are wanted in full."""
    scanner = Scanner(layout, seen_header=seen_header) if layout is not None else None
    line = 0
    for block in blocks(fd, begin, end):
        data = block.data
        whole = data if data.endswith(b"\n") or not block.left_out else data + b"\n"
        if scanner is not None:
            scanner.tally.nul_bytes += block.nuls_left_out
            scanner.feed(whole)
            # Whoever does a part of his own hands out the next one between two blocks.
            yield ("alive",)
        if matcher is not None:
            for offset, piece in careful(data, matcher.dangerous):
                switch(True)
                found = beyond(fd, block, matcher, matcher.lines(piece))
                if invert:
                    found = inverted(piece, found)
                if found:
                    wanted = found[: max(0, details)]
                    details -= len(wanted)
                    hits = _hits(
                        piece, wanted, matcher, line, block.offset + offset, block.left_out, invert
                    )
                    yield "hits", len(found), hits
                line += piece.count(b"\n")
                switch(False)
                yield ("alive",)
            line += not data.endswith(b"\n")
    tally = scanner.finish().to_plain() if scanner is not None else None
    yield "part", tally, matcher.clipped_lines if matcher is not None else 0


def _hits(
    data: bytes,
    found: list[tuple[int, int]],
    matcher: Matcher,
    line: int,
    base: int,
    left_out: int,
    invert: bool,
) -> list[tuple[int, int, int, str, list[list[int]], bool]]:
    """(line, first byte, byte behind it, text, spans, clipped) of each line."""
    out = []
    at = 0
    for start, end in found:
        line += data.count(b"\n", at, start)
        at = start
        raw = data[start:end]
        if raw.endswith(b"\r"):
            raw = raw[:-1]
        text = raw.decode("utf-8", "replace")
        spans = [] if invert else matcher.spans(text)
        clipped = len(text) > _TEXT or (left_out > 0 and end == len(data))
        if clipped:
            text = text[:_TEXT]
            spans = [[one, min(two, _TEXT)] for one, two in spans if one < _TEXT]
        behind = base + end + (left_out if end == len(data) else 0)
        out.append((line, base + start, behind, sanitize(text), spans, clipped))
    return out
