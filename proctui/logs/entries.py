"""Lines grouped into entries: a header with all that continues it.

What the log pane shows, filters and jumps between are entries, so that a
traceback never loses its head to a filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from proctui.logs import levels
from proctui.logs.layout import MASK, Layout, Verdict, clean
from proctui.logs.times import JSON_TIME, Clock
from proctui.logs.tracebacks import EXCEPTION, MARK, read_traceback

__all__ = ["Entry", "Splitter", "Trace", "continues", "extend", "finished"]

LINE_BYTES: Final = 8192
"""Bytes of a line that are kept in memory."""
MAX_LINES: Final = 5000
"""Lines of an entry that are kept in memory."""
_CACHE: Final = 20_000


class Trace(NamedTuple):
    """A traceback within an entry: its first line, the one behind it, and its exception."""

    first: int
    end: int
    exception: bytes


class Entry:
    """One entry of a log, an event of the dashboard, or a mark between two files.

    ``kind`` is ``entry``, ``event`` or ``mark``; ``offset`` to ``end`` are its
    bytes in its file (``generation`` of ``source``); ``time`` is in Unix
    seconds, ``None`` if unknown; ``level`` indexes :data:`levels.NAMES`;
    ``message`` is the byte at which the first line's text begins; ``count``
    is how often it was repeated in a row; ``hit`` tells a match from its
    context; ``matches`` and ``found`` hold, by line, where the filters and
    the search match.
    """

    __slots__ = (
        "count",
        "end",
        "found",
        "generation",
        "hit",
        "kind",
        "level",
        "lines",
        "matches",
        "message",
        "offset",
        "open",
        "source",
        "time",
        "trace",
    )

    def __init__(
        self,
        source: int,
        generation: int,
        offset: int,
        end: int,
        lines: list[bytes],
        level: int,
        time: float | None,
        message: int = 0,
        kind: str = "entry",
    ) -> None:
        self.source = source
        self.generation = generation
        self.offset = offset
        self.end = end
        self.lines = lines
        self.level = level
        self.time = time
        self.message = message
        self.kind = kind
        self.count = 1
        self.hit = True
        self.open = False
        self.trace: Trace | None = None
        self.matches: dict[int, list[list[int]]] = {}
        self.found: dict[int, list[list[int]]] = {}

    @property
    def text(self) -> bytes:
        """What the entry says, without its timestamp and level: equal for repetitions."""
        return self.lines[0][self.message :]

    def repeats(self, other: Entry) -> bool:
        return (
            self.kind == other.kind == "entry"
            and self.source == other.source
            and self.level == other.level
            and len(self.lines) == len(other.lines)
            and self.text == other.text
            and self.lines[1:] == other.lines[1:]
        )


class Splitter:
    """Cuts blocks of lines of one log into entries."""

    def __init__(self, layout: Layout, source: int) -> None:
        self.layout = layout
        self.source = source
        self.clock = Clock(layout.reference)
        self._cache: dict[bytes, Verdict] = {}

    def judge(self, line: bytes) -> Verdict:
        """The verdict on a cleaned line; heads that look alike are judged once."""
        layout = self.layout
        if layout.json:
            return self._judge_json(line)
        head = line[: layout.width].translate(MASK)
        verdict = self._cache.get(head)
        if verdict is None:
            if len(self._cache) > _CACHE:
                self._cache.clear()
            verdict = self._cache[head] = layout.judge(head, whole=len(line) < layout.width)
        if not verdict.decided:
            verdict = layout.judge(line, whole=True)
        return verdict

    def _judge_json(self, line: bytes) -> Verdict:
        if not line.startswith(b"{"):
            return Verdict(False, False, False, True, levels.UNKNOWN, 0, True)
        level = (
            levels.keyword_level(line)
            if self.layout.method == "keyword"
            else levels.json_level(line)
        )
        return Verdict(True, bool(JSON_TIME.search(line)), False, True, level, 0, False)

    def split(
        self,
        data: bytes,
        offset: int,
        generation: int,
        *,
        known: bool = False,
        firm: bool = True,
    ) -> Iterator[Entry]:
        """Entries of ``data``, which begins at byte ``offset`` of its file.

        ``known``: an entry stands before it, so what does not begin one is
        given as an entry of its own with kind ``rest``, to be added to that;
        ``firm``: that entry has a timestamp or a level.
        """
        current: Entry | None = None
        inside = known and firm
        at = offset
        raws = (data[:-1] if data.endswith(b"\n") else data).split(b"\n")
        skip = 0
        for index, raw in enumerate(raws):
            kept = raw[:LINE_BYTES]
            line = clean(kept) if b"\x1b" in kept or b"\r" in kept else kept
            behind = at + len(raw) + 1
            marked = MARK in line
            if marked and index >= skip:
                skip = read_traceback(raws, index).end
            verdict = self.judge(line)
            part = index < skip and not (marked and not inside) and not verdict.begins
            if not part and (self._begins(verdict, inside) or (current is None and not known)):
                if current is not None:
                    yield finished(current)
                level = levels.ERROR if marked and not verdict.begins else verdict.level
                current = Entry(
                    self.source,
                    generation,
                    at,
                    behind,
                    [kept],
                    level,
                    self.time_of(line, verdict),
                    verdict.after,
                )
                inside = verdict.dated or level != levels.UNKNOWN
            elif current is None:
                current = Entry(
                    self.source, generation, at, behind, [kept], levels.UNKNOWN, None, 0, "rest"
                )
            else:
                current.lines.append(kept)
                current.end = behind
            at = behind
        if current is not None:
            yield finished(current)

    def _begins(self, verdict: Verdict, known: bool) -> bool:
        if verdict.begins:
            return True
        return not (verdict.inner or (self.layout.dated and known))

    def time_of(self, line: bytes, verdict: Verdict) -> float | None:
        """Unix seconds of a cleaned line."""
        if not verdict.dated:
            return None
        layout = self.layout
        if layout.json:
            found = JSON_TIME.search(line)
            return self.clock.json_seconds(found) if found else None
        if verdict.fast and layout.primary is not None:
            end = layout.column + layout.primary.seconds
            whole = self.clock.key_seconds(layout.primary, line[layout.column : end], layout.zone)
            fraction = line[end + 1 : end + 4]
            if whole is not None and line[end : end + 1] in (b".", b",") and fraction.isdigit():
                return whole + int(fraction) / 10.0 ** len(fraction)
            return whole
        stamp = layout.stamp(line)
        return self.clock.seconds(stamp) if stamp else None


def finished(entry: Entry) -> Entry:
    """Find the traceback in an entry whose lines are complete."""
    entry.trace = None
    if len(entry.lines) > 1 or MARK in entry.lines[0]:
        for index, line in enumerate(entry.lines):
            if MARK in line:
                trace = read_traceback(entry.lines, index)
                entry.trace = Trace(index, trace.end, trace.exception)
                break
    return entry


def extend(entry: Entry, rest: Entry) -> None:
    """Add lines that continue ``entry``."""
    entry.lines += rest.lines[: max(0, MAX_LINES - len(entry.lines))]
    entry.end = rest.end
    finished(entry)


def continues(entry: Entry, new: Entry) -> bool:
    """Whether ``new`` is no entry of its own but what follows in ``entry``."""
    if new.kind == "rest":
        return True
    return (
        entry.trace is not None
        and entry.trace.exception == b"unfinished"
        and entry.trace.end == len(entry.lines)
        and new.time is None
        and len(new.lines) == 1
        and EXCEPTION.match(new.lines[0]) is not None
    )
