"""``logs FILE --follow``: the filtered tail, line by line, for as long as it is watched."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from proctui.errors import TimedOut
from proctui.logs.follow import Batch, Follower
from proctui.logs.matcher import Matcher
from proctui.logs.matches import Search

__all__ = ["follow"]

_SAY = {"rotated": "the log was rotated", "truncated": "the log was truncated"}


def follow(
    path: str | os.PathLike[str],
    pattern: str | None = None,
    *,
    last: int = 0,
    ignore_case: bool = False,
    invert: bool = False,
    context: int = 0,
    stdin: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield what is appended to a log, after its last ``last`` lines, without end.

    A line is ``{"text", "byte", "spans", "match"}`` (``text`` not yet
    sanitised, ``match`` false for a line of context); what happens to the
    file is ``{"text": None, "note", "mark"}``.  A pattern that explodes is
    told as such and then left out.
    """
    matcher = Matcher("" if pattern is None else pattern, ignore_case)
    if stdin and path == "-":
        return _follow(_standard_input(), matcher, invert, context)
    follower = Follower(path, last=last)
    return _follow(_batches(follower), matcher, invert, context)


def _batches(follower: Follower) -> Iterator[Batch]:
    with follower:
        yield from follower


def _standard_input() -> Iterator[Batch]:
    rest = b""
    at = 0
    while True:
        data = os.read(0, 1 << 18)
        rest += data
        cut = rest.rfind(b"\n") + 1 if data else len(rest)
        if cut:
            yield Batch("lines", rest[:cut], at)
            at += cut
            rest = rest[cut:]
        if not data:
            return


def _follow(
    batches: Iterable[Batch], matcher: Matcher, invert: bool, context: int
) -> Iterator[dict[str, Any]]:
    search = Search(matcher)
    before: deque[dict[str, Any]] = deque(maxlen=context)
    after = 0
    stopped = False
    try:
        for batch in batches:
            if batch.kind != "lines":
                yield {"text": None, "note": _SAY.get(batch.kind, batch.note), "mark": batch.kind}
                continue
            starts: set[int] | None = None
            if not stopped:
                try:
                    starts = {start for start, _ in search.lines(batch.data)}
                except TimedOut as error:
                    stopped = True
                    yield {"text": None, "note": error.message, "mark": "stopped"}
            for start, line in _lines(batch.data):
                hit = starts is None or (start in starts) != invert
                event = _event(line, batch.offset + start, matcher, hit, invert or stopped)
                if hit:
                    yield from before
                    before.clear()
                    yield event
                    after = context
                elif after:
                    after -= 1
                    yield event
                elif context:
                    before.append(event)
    finally:
        search.close()


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            end = len(data)
        yield at, data[at:end]
        at = end + 1


def _event(line: bytes, offset: int, matcher: Matcher, hit: bool, plain: bool) -> dict[str, Any]:
    text = line.removesuffix(b"\r").decode("utf-8", "replace")
    spans: list[list[int]] = []
    if hit and not plain and not matcher.dangerous:
        spans = matcher.spans(text)
    return {"text": text, "byte": offset, "spans": spans, "match": hit, "seen": time.time()}
