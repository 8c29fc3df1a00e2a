"""Older entries of one log, newest first, as far as the filters let them through.

Without filters a page is read and split, in a millisecond.  With filters the
helper first finds where in the file the first pattern matches, and only what
stands around those places is read; then it judges whole entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from proctui.logs.backward import line_start_before
from proctui.logs.entries import Entry
from proctui.logs.helper import PatternHelper
from proctui.logs.source import LogSource, Place
from proctui.logs.styling import plain_text

__all__ = ["Filters", "Loader", "Pattern", "judge", "lines_of"]

_RANGE: Final = 8 << 20
_AROUND: Final = 4096
_REGION: Final = 1 << 16

Pattern = tuple[str, bool]
"""A regular expression and whether case counts for nothing."""


@dataclass(frozen=True)
class Filters:
    """Entries are shown that every ``keep`` matches somewhere and no ``drop`` matches anywhere.

    ``context`` entries before and after are shown with them; ``highlight`` is
    a search: it hides nothing.
    """

    keep: tuple[Pattern, ...] = ()
    drop: tuple[Pattern, ...] = ()
    context: int = 0
    highlight: Pattern | None = None

    @property
    def active(self) -> bool:
        return bool(self.keep or self.drop)

    @property
    def patterns(self) -> list[Pattern]:
        return [*self.keep, *self.drop, *((self.highlight,) if self.highlight else ())]

    def without(self, pattern: Pattern) -> Filters:
        """These filters without one that had to be stopped."""
        return Filters(
            tuple(one for one in self.keep if one != pattern),
            tuple(one for one in self.drop if one != pattern),
            self.context,
            None if self.highlight == pattern else self.highlight,
        )


def lines_of(entries: list[Entry]) -> list[str]:
    """The lines as they are shown: what patterns are held against."""
    return [plain_text(line) for entry in entries for line in entry.lines]


def judge(
    entries: list[Entry], spans: list[list[list[list[int]] | None]], filters: Filters
) -> list[bool]:
    """Which entries pass; notes in each where the patterns match. ``spans`` as the helper gave them."""
    keep, drop = len(filters.keep), len(filters.drop)
    passed: list[bool] = []
    at = 0
    for entry in entries:
        of_entry = spans[at : at + len(entry.lines)]
        at += len(entry.lines)
        kept = all(any(line[index] is not None for line in of_entry) for index in range(keep))
        dropped = any(line[keep + index] is not None for line in of_entry for index in range(drop))
        entry.hit = kept and not dropped
        passed.append(entry.hit)
        entry.matches, entry.found = {}, {}
        for index, line in enumerate(of_entry):
            matches = [span for one in line[:keep] if one for span in one]
            if matches:
                entry.matches[index] = sorted(matches)
            if filters.highlight and line[keep + drop] is not None:
                entry.found[index] = line[keep + drop] or []
    return passed


def with_context(entries: list[Entry], context: int) -> list[Entry]:
    """The hits among neighbours, with ``context`` entries around each."""
    return [
        entry
        for index, entry in enumerate(entries)
        if entry.hit
        or any(one.hit for one in entries[max(0, index - context) : index + context + 1])
    ]


@dataclass
class Loader:
    """Reads one source backward from ``low``.

    ``ready`` holds entries that passed, oldest first; ``exhausted`` is true
    at the beginning of the log.  :meth:`work` starts what is to be done next,
    :meth:`answer` takes what the helper says; neither waits.
    """

    source: LogSource
    helper: PatternHelper
    filters: Filters
    low: Place
    ready: list[Entry] = field(default_factory=list)
    exhausted: bool = False
    scanned: int = 0
    _asked: int | None = None
    _found: list[int] = field(default_factory=list)
    _range: tuple[int, int] = (0, 0)
    _regions: list[tuple[int, int]] = field(default_factory=list)
    _judging: list[Entry] = field(default_factory=list)
    _region: tuple[int, int] = (0, 0)
    _bottom: int | None = None
    _spans: list[Any] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        """Whether an answer of the helper is awaited."""
        return self._asked is not None

    @property
    def settled(self) -> bool:
        """Whether it is known what comes next: an entry, or nothing any more."""
        return bool(self.ready) or self.exhausted

    def work(self) -> None:
        """Do one step towards more entries."""
        if self.ready or self.exhausted or self._asked is not None:
            return
        if not self.filters.active:
            entries, begin = self.source.before(self.low)
            if begin is None:
                self.exhausted = True
                return
            self.low = begin
            self.ready = entries
            self.scanned += sum(len(entry.lines) for entry in entries)
            if self.filters.highlight and entries:
                self._judge(entries, (0, 0))
                self.ready = []
            return
        if self._regions:
            self._read(self._regions.pop())
            return
        if self._bottom is not None:
            self.low = (self.low[0], min(self.low[1], self._bottom))
            self._bottom = None
        self._find()

    def _find(self) -> None:
        """Ask where the first pattern matches in the next stretch of the file."""
        number, offset = self.low
        begin = self.source.begin_of(number)
        if offset <= begin:
            older = self.source.generations.get(number - 1)
            if older is None:
                self.exhausted = True
                return
            self.low = (number - 1, self.source.size_of(number - 1))
            return
        one = self.source.generations[number]
        low = max(begin, offset - _RANGE)
        if low > begin:
            low = line_start_before(one.fd, low, begin, 1 << 20)
        request = self.source.request(self.low)
        if request is None:
            self.exhausted = True
            return
        self._range = (low, offset)
        self._found = []
        pattern = self.filters.keep[0] if self.filters.keep else None
        self._asked = self.helper.ask("find", **request, begin=low, end=offset, pattern=pattern)

    def _read(self, region: tuple[int, int]) -> None:
        low, high = region
        number = self.low[0]
        if number not in self.source.generations:
            self.exhausted = True
            return
        entries = self.source.between(number, low, min(high, self.low[1]), self.low[1])
        if entries:
            self._judge(entries, (entries[0].offset, high))

    def _judge(self, entries: list[Entry], region: tuple[int, int]) -> None:
        self._judging = entries
        self._region = region
        self._spans = []
        self._asked = self.helper.ask(
            "match", patterns=self.filters.patterns, lines=lines_of(entries)
        )

    def newest(self) -> float:
        """The time of the newest entry that is ready; one without takes that of its elders."""
        for entry in reversed(self.ready):
            if entry.time is not None:
                return entry.time
        return self.source.arrived(self.ready[-1])

    def rewind(self, place: Place) -> None:
        """Begin again at ``place``: what was shown before it has been dropped."""
        self.low = place
        self.exhausted = False
        self.ready.clear()
        self._forget()

    def restart(self, filters: Filters) -> None:
        """Go on with another search; what is ready keeps."""
        if self._judging and not self.filters.active:
            self.ready = self._judging
        self.filters = filters
        self._forget()

    def _forget(self) -> None:
        self._asked = None
        self._found, self._regions, self._judging, self._spans = [], [], [], []
        self._bottom = None

    def answer(self, answer: tuple[Any, ...]) -> bool:
        """Take an answer of the helper, if it is to this loader; whether it was."""
        if self._asked is None or answer[1] != self._asked:
            return False
        if answer[0] == "found":
            self._found += answer[2]
            self.scanned += answer[4]
        elif answer[0] == "spans":
            self._spans += answer[3]
        elif self._judging:
            self._asked = None
            entries, self._judging = self._judging, []
            if answer[0] == "done":
                judge(entries, self._spans, self.filters)
                self.ready = with_context(entries, self.filters.context)
            elif not self.filters.active:
                self.ready = entries
            if self.filters.active:
                self.low = (self.low[0], self._region[0])
        else:
            self._asked = None
            if answer[0] != "done":
                self.exhausted = True
                return True
            self._regions = _regions(self._found, *self._range)
            self._found = []
            self._bottom = self._range[0]
        return True


def _regions(found: list[int], low: int, high: int) -> list[tuple[int, int]]:
    """Stretches around the places found, oldest first, neither too long nor overlapping."""
    out: list[tuple[int, int]] = []
    for at in found:
        begin, end = max(low, at - _AROUND), min(high, at + _AROUND)
        if out and begin <= out[-1][1] and end - out[-1][0] <= _REGION:
            out[-1] = (out[-1][0], end)
        else:
            if out:
                begin = max(begin, min(out[-1][1], at))
            out.append((begin, end))
    return out
