"""The rows that are held: a stretch of entries that grows and shrinks at both ends."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from proctui.logs import levels
from proctui.logs.entries import Entry, extend
from proctui.logs.rows import FOLD, rows_of

__all__ = ["Change", "Window"]

_SLACK: Final = 0.1


class Change(NamedTuple):
    """What a poll did to the rows, in this order: for the widget to keep its cursor.

    ``reset``: all rows are new.  ``removed`` rows went from the front and
    ``prepended`` came to it; ``cut`` rows went from the end and ``appended``
    came to it.  ``changed``: rows look different, or some came in the middle.
    ``jump`` is the row that a search found, ``note`` what a person should be
    told.
    """

    reset: bool = False
    removed: int = 0
    prepended: int = 0
    cut: int = 0
    appended: int = 0
    changed: bool = False
    jump: int | None = None
    note: str = ""

    def __bool__(self) -> bool:
        return self != Change()


class Window:
    """``rows`` are (entry, line's index or ``FOLD``), oldest first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: list[tuple[Entry, int]] = []
        self.collapse = True
        self.unfolded = False
        self.dropped = False
        self._front: list[Entry] = []
        self.begin(reset=False)

    def begin(self, *, reset: bool) -> None:
        """Begin to note what changes."""
        self.reset = reset
        self.removed = self.prepended = self.cut = self.appended = 0
        self.changed = self.grew_at_front = False

    def change(self, jump: int | None, note: str) -> Change:
        return Change(
            self.reset,
            self.removed,
            self.prepended,
            self.cut,
            self.appended,
            self.changed,
            jump,
            note,
        )

    def clear(self) -> None:
        self.rows.clear()
        self._front.clear()
        self.dropped = False

    @property
    def excess(self) -> int:
        return len(self.rows) - self.limit

    def entries(self) -> list[Entry]:
        """The log entries in the window, newest first."""
        seen = {id(entry): entry for entry, _ in reversed(self.rows) if entry.kind == "entry"}
        return list(seen.values())

    def hits(self) -> int:
        """Lines of the entries that are shown for their own sake."""
        last: Entry | None = None
        count = 0
        for entry, _ in self.rows:
            if entry is not last and entry.kind == "entry" and entry.hit:
                count += len(entry.lines) * entry.count
            last = entry
        return count

    def _rows_of(self, entry: Entry) -> list[tuple[Entry, int]]:
        if self.unfolded:
            entry.open = True
        return rows_of(entry)

    def append(self, entry: Entry) -> None:
        """Add an entry at the end; a repetition is counted instead."""
        if self.collapse and self.rows and self.rows[-1][0].repeats(entry):
            last = self.rows[-1][0]
            last.count += entry.count
            last.end, last.generation = entry.end, entry.generation
            self.changed = True
            return
        new = self._rows_of(entry)
        self.rows += new
        self.appended += len(new)

    def prepend(self, entry: Entry) -> int:
        """Add an entry at the front, in place after :meth:`join_prepended`; how many rows it has."""
        first: Entry | None = self.rows[0][0] if self.rows else None
        if self._front:
            first = self._front[-1]
        if self.collapse and first is not None and entry.repeats(first):
            entry.count += first.count
            first.count, first.lines, first.time = entry.count, entry.lines, entry.time
            first.offset = entry.offset
            self.changed = True
            return 0
        self._front.append(entry)
        return len(rows_of(entry))

    def join_prepended(self) -> None:
        if not self._front:
            return
        new = [row for entry in reversed(self._front) for row in self._rows_of(entry)]
        self._front.clear()
        self.rows[:0] = new
        self.prepended += len(new)
        self.grew_at_front = True

    def grow(self, entry: Entry, rest: Entry) -> bool:
        """Add lines to an entry; whether it is shown."""
        extend(entry, rest)
        for back, (one, _) in enumerate(islice(reversed(self.rows), 400)):
            if one is not entry:
                continue
            behind = len(self.rows) - back
            first = behind
            while first and self.rows[first - 1][0] is entry:
                first -= 1
            new = self._rows_of(entry)
            added = len(new) - (behind - first)
            self.rows[first:behind] = new
            self.appended += max(0, added)
            self.cut += max(0, -added)
            self.changed = True
            return True
        return False

    def fold(self, index: int, opened: bool | None) -> int:
        entry = self.rows[index][0]
        first = index
        while first and self.rows[first - 1][0] is entry:
            first -= 1
        if entry.trace is None:
            return first
        behind = index + 1
        while behind < len(self.rows) and self.rows[behind][0] is entry:
            behind += 1
        entry.open = not entry.open if opened is None else opened
        self.rows[first:behind] = rows_of(entry)
        return first

    def fold_all(self, opened: bool) -> None:
        """Open or close every traceback, those to come too."""
        self.unfolded = opened
        entries = list({id(entry): entry for entry, _ in self.rows}.values())
        for entry in entries:
            entry.open = opened
        self.rows = [row for entry in entries for row in rows_of(entry)]

    def unmark(self) -> None:
        for entry, _ in self.rows:
            entry.found = {}
        self.changed = True

    def find(self, index: int, step: int, what: str) -> int | None:
        """The next row in one direction that is an ``error``, or that the ``search`` matches."""
        at = index + step
        while 0 <= at < len(self.rows):
            entry, line = self.rows[at]
            if what == "error":
                if entry.level in (levels.ERROR, levels.CRITICAL) and (
                    not at or self.rows[at - 1][0] is not entry
                ):
                    return at
            elif line in entry.found:
                return at
            elif line == FOLD and entry.trace is not None:
                inside = range(entry.trace.first, entry.trace.end)
                if any(one in entry.found for one in inside):
                    return at
            at += step
        return None

    def drop_front(self) -> list[Entry]:
        """Drop the oldest rows beyond the bound, whole entries, oldest first."""
        count = min(self.excess + int(self.limit * _SLACK), len(self.rows))
        while 0 < count < len(self.rows) and self.rows[count][0] is self.rows[count - 1][0]:
            count += 1
        gone = list({id(entry): entry for entry, _ in self.rows[:count]}.values())
        del self.rows[:count]
        self.removed += count
        self.dropped = True
        return gone

    def drop_back(self) -> list[Entry]:
        """Drop the newest rows beyond the bound, whole entries, newest first."""
        keep = max(self.limit - int(self.limit * _SLACK), 0)
        while 0 < keep < len(self.rows) and self.rows[keep][0] is self.rows[keep - 1][0]:
            keep -= 1
        gone = list({id(entry): entry for entry, _ in reversed(self.rows[keep:])}.values())
        self.cut += len(self.rows) - keep
        del self.rows[keep:]
        return gone
