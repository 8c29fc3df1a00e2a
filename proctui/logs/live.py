"""What is appended on its way into the pane, and highlighting of what is there already."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from proctui.logs import levels
from proctui.logs.entries import Entry
from proctui.logs.helper import PatternHelper
from proctui.logs.loading import Filters, judge, lines_of

__all__ = ["Events", "Inlet", "Marker", "boundary"]

_BATCH: Final = 2000
_MOST_WAITING: Final = 40_000
_MOST_EVENTS: Final = 5_000


class Inlet:
    """Takes new entries, lets the helper judge them, and gives those that are to be shown."""

    def __init__(self, helper: PatternHelper, filters: Filters) -> None:
        self.helper = helper
        self.filters = filters
        self.ready: list[Entry] = []
        self.skipped = 0
        self._waiting: deque[Entry] = deque()
        self._asked: int | None = None
        self._entries: list[Entry] = []
        self._spans: list[Any] = []
        self._before: deque[Entry] = deque(maxlen=filters.context)
        self._after = 0

    def feed(self, entry: Entry) -> None:
        if not self.filters.patterns or entry.kind != "entry":
            if self._waiting or self._asked is not None:
                self._waiting.append(entry)
            else:
                self.ready.append(entry)
            return
        self._waiting.append(entry)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.skipped += 1

    def __contains__(self, entry: Entry) -> bool:
        """Whether ``entry`` is still to be judged as it will be."""
        return any(one is entry for one in self._waiting)

    def restart(self, filters: Filters) -> list[Entry]:
        """Take other patterns, the helper having been ended: what has not been judged yet."""
        left = [*self._entries, *self._waiting]
        self.filters = filters
        self._asked = None
        self._entries = []
        self._waiting.clear()
        return left

    def work(self) -> None:
        """Ask the helper about what waits."""
        if self._asked is not None or not self._waiting:
            return
        self._entries = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        self._spans = []
        judged = [one for one in self._entries if one.kind == "entry"]
        self._asked = self.helper.ask(
            "match", patterns=self.filters.patterns, lines=lines_of(judged)
        )

    def answer(self, answer: tuple[Any, ...]) -> bool:
        """Take an answer of the helper, if it is to this one; whether it was."""
        if answer[1] != self._asked:
            return False
        if answer[0] == "spans":
            self._spans += answer[3]
            return True
        self._asked = None
        entries, self._entries = self._entries, []
        if answer[0] == "done":
            judge([one for one in entries if one.kind == "entry"], self._spans, self.filters)
            for entry in entries:
                self._admit(entry)
        return True

    def _admit(self, entry: Entry) -> None:
        if entry.hit or entry.kind != "entry" or not self.filters.active:
            self.ready += self._before
            self._before.clear()
            self.ready.append(entry)
            if entry.kind == "entry":
                self._after = self.filters.context
        elif self._after:
            self._after -= 1
            self.ready.append(entry)
        else:
            self._before.append(entry)

    def take(self) -> list[Entry]:
        ready, self.ready = self.ready, []
        return ready


def boundary(source: int, generation: int, name: str, kind: str) -> Entry:
    """The line between what a log held before it was ``rotated`` or ``truncated`` and after."""
    text = f"── {name} was {kind} ──".encode("utf-8", "replace")
    return Entry(source, generation, 0, 0, [text], levels.UNKNOWN, time.time(), 0, "mark")


class Events:
    """What the dashboard saw happen; ``left`` of them are older than the window."""

    def __init__(self) -> None:
        self._events: list[Entry] = []
        self.left = 0

    def add(self, moment: float, text: str, level: str) -> Entry:
        number = levels.NAMES.index(level) if level in levels.NAMES else levels.INFO
        raw = text.encode("utf-8", "replace")
        event = Entry(0, 0, 0, 0, [raw], number, moment, 0, "event")
        self._events.append(event)
        if len(self._events) > _MOST_EVENTS:
            del self._events[0]
            self.left = max(0, self.left - 1)
        return event

    @property
    def newest(self) -> Entry | None:
        """The newest event before the window."""
        return self._events[self.left - 1] if self.left else None

    def rewind(self, moment: float | None) -> None:
        """Begin before ``moment``, or at the end."""
        self.left = sum(1 for one in self._events if moment is None or (one.time or 0) <= moment)


class Marker:
    """Looks through entries that are shown already for a new search."""

    def __init__(self, helper: PatternHelper, filters: Filters) -> None:
        self.helper = helper
        self.filters = filters
        self._todo: list[Entry] = []
        self._asked: int | None = None
        self._entries: list[Entry] = []
        self._spans: list[Any] = []

    def add(self, entries: list[Entry]) -> None:
        self._todo = self._todo + entries

    @property
    def done(self) -> bool:
        return not self._todo and self._asked is None

    def work(self) -> None:
        if self._asked is not None or not self._todo:
            return
        self._entries, self._todo = self._todo[:_BATCH], self._todo[_BATCH:]
        self._spans = []
        self._asked = self.helper.ask(
            "match", patterns=self.filters.patterns, lines=lines_of(self._entries)
        )

    def answer(self, answer: tuple[Any, ...]) -> bool:
        if answer[1] != self._asked:
            return False
        if answer[0] == "spans":
            self._spans += answer[3]
            return True
        self._asked = None
        if answer[0] == "done":
            hits = [entry.hit for entry in self._entries]
            judge(self._entries, self._spans, self.filters)
            for entry, hit in zip(self._entries, hits, strict=True):
                entry.hit = hit
        return True
