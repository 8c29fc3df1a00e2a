"""Going from match to match and from error to error, within the window and beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proctui.logs import levels
from proctui.logs.entries import Entry
from proctui.logs.seeking import Seeker
from proctui.logs.source import LogSource, Place

if TYPE_CHECKING:
    from proctui.logs.pane import LogModel

__all__ = ["Search"]

_ERROR_WORDS: Final = "error|crit|fatal|severe|panic|exception|traceback|alert|emerg|fail|err"


def _is_error(entry: Entry) -> bool:
    return entry.level in (levels.ERROR, levels.CRITICAL)


def _is_any(entry: Entry) -> bool:
    return True


class Search:
    """What is looked for at the moment: ``search`` (the highlighted pattern) or ``error``."""

    def __init__(self, model: LogModel) -> None:
        self.model = model
        self._seek: tuple[int, bool, str] | None = None
        self._seeker: Seeker | None = None
        self._seeking = ""
        self._anchor: Entry | None = None

    def answer(self, answer: tuple[Any, ...]) -> bool:
        return self._seeker is not None and self._seeker.answer(answer)

    def next(self, index: int, backward: bool, what: str) -> int | None:
        self.stop()
        if what == "search" and self.model.filters.highlight is None:
            return None
        found = self.model.window.find(index, -1 if backward else 1, what)
        if found is not None:
            return found
        if self.model.marker is not None and not self.model.marker.done:
            self._seek = (index, backward, what)
        else:
            self._look_beyond(backward, what)
        return None

    def _look_beyond(self, backward: bool, what: str) -> None:
        """With filters the window grows until it holds a match; without, the helper looks ahead."""
        at_end = self.model.at_end or self.model.past is not None
        if (backward and self.model.all_older_shown()) or (not backward and at_end):
            self.model.notes.append("nothing further was found")
        elif self.model.filters.active:
            self._seek = (len(self.model.window.rows), backward, what)
            if backward:
                self.model.older(400)
            else:
                self.model.newer()
        else:
            accept = _is_error if what == "error" else _is_any
            pattern = (_ERROR_WORDS, True) if what == "error" else self.model.filters.highlight
            assert pattern is not None
            self._seeker = Seeker(
                self.model.helper,
                self.model.sources,
                [self._edge(source, backward) for source in self.model.sources],
                pattern,
                accept,
                backward=backward,
            )
            self._seeking = what

    def _edge(self, source: LogSource, backward: bool) -> Place:
        """Where the window ends in one source."""
        rows = self.model.window.rows
        for entry, _ in rows if backward else reversed(rows):
            if entry.kind == "entry" and entry.source == source.number:
                return entry.generation, entry.offset if backward else entry.end
        if backward:
            return self.model.loaders[source.number].low
        return self.model.high[source.number]

    def _anchored(self, what: str) -> int | None:
        """The row of the entry that was found in the file, now that it is in the window."""
        anchor = self._anchor
        if anchor is None:
            return None
        place = (anchor.source, anchor.generation, anchor.offset)
        for index, (entry, _) in enumerate(self.model.window.rows):
            if entry.kind == "entry" and place == (entry.source, entry.generation, entry.offset):
                found = self.model.window.find(index - 1, 1, what)
                same = found is not None and self.model.window.rows[found][0] is entry
                return found if same else index
        return None

    def stop(self) -> None:
        self._seek = None
        self._seeker = None

    def go_on(self) -> int | None:
        """The row that is looked for, once it is there."""
        if self._seeker is not None:
            self._seeker.work()
            if not self._seeker.finished:
                return None
            hit = self._seeker.hit
            self._seeker = None
            if hit is None:
                self.model.notes.append("nothing further was found")
            else:
                self.model.restart(hit)
                self.model.following = False
                self._anchor = hit
                self._seek = (-1, True, self._seeking)
            return None
        if self._seek is None or (self.model.marker is not None and not self.model.marker.done):
            return None
        index, backward, what = self._seek
        window = self.model.window
        if index < 0:
            found = self._anchored(what)
            if found is None and self.model.wanted > 0 and not self.model.all_older_shown():
                return None
            self._seek = None
            if found is None:
                self.model.notes.append("nothing further was found")
            return found
        if self.model.filters.active:
            index = window.prepended if backward else len(window.rows) - window.appended - 1
        self._seek = None
        found = window.find(index, -1 if backward else 1, what)
        if found is None:
            self._look_beyond(backward, what)
        return found
