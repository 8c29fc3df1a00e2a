"""The stack pane: where the selected process, or its whole subtree, stands."""

from __future__ import annotations

import textwrap
import time

from rich.cells import cell_len

from proctui.tui.dumps import Dump, Row
from proctui.tui.widgets.line_view import Runs
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["StackPane"]

EMPTY: tuple[Runs, ...] = (
    (("s", "key"), ("  stack of the selected process", "dim")),
    (("S", "key"), ("  of everything below it, identical ones merged", "dim")),
    (("h", "key"), ("  who waits for whom, and is it a deadlock", "dim")),
)
KEPT = 20


class StackPane(TextPane):
    """Keeps the latest dumps; ``<`` and ``>`` go through them, what is new is marked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.dumps: list[Dump] = []
        self.at = 0
        self._past: float | None = None
        self._folded: set[Runs] = set()
        self._opened: set[tuple[Runs, Runs]] = set()
        self._places: list[tuple[int, int]] = []

    def fit(self) -> None:
        super().fit()
        if self.dumps:
            self._render_dump(keep=True)

    def on_mount(self) -> None:
        self.set_title("Stack")
        self.set_lines(EMPTY)

    def busy(self, text: str) -> None:
        """Say that something is being looked at."""
        self.set_title("Stack", text)

    def show(self, dump: Dump, *, replace: bool = False) -> None:
        """Show a new dump; ``replace`` where it completes the one before."""
        dump = dump._replace(taken=time.time())
        if replace and self.dumps:
            self.dumps[-1] = dump
        else:
            self.dumps = [*self.dumps[-KEPT + 1 :], dump]
        self.at = len(self.dumps) - 1
        self._render_dump(keep=replace)

    def trouble(self, text: str) -> None:
        """Say in plain words why there is no stack."""
        self.show(Dump(text, (), ()))

    def show_past(self, moment: float | None) -> None:
        """Show the dump that was the newest one then (Unix seconds), ``None``: the newest one."""
        self._past = moment
        if not self.dumps:
            return
        known = [at for at, one in enumerate(self.dumps) if moment is None or one.taken <= moment]
        if known:
            self.at = known[-1]
            self._render_dump(keep=False)
        else:
            self.set_title("Stack", "none was taken so far")
            self.set_lines((), keep=False)

    def step(self, by: int) -> None:
        """The dump before or after."""
        if self.dumps:
            self.at = max(0, min(len(self.dumps) - 1, self.at + by))
            self._render_dump(keep=False)

    def _render_dump(self, *, keep: bool) -> None:
        dump = self.dumps[self.at]
        earlier = (one for one in reversed(self.dumps[: self.at]) if one.about == dump.about)
        before = next(earlier, None)
        known = {block.title + _text(block.rows) for block in before.blocks} if before else None
        lines: list[Runs] = [((dump.headline, "strong"),)]
        self._places = [(-1, -1)]
        for note in dump.notes:
            lines.append((("! ", "warn"), (note, "warn")))
            self._places.append((-1, -1))
        for number, block in enumerate(dump.blocks):
            shut = block.title in self._folded
            mark = "▸ " if shut else "▾ " if block.rows else "  "
            fresh = known is not None and block.title + _text(block.rows) not in known
            title = ((mark, "guide"), *block.title)
            lines.append((*title, ("  changed", "accent")) if fresh and known else title)
            self._places.append((number, -1))
            for at, row in enumerate(() if shut else block.rows):
                opened = row.hidden if (block.title, row.runs) in self._opened else ()
                if opened:
                    lines += opened
                    self._places += [(number, at)] * len(opened)
                else:
                    shown = wrapped(row.runs, self.extent.width - 2) if row.prose else [row.runs]
                    lines += shown
                    self._places += [(number, at)] * len(shown)
        count = f"{self.at + 1} of {len(self.dumps)} · < >" if len(self.dumps) > 1 else ""
        self.set_title("Stack", count)
        self.set_lines(lines, keep=keep)

    def _here(self) -> tuple[int, int]:
        if not self.dumps or self.needle or self.cursor >= len(self._places):
            return (-1, -1)
        return self._places[self.cursor]

    def fold(self) -> None:
        """Fold the opened library frames under the cursor, else the whole block."""
        number, at = self._here()
        if number < 0:
            return
        block = self.dumps[self.at].blocks[number]
        key = (block.title, block.rows[at].runs) if at >= 0 else None
        if key in self._opened and key is not None:
            self._opened.discard(key)
        else:
            self._folded.add(block.title)
        self._render_dump(keep=True)
        self.cursor = self._places.index((number, -1 if block.title in self._folded else at))
        self.paint()

    def unfold(self) -> None:
        """Unfold the block, or the library frames under the cursor."""
        number, at = self._here()
        if number < 0:
            return
        block = self.dumps[self.at].blocks[number]
        if at < 0:
            self._folded.discard(block.title)
        else:
            self._opened.add((block.title, block.rows[at].runs))
        self._render_dump(keep=True)

    def toggle(self) -> None:
        """Fold what is open under the cursor, unfold what is shut."""
        number, at = self._here()
        if number < 0:
            return
        title = self.dumps[self.at].blocks[number].title
        if at < 0 and title not in self._folded:
            self.fold()
        else:
            self.unfold()

    def fold_all(self) -> None:
        """Fold every block to its title, or unfold all."""
        if not self.dumps:
            return
        if self._folded:
            self._folded.clear()
        else:
            self._folded = {block.title for block in self.dumps[self.at].blocks}
        self._render_dump(keep=True)


def wrapped(runs: Runs, width: int) -> list[Runs]:
    """The last run broken into lines that begin where it does."""
    *before, (text, style) = runs
    indent = min(sum(cell_len(part) for part, _style in before), 12)
    parts = textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False) or [""]
    first: Runs = (*before, (parts[0], style))
    return [first, *(((" " * indent, ""), (part, style)) for part in parts[1:])]


def _text(rows: tuple[Row, ...]) -> Runs:
    return tuple(run for row in rows for run in row.runs)
