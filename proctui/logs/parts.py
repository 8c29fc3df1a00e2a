"""A part of an open log, scanned: the work that both this process and a helper can do.

Everything is yielded as plain tuples:

``("hits", number, [hit, …])``  matching lines: how many, and the wanted ones
``("bytes", data)``             matching lines as they stand in the file
``("alive",)``                  a block is done
``("part", tally, lines)``      the end of the part
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from proctui.logs.layout import Layout
from proctui.logs.matcher import Matcher
from proctui.logs.scan import Scanner
from proctui.text import sanitize

__all__ = ["BLOCK", "Block", "blocks", "grep_part", "guard", "scan_part"]

BLOCK: Final = 1 << 20
_CAREFUL: Final = 1 << 16
_TEXT: Final = 16384
CPU_LIMIT: Final = 1.2
"""Seconds of CPU that one block may take a pattern; the helper ends itself behind that."""


class Block(NamedTuple):
    """Whole lines from byte ``offset``; ``left_out`` bytes of a giant last line were not read in."""

    offset: int
    data: bytes
    left_out: int
    nuls_left_out: int = 0


def blocks(fd: int, begin: int, end: int, size: int = BLOCK) -> Iterator[Block]:
    """Newline-aligned blocks; of a line longer than ``size`` only its beginning."""
    at = begin
    while at < end:
        data = os.pread(fd, min(size, end - at), at)
        if not data:
            return
        if at + len(data) >= end:
            yield Block(at, data, 0)
            return
        cut = data.rfind(b"\n") + 1
        if cut:
            yield Block(at, data[:cut], 0)
            at += cut
            continue
        behind, nuls = _behind_line(fd, at + len(data), end)
        yield Block(at, data, behind - at - len(data), nuls)
        at = behind


def _behind_line(fd: int, at: int, end: int) -> tuple[int, int]:
    """Where the line that goes on at ``at`` is over, and how many NULs that is."""
    nuls = 0
    while at < end:
        data = os.pread(fd, min(BLOCK, end - at), at)
        if not data:
            return end, nuls
        newline = data.find(b"\n")
        if newline >= 0:
            return at + newline + 1, nuls + data.count(b"\0", 0, newline)
        nuls += data.count(b"\0")
        at += len(data)
    return end, nuls


def guard(dangerous: bool) -> Callable[[bool], None]:
    """A switch for a CPU alarm whose default action ends this process (setitimer(2), SIGPROF).

    The regular expression engine holds the interpreter, so nothing but the
    kernel can end a match that explodes.  Only for a helper process.
    """

    def switch(on: bool) -> None:
        if dangerous:
            signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT if on else 0)

    return switch


def _careful(data: bytes, dangerous: bool) -> Iterator[tuple[int, bytes]]:
    """Smaller pieces for a pattern that may explode, so that less is lost with it."""
    if not dangerous or len(data) <= _CAREFUL:
        yield 0, data
        return
    at = 0
    while at < len(data):
        cut = data.rfind(b"\n", at, at + _CAREFUL) + 1
        if cut <= at:
            cut = data.find(b"\n", at) + 1 or len(data)
        yield at, data[at:cut]
        at = cut


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
        if matcher is not None:
            for offset, piece in _careful(data, matcher.dangerous):
                switch(True)
                found = matcher.lines(piece)
                if invert:
                    found = inverted(piece, found)
                if found:
                    wanted = found[: max(0, details)]
                    details -= len(wanted)
                    hits = _hits(piece, wanted, matcher, line, block.offset + offset, block.left_out, invert)
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


def inverted(data: bytes, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The lines of ``data`` that are not among ``found``."""
    starts = {start for start, _ in found}
    out = []
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            end = len(data)
        if at not in starts:
            out.append((at, end))
        at = end + 1
    return out


def grep_part(
    fd: int,
    begin: int,
    end: int,
    matcher: Matcher,
    invert: bool,
    switch: Callable[[bool], None],
) -> Iterator[tuple[Any, ...]]:
    """The matching lines as they stand in the file, each with its newline."""
    for block in blocks(fd, begin, end):
        data = block.data
        for _, piece in _careful(data, matcher.dangerous):
            switch(True)
            found = matcher.lines(piece)
            switch(False)
            if invert:
                found = inverted(piece, found)
            if not found:
                yield ("alive",)
                continue
            out = bytearray()
            for start, stop in found:
                out += piece[start : stop + 1]
            last = found[-1][1] == len(piece)
            if last and block.left_out:
                yield "bytes", bytes(out)
                at = block.offset + len(data)
                yield from _copy(fd, at, at + block.left_out)
            else:
                if last:
                    out += b"\n"
                yield "bytes", bytes(out)
    yield "part", None, matcher.clipped_lines


def _copy(fd: int, at: int, end: int) -> Iterator[tuple[str, bytes]]:
    last = b""
    while at < end and (data := os.pread(fd, min(BLOCK, end - at), at)):
        last = data
        yield "bytes", data
        at += len(data)
    if not last.endswith(b"\n"):
        yield "bytes", b"\n"
