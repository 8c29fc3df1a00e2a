"""The log pane: the job's captured output or any process's logs, filtered while they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from textual.message import Message

from proctui.errors import BadArgument
from proctui.tui.widgets.line_view import LineView, Run, Runs
from proctui.units import clock_text

if TYPE_CHECKING:
    from proctui.logs.pane import Filters, LogModel, Row

__all__ = ["LogPane", "filters_of", "row_runs"]

_ORDER = ("search", "match", "fold", "trace", "count", "level", "head", "ansi")
_STYLES = {
    "search": "match",
    "match": "found",
    "fold": "guide",
    "trace": "bad",
    "count": "accent",
    "head": "dim",
    "level-critical": "bad",
    "level-fatal": "bad",
    "level-error": "bad",
    "level-warning": "warn",
    "level-info": "good",
    "level-debug": "dim",
    "level-trace": "dim",
}


def filters_of(text: str) -> Filters:
    """``error & !heartbeat``: keep what matches every part, drop what matches one after ``!``.

    Capitals make a part mind its case.
    """
    from proctui.logs.pane import Filters

    keep: list[tuple[str, bool]] = []
    drop: list[tuple[str, bool]] = []
    for part in text.split(" & "):
        part = part.strip()
        if not part or part == "!":
            continue
        pattern = part[1:] if part.startswith("!") else part
        entry = (pattern, pattern == pattern.lower())
        (drop if part.startswith("!") else keep).append(entry)
    return Filters(tuple(keep), tuple(drop))


@lru_cache(maxsize=256)
def _rich(names: tuple[str, ...]) -> str:
    """``ansi-…`` names as one Rich style."""
    words: list[str] = []
    for name in names:
        kind, _, value = name.removeprefix("ansi-").partition("-")
        if kind in ("fg", "bg"):
            colour = value if value.startswith("#") else f"color({value})"
            words.append(colour if kind == "fg" else f"on {colour}")
        else:
            words.append(kind)
    return "=" + " ".join(words)


def row_runs(row: Row) -> Runs:
    """A row of the model as runs; the strongest of overlapping spans gives the style."""
    base = "stderr" if row.source == "stderr" else "quiet" if row.hit else "dim"
    if row.kind == "event":
        return (("◆ ", "accent"), (row.text, "accent"))
    if row.kind == "mark":
        return ((row.text, "dim"),)
    prefix: tuple[Run, ...] = ((f"{row.source} ", "guide"),) if row.source else ()
    if not row.spans:
        return (*prefix, (row.text, base))
    edges = {0, len(row.text)}
    for span in row.spans:
        edges.add(min(span.start, len(row.text)))
        edges.add(min(span.end, len(row.text)))
    cuts = sorted(edges)
    runs: list[Run] = list(prefix)
    for start, end in pairwise(cuts):
        names = [span.name for span in row.spans if span.start <= start and end <= span.end]
        runs.append((row.text[start:end], _style(names) or base))
    return tuple(runs)


def _style(names: Sequence[str]) -> str | None:
    for kind in _ORDER:
        mine = tuple(name for name in names if name.partition("-")[0] == kind)
        if not mine:
            continue
        if kind == "ansi":
            return _rich(mine)
        return _STYLES.get(mine[0], "quiet")
    return None


class LogPane(LineView):
    """Shows the newest rows while it follows; moving up holds it still."""

    class Noted(Message):
        """Something about a log that a person should be told."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.model: LogModel | None = None
        self.about = ""
        self.needle = ""
        self._sought = ""
        self._upward = False
        self._vague = False
        self._notes: tuple[Runs, ...] = ((("no output captured", "dim"),),)

    def on_mount(self) -> None:
        self._retitle()

    def on_unmount(self) -> None:
        # The worker that polls outlives the pane by a moment, and must not read a closed file.
        model, self.model = self.model, None
        if model is not None:
            model.close()

    @property
    def following(self) -> bool:
        return self.model is None or self.model.following

    def follow_files(
        self, files: Sequence[tuple[str, str]], about: str, notes: tuple[Runs, ...] = ()
    ) -> None:
        """Follow other files, or show ``notes`` where there is nothing to follow."""
        from proctui.logs.pane import LogModel

        if self.model is not None:
            self.model.close()
        self.model = LogModel(files) if files else None
        self.about = about
        self.needle = self._sought = ""
        problems: tuple[Runs, ...] = ()
        if self.model is not None:
            problems = tuple(((text, "warn"),) for text in self.model.problems)
        self._notes = (*problems, *(notes or ((("nothing written so far", "dim"),),)))
        self.top = self.cursor = self.left = 0
        self.poll()
        self._retitle()
        self.paint()

    def poll(self) -> bool:
        """Take what was written since; whether anything came."""
        model = self.model
        if model is None:
            return False
        change = model.poll()
        if not change:
            return False
        if change.reset:
            self.cursor = self.top = 0
        shift = change.prepended - change.removed
        self.cursor += shift
        self.top += shift
        if model.following and model.at_end:
            self.cursor = max(0, self.length() - 1)
            self.top = self.length()
        if change.jump is not None:
            model.following = False
            self.move_to(change.jump)
        if change.note:
            self.post_message(self.Noted(change.note))
        self._strips.clear() if change.changed else None
        self._retitle()
        self.paint()
        self._want_more()
        return True

    def _want_more(self) -> None:
        """Near an end of the window, ask for what lies beyond it."""
        model = self.model
        if model is None:
            return
        if self.top < self.page and not model.all_older_shown():
            model.older()
        if self.top + 2 * self.page > model.length() and not model.at_end:
            model.newer()

    def _retitle(self) -> None:
        parts = ["Log", *([self.about] if self.about else [])]
        note = ""
        if self.model is not None:
            status = self.model.status()
            if self.needle:
                parts.append(f"only {self.needle}")
                of = "" if status["complete"] else " so far"
                note = f"{status['shown']} of {status['of']} lines{of}"
            if self.model.past is not None:
                held = f"until {clock_text(self.model.past)}"
                held += " or later: its lines bear no time" if self._vague else ""
            else:
                held = "" if self.model.following else "held, F follows"
            note = " · ".join(one for one in (note, held) if one)
        self.set_title("  ".join(parts), note)

    # Filter and search

    def set_filter(self, needle: str) -> str | None:
        """Show only what passes; what is wrong with the filter, if anything."""
        if self.model is None:
            return "there is nothing to filter"
        try:
            filters = filters_of(needle)
            self.model.set_filters(replace(filters, highlight=self.model.filters.highlight))
        except BadArgument as error:
            return error.message
        self.needle = needle
        self.poll()
        self._retitle()
        self.paint()
        return None

    def find(self, needle: str, start: int, step: int, *, including: bool = False) -> bool:
        """Go to the next row that a pattern matches; beyond the window it comes later.

        Begun at the log's end a search goes upward, to older lines.
        """
        if self.model is None:
            return super().find(needle, start, step, including=including)
        try:
            if needle != self._sought:
                if not self._sought:
                    self._upward = start >= self.length() - self.page
                self.model.search(needle, needle == needle.lower())
                self._sought = needle
        except BadArgument:
            return False
        self.model.following = False
        step = -step if self._upward else step
        at = self.model.find_next(start - step if including else start, backward=step < 0)
        if at is not None:
            self.move_to(at)
        return True

    def unfind(self) -> None:
        """Take the highlight of a search away."""
        if self.model is not None and self._sought:
            self._sought = ""
            self.model.search(None)

    def next_error(self, step: int) -> None:
        """Go to the next entry of level error or worse."""
        if self.model is None:
            return
        self.model.following = False
        at = self.model.next_error(self.cursor, backward=step < 0)
        if at is not None:
            self.move_to(at)

    def toggle_fold(self) -> None:
        """Open or close the traceback under the cursor."""
        if self.model is not None and self.cursor < len(self.model.window.rows):
            self.cursor = self.model.fold(self.cursor)
            self._strips.clear()
            self.poll()
            self.paint()

    # Moving

    def hold(self, index: int) -> None:
        """The cursor was moved: at the end the pane follows, elsewhere it stands still."""
        model = self.model
        if model is None:
            return
        following = model.at_end and index >= self.length() - 1
        if following != model.following:
            model.following = following
            self._retitle()
        self._want_more()

    def follow(self, on: bool) -> None:
        """Follow the end, or hold still."""
        if self.model is None:
            return
        self.model.following = on
        if on:
            self.model.to_end()
            self.poll()
            self.move_to(self.length() - 1)
        self._retitle()

    def show_past(self, moment: float | None) -> None:
        """Show the log as it stood then (Unix seconds), ``None``: follow its end again."""
        model = self.model
        if model is None or (moment is None and model.past is None):
            return
        self._vague = False
        if moment is None:
            model.to_end()
        else:
            self._vague = not model.to_past(moment)
        self._strips.clear()
        self.poll()
        self.move_to(self.length() - 1)
        self._retitle()

    def scroll_lines(self, count: int) -> None:
        super().scroll_lines(count)
        self.hold(self.top + self.page - 1)

    def move_end(self) -> None:
        self.follow(True)

    # Lines

    def length(self) -> int:
        count = 0 if self.model is None else self.model.length()
        return count or (0 if self.needle else len(self._notes))

    def runs(self, index: int) -> Runs:
        if self.model is None or not self.model.length():
            return self._notes[index]
        return row_runs(self.model.row(index))

    def plain(self, index: int) -> str:
        return "".join(text for text, _style in self.runs(index))
