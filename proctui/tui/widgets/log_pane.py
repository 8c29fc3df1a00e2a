"""The log pane: follows the job's captured output, or a log of the selected process."""

from __future__ import annotations

import re

from proctui.tui.ansi import line_runs
from proctui.tui.tail import Tail, TailLine
from proctui.tui.widgets.line_view import Runs
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["LogPane"]


class LogPane(TextPane):
    """Shows the newest lines while it follows; moving up holds it still.

    Lines become runs when they are painted, so a flood costs only what is
    on the screen.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.tail: Tail | None = None
        self.about = ""
        self._shown: list[TailLine] = []
        self._seen = 0
        self._pattern: re.Pattern[str] | None = None
        self._notes: tuple[Runs, ...] = ((("no output captured", "dim"),),)

    def on_mount(self) -> None:
        self._retitle()

    def follow_files(self, tail: Tail | None, about: str, notes: tuple[Runs, ...] = ()) -> None:
        """Follow other files, or show ``notes`` where there is nothing to follow."""
        self.tail, self.about = tail, about
        self._notes = notes or ((("nothing written so far", "dim"),),)
        self.following = True
        self.top = self.cursor = self.left = 0
        self._collect(anew=True)

    def poll(self) -> bool:
        """Take what was written since; whether that was anything."""
        if self.tail is None:
            return False
        count = self.tail.poll()
        waiting = self.tail.unfinished()
        if count or waiting != self._waiting:
            self._waiting = waiting
            self._collect(fresh=count)
            return True
        return False

    _waiting: list[TailLine] = []

    def _collect(self, *, fresh: int = 0, anew: bool = False) -> None:
        tail = self.tail
        if tail is None:
            self._shown = []
        elif anew or fresh >= len(tail.lines) or tail.dropped != self._seen:
            gone = tail.dropped - self._seen
            self._seen = tail.dropped
            before = len(self._shown)
            self._shown = [line for line in tail.lines if self._matches(line)]
            if gone and not self.following:
                self.top -= max(0, before - len(self._shown) + fresh)
        elif fresh:
            newest = [tail.lines[at] for at in range(-fresh, 0)]
            self._shown += [line for line in newest if self._matches(line)]
        if self.following:
            self.cursor = max(0, self.length() - 1)
            self.top = self.length()
        self._retitle()
        self.paint()

    def _matches(self, line: TailLine) -> bool:
        return self._pattern is None or self._pattern.search(line.text) is not None

    def _retitle(self) -> None:
        parts = ["Log", *([self.about] if self.about else [])]
        if self.needle:
            parts.append(f"only {self.needle}")
        note = "" if self.following or self.tail is None else "held · F follows"
        self.set_title("  ".join(parts), note)

    def set_filter(self, needle: str) -> str | None:
        try:
            pattern = re.compile(needle, re.IGNORECASE) if needle else None
        except re.error as error:
            return f"not a pattern: {error}"
        self.needle, self._pattern = needle, pattern
        self._collect(anew=True)
        return None

    def hold(self, index: int) -> None:
        """The cursor was moved: at the end the pane follows, elsewhere it stands still."""
        following = index >= self.length() - 1
        if following != self.following:
            self.following = following
            self._retitle()

    def length(self) -> int:
        if self.tail is None or not (self._shown or self._waiting):
            return len(self._notes)
        return len(self._shown) + len(self._waiting)

    def runs(self, index: int) -> Runs:
        if self.tail is None or not (self._shown or self._waiting):
            return self._notes[index]
        at = index - len(self._shown)
        line = self._shown[index] if at < 0 else self._waiting[at]
        return line_runs(line.text, "stderr" if line.stream == "stderr" else "quiet")

    def plain(self, index: int) -> str:
        return "".join(text for text, _style in self.runs(index))
