"""The log pane without its widget: rows to show, found lazily from the end of any file.

Rows are held in a window that slides: it grows backward when older ones are
wanted, takes what is appended while it stands at the end, and drops at the
far side what goes beyond its bound.  Nothing here waits: patterns run in the
helper process, and :meth:`LogModel.poll` takes what has come.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from proctui.errors import ProctuiError
from proctui.logs import levels
from proctui.logs.entries import Entry
from proctui.logs.helper import PatternHelper
from proctui.logs.live import Events, Inlet, Marker, boundary
from proctui.logs.loading import Filters, Loader
from proctui.logs.regex import check
from proctui.logs.rows import Row, row_of
from proctui.logs.search import Search
from proctui.logs.source import LogSource, Place, merged_pages
from proctui.logs.window import Change, Window

__all__ = ["Change", "Filters", "LogModel", "Row"]

_MAX_ROWS: Final = 20_000
_FIRST: Final = 300
_TOO_FAR: Final = 4 << 20
"""Bytes by which the window may lag behind a flood before it goes to the end at once."""
_STEPS: Final = 320
"""Steps back that a poll takes even if it is late: the first screen comes at once."""


class LogModel:
    """Several logs and the events of a job on one time axis.

    ``files`` are (name, path); what can't be opened stands in ``problems``.
    The widget reads :meth:`length` and :meth:`row`, sets ``following``, and
    calls :meth:`older` or :meth:`newer` when its view comes near an end.
    """

    def __init__(self, files: Sequence[tuple[str, str]], *, limit: int = _MAX_ROWS) -> None:
        self.problems: list[str] = []
        self.sources: list[LogSource] = []
        for name, path in files:
            try:
                self.sources.append(LogSource(len(self.sources), path, name))
            except ProctuiError as error:
                self.problems.append(error.message)
        self.filters = Filters()
        self.following = True
        self.at_end = True
        self.past: float | None = None
        self.window = Window(limit)
        self.helper = PatternHelper()
        self._events = Events()
        self._search = Search(self)
        self.notes: list[str] = []
        self._fresh = True
        self._forward = False
        self.wanted = 0
        self._appended = 0
        self.marker: Marker | None = None
        self._inlet = Inlet(self.helper, self.filters)
        self.loaders: list[Loader] = []
        self.high: list[Place] = []
        self._ends: list[Place] | None = None
        self.restart()

    # What is shown

    def length(self) -> int:
        """Rows in the window, unfinished lines included."""
        return len(self.window.rows) + len(self._partial())

    def row(self, index: int) -> Row:
        """One row, as harmless text with named spans."""
        if index < len(self.window.rows):
            entry, line = self.window.rows[index]
        else:
            source, raw = self._partial()[index - len(self.window.rows)]
            entry = Entry(source.number, source.latest, 0, 0, [raw], levels.UNKNOWN, None)
            line = 0
        return row_of(entry, line, self._label(entry))

    def entry(self, index: int) -> Entry | None:
        """The entry that a row belongs to; ``None`` for an unfinished line."""
        rows = self.window.rows
        return rows[index][0] if 0 <= index < len(rows) else None

    def _label(self, entry: Entry) -> str:
        if entry.kind != "entry" or len(self.sources) < 2:
            return ""
        return self.sources[entry.source].name

    def _partial(self) -> list[tuple[LogSource, bytes]]:
        """Prompts and progress bars: lines without an end so far."""
        if not self.at_end or self.filters.active:
            return []
        return [(one, one.follower.partial[-8192:]) for one in self.sources if one.follower.partial]

    def status(self) -> dict[str, Any]:
        """``shown`` of ``of`` lines (``of``: those looked at), ``complete`` (that is all there is),
        ``busy`` (patterns are at work), ``at_end``, ``following``."""
        scanned = sum(loader.scanned for loader in self.loaders) + self._appended
        shown = self.window.hits()
        return {
            "shown": shown,
            "of": max(scanned, shown),
            "complete": self.at_end and self.all_older_shown() and not self.window.dropped,
            "busy": self.helper.busy,
            "at_end": self.at_end,
            "following": self.following,
        }

    # Filters and search

    def set_filters(self, filters: Filters, *, anchor: int | None = None) -> None:
        """Show other entries; ``anchor`` is a row to stay at when all are shown again.

        Raises :class:`BadArgument` for a bad pattern, with its position.
        """
        for regex, ignore_case in filters.patterns:
            check(regex, ignore_case)
        entry = self.entry(anchor) if anchor is not None else None
        before, self.filters = self.filters, filters
        if replace(filters, highlight=None) == replace(before, highlight=None):
            self._highlight()
        else:
            self.restart(None if filters.active else entry)

    def search(self, regex: str | None, ignore_case: bool = True) -> None:
        """Highlight a pattern; :meth:`find_next` goes from place to place."""
        self.set_filters(replace(self.filters, highlight=(regex, ignore_case) if regex else None))

    def _highlight(self) -> None:
        self.helper.cancel()
        self._search.stop()
        waiting = self._inlet.restart(self.filters)
        for loader in self.loaders:
            loader.restart(self.filters)
        self.marker = None
        if self.filters.highlight is None:
            self.window.unmark()
        else:
            self.marker = Marker(self.helper, self.filters)
            self.marker.add(self.window.entries())
        for entry in waiting:
            self._inlet.feed(entry)

    def find_next(self, index: int, *, backward: bool = False) -> int | None:
        """The next row after ``index`` that the search matches.

        ``None`` if none is in the window; it is then looked for beyond, and
        comes as ``jump`` of a later :meth:`poll`.
        """
        return self._search.next(index, backward, "search")

    def next_error(self, index: int, *, backward: bool = False) -> int | None:
        """The next entry of level error or critical, as :meth:`find_next`."""
        return self._search.next(index, backward, "error")

    def fold(self, index: int, opened: bool | None = None) -> int:
        """Open or close the traceback of a row's entry (``None``: the other way round).

        Returns the row at which the entry begins.
        """
        return self.window.fold(index, opened)

    def add_event(self, moment: float, text: str, level: str = "info") -> None:
        """An event of the dashboard (spawned, died, killed, hang) at ``moment`` (Unix seconds)."""
        event = self._events.add(moment, text, level)
        if self.at_end:
            self._inlet.feed(event)

    # Moving the window

    def older(self, rows: int = 200) -> None:
        """Want so many more rows before the first."""
        self.wanted = max(self.wanted, rows)

    def newer(self) -> None:
        """Want what follows the last row, where the window does not reach the end."""
        if self.at_end or self.high == self._ends:
            return
        if self.filters.active:
            self.restart()
        else:
            self._forward = True

    def to_end(self) -> None:
        """Go to the end of the logs and follow them."""
        self.following = True
        self.past = self._ends = None
        if not self.at_end:
            self.restart()

    def to_past(self, moment: float) -> bool:
        """Show the logs as they stood at ``moment`` (Unix seconds), until :meth:`to_end`.

        False where that isn't known of one: its lines bear no time and it was opened later.
        """
        known = [source.place_at(moment) for source in self.sources]
        self.following, self.past = False, moment
        self._ends = [place or one.opened for place, one in zip(known, self.sources, strict=True)]
        self.restart()
        return None not in known

    def restart(self, anchor: Entry | None = None) -> None:
        """Empty the window and fill it again, at the end or around ``anchor``."""
        self.helper.cancel()
        self.window.clear()
        self.window.begin(reset=True)
        self._fresh, self.wanted = True, _FIRST
        self._search.stop()
        self.marker = None
        self._inlet = Inlet(self.helper, self.filters)
        self._appended = 0
        for source in self.sources:
            source.last = None
        starts = list(self._ends or [source.tail for source in self.sources])
        if anchor is not None:
            starts = [source.place_of(anchor) for source in self.sources]
        self._events.rewind(self.past if anchor is None else anchor.time)
        self.at_end = anchor is None and self.past is None
        self._forward = anchor is not None
        self.high = list(starts)
        self.loaders = [
            Loader(source, self.helper, self.filters, start)
            for source, start in zip(self.sources, starts, strict=True)
        ]

    def all_older_shown(self) -> bool:
        return not self._events.left and all(
            one.exhausted and not one.ready for one in self.loaders
        )

    # Taking what has come

    def poll(self, budget: float = 0.02) -> Change:
        """Take new lines, the helper's answers and older pages, in about ``budget`` seconds."""
        deadline = time.monotonic() + budget
        window = self.window
        window.begin(reset=self._fresh)
        self._answers()
        self._take_live(deadline)
        self._take_older(deadline)
        self._take_newer()
        self._trim()
        jump = self._search.go_on()
        self._fresh = False
        notes, self.notes = self.notes, []
        return window.change(jump, "; ".join(notes))

    def _answers(self) -> None:
        for answer in self.helper.poll():
            if answer[0] == "stopped":
                self._stop_pattern()
                return
            if self._inlet.answer(answer) or self._search.answer(answer):
                continue
            if any(one.answer(answer) for one in self.loaders):
                continue
            if self.marker is not None and self.marker.answer(answer):
                self.window.changed = True

    def _stop_pattern(self) -> None:
        """A pattern exploded: it is left out, and that is said."""
        suspects = [one for one in self.filters.patterns if self.helper.dangerous(one)]
        for pattern in suspects or self.filters.patterns:
            self.notes.append(f"the pattern {pattern[0]} was stopped: it takes too long")
            self.filters = self.filters.without(pattern)
        self.restart()

    def _take_live(self, deadline: float) -> None:
        grown = [source for source in self.sources if source.grown()]
        hurry = not self.filters.active and (self.following or not self.at_end)
        if hurry and sum(source.hurry(_TOO_FAR) for source in grown) and self.at_end:
            self.restart()
        for source in grown:
            while True:
                for one in source.poll(1 << 16):
                    if not isinstance(one, Entry):
                        self._mark(source, one.kind, one.note)
                    elif self.at_end:
                        self._appended += len(one.lines)
                        self._arrive(source, one)
                if not source.follower.behind or time.monotonic() > deadline:
                    break
        if self.at_end:
            self._inlet.work()
            for entry in self._inlet.take():
                self.window.append(entry)
            if self._inlet.skipped:
                self.notes.append(f"{self._inlet.skipped} lines came too fast to be filtered")
                self._inlet.skipped = 0
        if self.marker is not None:
            self.marker.work()

    def _arrive(self, source: LogSource, entry: Entry) -> None:
        """A new entry, or lines that continue the last one of its source."""
        last = source.last
        if last is not None and source.joins(last, entry):
            if self.window.grow(last, entry) or last in self._inlet:
                return
            entry = last
        if entry.kind == "rest":
            entry.kind = "entry"
        if entry.time is None and not source.splitter.layout.dated:
            entry.time = time.time()
        source.last = entry
        self._inlet.feed(entry)

    def _mark(self, source: LogSource, kind: str, note: str) -> None:
        if kind == "note":
            self.notes.append(note)
        elif self.at_end:
            self._inlet.feed(boundary(source.number, source.latest, source.name, kind))

    def _take_older(self, deadline: float) -> None:
        """Merge what the loaders and the events hold, newest first."""
        steps = 0
        while self.wanted > 0 and (steps < _STEPS or time.monotonic() < deadline):
            steps += 1
            for loader in self.loaders:
                loader.work()
            if not all(one.settled for one in self.loaders):
                if not any(one.waiting for one in self.loaders):
                    continue
                return
            best: Loader | None = None
            newest = float("-inf")
            for loader in self.loaders:
                if loader.ready and loader.newest() >= newest:
                    best, newest = loader, loader.newest()
            event = self._events.newest
            if event is not None and (event.time or 0) >= newest:
                self._events.left -= 1
                self.wanted -= self.window.prepend(event)
            elif best is not None:
                entry = best.ready.pop()
                if best.source.last is None and self.at_end:
                    best.source.last = entry
                self.wanted -= self.window.prepend(entry)
            else:
                self.wanted = 0
        self.window.join_prepended()

    def _take_newer(self) -> None:
        """A page after the window, merged by time, until the end is reached."""
        if not self._forward or self.at_end:
            return
        self._forward = False
        entries, places = merged_pages(self.sources, self.high, self._ends)
        self.at_end = not entries and places == self.high and self.past is None
        self.high = places
        for entry in entries:
            self.window.append(entry)
            self.sources[entry.source].last = entry
        if self.filters.highlight is not None and entries:
            if self.marker is None:
                self.marker = Marker(self.helper, self.filters)
            self.marker.add(entries)

    def _trim(self) -> None:
        """Keep the window within its bound, on the side that is not looked at."""
        window = self.window
        if window.excess <= 0:
            return
        if self.following or not self.window.grew_at_front:
            if not self.following and self.at_end:
                self._leave_end()
                return
            for entry in window.drop_front():
                if entry.kind == "event":
                    self._events.left += 1
                elif entry.kind == "entry":
                    self.loaders[entry.source].rewind((entry.generation, entry.end))
        else:
            self._leave_end()
            for entry in window.drop_back():
                if entry.kind == "entry":
                    self.high[entry.source] = (entry.generation, entry.offset)

    def _leave_end(self) -> None:
        """Lines that come now are not added any more: somebody reads further up."""
        if self.at_end:
            self.at_end = False
            self.high = [source.tail for source in self.sources]

    def close(self) -> None:
        """End the helper and close the files."""
        self.helper.close()
        for source in self.sources:
            source.close()
