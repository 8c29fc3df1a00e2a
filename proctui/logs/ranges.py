"""Which bytes of a log are looked at, and how they are shared out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proctui.errors import BadArgument
from proctui.logs.backward import last_lines_start
from proctui.logs.opening import OpenLog

if TYPE_CHECKING:
    from proctui.logs.layout import Layout

_BACK = 16384
"""Bytes before a cut in which a traceback may have begun."""

__all__ = ["check_count", "cut_parts", "starting_byte"]


def check_count(value: object, name: str, lowest: int) -> int:
    if type(value) is not int or value < lowest:
        shown = repr(value) if type(value) in (int, float, bool, str) else type(value).__name__
        raise BadArgument(f"{name} must be an integer of {lowest} or more, not {shown[:80]}")
    return value


def starting_byte(log: OpenLog, last_n_lines: int | None) -> int:
    """Where the scanned part begins."""
    if last_n_lines is None:
        return log.begin
    return last_lines_start(log.fd, last_n_lines, log.end, log.begin)


def cut_parts(log: OpenLog, begin: int, layout: Layout | None, size: int) -> list[tuple[int, int]]:
    """Cut the scanned part at the beginnings of entries (of lines, where none is near)."""
    parts = []
    at = begin
    while log.end - at > size + size // 4:
        cut = _entry_after(log, at + size, layout)
        if cut >= log.end:
            break
        parts.append((at, cut))
        at = cut
    parts.append((at, log.end))
    return parts


def _entry_after(log: OpenLog, offset: int, layout: Layout | None) -> int:
    """The first entry that surely begins behind ``offset``; of a giant one, a line's beginning."""
    from proctui.logs.layout import in_traceback

    reach = 1 << 16
    while True:
        low = max(log.begin, offset - _BACK)
        data = os.pread(log.fd, min(reach + offset - low, log.end - low), low)
        first = data.find(b"\n", offset - low) + 1
        if first and layout is None:
            return low + first
        if not first and low + len(data) < log.end:
            # Inside a giant line: on to where it ends, without holding it.
            offset = low + len(data)
            continue
        before = data[data.rfind(b"\n", 0, max(first - 1, 0)) + 1 : max(first - 1, 0)]
        at = first
        while first:
            end = data.find(b"\n", at)
            if end < 0:
                break
            assert layout is not None
            if layout.may_cut(before, data[at:end]) and not in_traceback(data, at):
                return low + at
            before = data[at:end]
            at = end + 1
        if low + len(data) >= log.end:
            return log.end
        if reach >= 1 << 20 and first:
            return low + first
        reach *= 4
