"""Reading a log block by block, and the lines of it that a pattern matches.

Answers are plain tuples, so that they can cross a pipe: ``("bytes", data)``
for matching lines as they stand in the file, ``("alive",)`` for a block
without any, ``("part", None, clipped lines)`` at the end of the part.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from proctui.logs.matcher import Lines, Matcher

__all__ = ["BLOCK", "Block", "beyond", "blocks", "careful", "grep_part", "guard", "inverted"]

BLOCK: Final = 1 << 20
"""Bytes of a giant line that are seen."""
_NEAR: Final = 1 << 18
"""Bytes that stay in a core's cache while they are looked at several times."""
_CAREFUL: Final = 1 << 16


class Block(NamedTuple):
    """Whole lines from byte ``offset``; ``left_out`` bytes of a giant last line were not read in."""

    offset: int
    data: bytes
    left_out: int
    nuls_left_out: int = 0


def blocks(fd: int, begin: int, end: int, size: int = _NEAR) -> Iterator[Block]:
    """Newline-aligned blocks; of a line longer than :data:`BLOCK` only its beginning."""
    at = begin
    while at < end:
        data = os.pread(fd, min(size, end - at), at)
        cut = data.rfind(b"\n") + 1
        if not cut and size < BLOCK and at + len(data) < end:
            data = os.pread(fd, min(BLOCK, end - at), at)
            cut = data.rfind(b"\n") + 1
        if not data:
            return
        if at + len(data) >= end:
            yield Block(at, data, 0)
            return
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


def beyond(fd: int, block: Block, matcher: Matcher, found: Lines) -> Lines:
    """``found`` in a block, and its giant line where a word stands in what was not read in.

    Words are looked for to the line's end.  Any other pattern sees only the
    beginning, which is counted as a clipped line.
    """
    if not block.left_out or found:
        return found
    reach = matcher.reach
    if reach is None:
        if not matcher.dangerous:
            matcher.clipped_lines += 1
        return found
    behind = block.offset + len(block.data) + block.left_out
    at = block.offset + max(0, len(block.data) - reach)
    while data := os.pread(fd, min(BLOCK, behind - at), at):
        if matcher.lines(data):
            return [(0, len(block.data))]
        if at + len(data) >= behind:
            break
        at += max(1, len(data) - reach)
    return found


def guard(dangerous: bool, limit: float = 1.0) -> Callable[[bool], None]:
    """A switch for an alarm after ``limit`` seconds of CPU whose default action ends this process (setitimer(2), SIGPROF).

    The regular expression engine holds the interpreter, so nothing but the
    kernel can end a match that explodes.  Only for a helper process.
    """

    def switch(on: bool) -> None:
        if dangerous:
            signal.setitimer(signal.ITIMER_PROF, limit if on else 0)

    return switch


def careful(data: bytes, dangerous: bool) -> Iterator[tuple[int, bytes]]:
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
        for _, piece in careful(data, matcher.dangerous):
            switch(True)
            found = beyond(fd, block, matcher, matcher.lines(piece))
            switch(False)
            if invert:
                found = inverted(piece, found)
            if not found:
                yield ("alive",)
                continue
            out = b"".join([piece[start : stop + 1] for start, stop in found])
            last = found[-1][1] == len(piece)
            if last and block.left_out:
                yield "bytes", out
                at = block.offset + len(data)
                yield from _copy(fd, at, at + block.left_out)
            else:
                if last:
                    out += b"\n"
                yield "bytes", out
    yield "part", None, matcher.clipped_lines


def _copy(fd: int, at: int, end: int) -> Iterator[tuple[str, bytes]]:
    last = b""
    while at < end and (data := os.pread(fd, min(BLOCK, end - at), at)):
        last = data
        yield "bytes", data
        at += len(data)
    if not last.endswith(b"\n"):
        yield "bytes", b"\n"
