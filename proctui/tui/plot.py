"""A two-toned graph that keeps its finished columns from tick to tick.

A cell holds two dots across and stands for a span of looks that begins at a
multiple of its length, so a finished cell never changes again: a tick computes
the newest one, and the picture moves on by a whole cell.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from proctui.machine.series import Windowed
from proctui.tui.braille import column_levels, share_rows

__all__ = ["Plot", "Scale", "mean_of"]

Figure = Callable[[int, int], float | None]
"""The mean of the ticks from one index to another, both included; ``None`` where unknown."""


def mean_of(figures: Windowed, factor: float = 1.0) -> Figure:
    """Means of a ring's figures, each times ``factor``."""

    def mean(first: int, last: int) -> float | None:
        known = [value for value in figures.window(first, last) if value is not None]
        return sum(known) / len(known) * factor if known else None

    return mean


class Scale(NamedTuple):
    """How looks fall into cells: several looks to a cell, or several cells to a look."""

    looks: int = 2
    cells: int = 1

    @classmethod
    def of(cls, looks: float, cells: int) -> Scale:
        """The scale at which so many cells show that many looks, or a few more."""
        if looks >= cells:
            return cls(ceil(looks / cells - 1e-6), 1)
        return cls(1, max(1, int(cells / max(1.0, looks))))

    def cell(self, index: int) -> int:
        """The (last) cell that shows a look."""
        return index // self.looks if self.cells == 1 else (index + 1) * self.cells - 1

    def last(self, cell: int) -> int:
        """The last look that a cell shows."""
        return (cell + 1) * self.looks - 1 if self.cells == 1 else cell // self.cells

    def dots(self, cell: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last look of a cell's two dots."""
        last = self.last(cell)
        if self.looks == 1:
            return (last, last), (last, last)
        first = last - self.looks + 1
        middle = first + self.looks // 2
        return (first, middle - 1), (middle, last)

    def shown(self, cells: int) -> int:
        """How many looks so many cells show."""
        return cells * self.looks if self.cells == 1 else ceil(cells / self.cells)


class Plot:
    """The cells of one graph."""

    def __init__(self) -> None:
        self._cells: dict[int, tuple[str, int]] = {}
        self._stamp: object = None
        self.computed = 0

    def rows(
        self,
        whole: Figure,
        share: Figure | None,
        *,
        end: int,
        last: int,
        scale: Scale,
        width: int,
        height: int,
        top: float,
        about: object = None,
    ) -> list[list[tuple[str, bool]]]:
        """``height`` rows of ``(text, is_share)`` runs, ``width`` cells that end with cell ``last``.

        ``end`` is the newest look there is.  ``about`` tells graphs of
        different things apart: nothing of another one is kept.
        """
        stamp = (scale, height, top, about)
        if stamp != self._stamp:
            self._cells, self._stamp = {}, stamp
        cells: list[tuple[str, int]] = []
        for cell in range(last - width + 1, last + 1):
            known = self._cells.get(cell)
            if known is None:
                known = self._cell(cell, whole, share, end, scale, height, top)
                if scale.last(cell) <= end:
                    self._cells[cell] = known
            cells.append(known)
        if len(self._cells) > 4 * width + 64:
            keep = {cell: value for cell, value in self._cells.items() if cell > last - width}
            self._cells = keep
        return _runs(cells, height)

    def _cell(
        self,
        cell: int,
        whole: Figure,
        share: Figure | None,
        newest: int,
        scale: Scale,
        height: int,
        top: float,
    ) -> tuple[str, int]:
        if cell < 0:
            return (" " * height, 0)
        self.computed += 1
        levels: list[tuple[int, int]] = []
        for first, end in scale.dots(cell):
            if first > newest:
                levels.append((0, 0))
                continue
            end = min(end, newest)
            low = _level(None if share is None else share(first, end), top, height)
            levels.append((max(low, _level(whole(first, end), top, height)), low))
        (left, low_left), (right, low_right) = levels
        return (
            column_levels(left, right, height),
            share_rows(left, right, low_left, low_right, height),
        )


def _level(value: float | None, top: float, height: int) -> int:
    if value is None or value <= 0 or top <= 0:
        return 0
    return min(4 * height, max(1, round(value / top * 4 * height)))


def _runs(cells: list[tuple[str, int]], height: int) -> list[list[tuple[str, bool]]]:
    glyphs = [glyph for glyph, _ in cells]
    steps = [0, *(at for at in range(1, len(cells)) if cells[at][1] != cells[at - 1][1])]
    spans = [(start, cells[start][1]) for start in steps] if cells else []
    rows: list[list[tuple[str, bool]]] = []
    for row in range(height):
        text = "".join([glyph[row] for glyph in glyphs])
        below = height - row
        runs: list[tuple[str, bool]] = []
        begin, mine = 0, False
        for start, share in spans:
            if (share >= below) != mine:
                if start > begin:
                    runs.append((text[begin:start], mine))
                begin, mine = start, share >= below
        if begin < len(text):
            runs.append((text[begin:], mine))
        rows.append(runs)
    return rows
