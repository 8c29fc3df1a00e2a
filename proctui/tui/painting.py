"""Rows written straight to the terminal where nothing can stand in front of them.

Textual's compositor renders every widget that a frame touches from its top to
its bottom and cuts the result to pieces.  The rows of a pane that nothing
covers need none of that: they are moved to and written, all rows of one turn
of the event loop at once.  Wherever that is not so certain (another screen or
a toast on top, a layout to come, no terminal at all) the rows go the usual
way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from proctui.tui.widgets.line_view import LineView, Run

__all__ = ["Painter"]

PENS = 1024
"""Styles whose escape sequences are kept: a log may bring any number of them."""
INKED = 2048
"""Runs of a pane that are kept as they were written: cells of figures come again."""
_MOVE_TO = "\x1b[{};{}H"
"""Cursor position (ECMA-48 CUP): row and column from 1."""


class Painter:
    """Paints rows of the panes of one screen."""

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen
        self._due: dict[LineView, set[int]] = {}
        self._seen: Mapping[Widget, tuple[Region, Region]] | None = None
        self._clear: dict[Widget, bool] = {}
        self._pens: dict[Style, tuple[str, str]] = {}
        self._inks: dict[LineView, dict[Run, tuple[int, str]]] = {}
        self._filters: Sequence[LineFilter] = ()
        self.frames = 0

    def add(self, pane: LineView, first: int, count: int) -> None:
        """Paint rows of a pane's content before the event loop turns again."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._flush)
        self._due.setdefault(pane, set()).update(range(first, first + count))

    def _flush(self) -> None:
        due, self._due = self._due, {}
        direct = self.possible()
        parts: list[str] = []
        for pane, rows in due.items():
            if not pane.is_attached:
                continue
            if direct and self.is_clear(pane):
                parts += self._rows(pane, rows)
            else:
                width = pane.size.width
                pane.refresh(*(Region(0, y, width, 1) for y in sorted(rows)))
        if parts:
            self._write(parts)

    def possible(self) -> bool:
        """Whether the screen is the one that is seen, and stands as it was laid out."""
        screen = self._screen
        app = screen.app
        return (
            app._driver is not None
            and not app.is_headless
            and not app.is_inline
            and app._running
            and not app._closed
            and not app._batch_count
            and screen is app.screen
            and not screen._layout_required
            and screen._compositor.size == app.size
        )

    def is_clear(self, pane: LineView) -> bool:
        """Whether all of a pane is on the screen and nothing lies over it."""
        seen = self._screen._compositor.visible_widgets
        if seen is not self._seen:
            self._seen = seen
            self._clear.clear()
        known = self._clear.get(pane)
        if known is None:
            known = self._clear[pane] = _uncovered(pane, seen)
        return known

    def _rows(self, pane: LineView, rows: set[int]) -> list[str]:
        content = pane.content_region
        filters = pane.get_line_filters()
        if filters != self._filters:
            self._filters = filters
            self._pens.clear()
            self._inks.clear()
        ink = self._inks.setdefault(pane, {})
        if len(ink) > INKED:
            ink.clear()
        parts: list[str] = []
        for y in sorted(rows):
            if y >= content.height:
                continue
            parts.append(_MOVE_TO.format(content.y + y + 1, content.x + 1))
            parts += self._inked(pane, y, ink) or self._drawn(pane, y)
        # What Textual keeps of this pane is no longer what stands there.
        pane._styles_cache.clear()
        return parts

    def forget(self, pane: LineView) -> None:
        """The styles of a pane are others now."""
        self._inks.pop(pane, None)

    def _inked(self, pane: LineView, y: int, ink: dict[Run, tuple[int, str]]) -> list[str]:
        """A plain row of runs that fit: most of them were written before. Empty for any other row."""
        runs, state, thumb = pane.content(y)
        if state or pane.left:
            return []
        left = pane.extent.width - 1
        parts: list[str] = []
        for run in runs:
            known = ink.get(run)
            if known is None:
                known = self._ink(pane, run)
                if known[0] <= left:  # else a log's long lines would be kept whole
                    ink[run] = known
            left -= known[0]
            if left < 0:
                return []
            parts.append(known[1])
        parts.append(self._ink(pane, (" " * left, ""))[1])
        parts.append(self._ink(pane, ("▐", "thumb") if thumb else (" ", ""))[1])
        return parts

    def _ink(self, pane: LineView, run: Run) -> tuple[int, str]:
        """How many cells a run takes, and what is written for it."""
        text, name = run
        before, behind = self._pen(pane.named(name), pane)
        return cell_len(text), f"{before}{text}{behind}" if text else ""

    def _drawn(self, pane: LineView, y: int) -> list[str]:
        parts: list[str] = []
        for text, style in pane.styled(y):
            before, behind = self._pen(style, pane)
            parts += (before, text, behind)
        return parts

    def _pen(self, style: Style, pane: LineView) -> tuple[str, str]:
        """What Textual writes before and behind text of a style, which never depends on the text."""
        known = self._pens.get(style)
        if known is not None:
            return known
        strip = Strip([Segment("x", style)], 1)
        background = pane.background_colors[1]
        for one in self._filters:
            strip = strip.apply_filter(one, background)
        before, _, behind = strip.render(self._screen.app.console).rpartition("x")
        if len(self._pens) >= PENS:
            self._pens.clear()
        self._pens[style] = (before, behind)
        return before, behind

    def _write(self, parts: list[str]) -> None:
        app = self._screen.app
        driver = app._driver
        assert driver is not None
        self.frames += 1
        at = self._screen.outer_size.clamp_offset(app.cursor_position)
        parts.append(_MOVE_TO.format(at.y + 1, at.x + 1))
        app._begin_update()
        driver.write("".join(parts))
        app._end_update()


def _uncovered(pane: Widget, seen: Mapping[Widget, tuple[Region, Region]]) -> bool:
    mine = seen.get(pane)
    if mine is None or not mine[1].contains_region(mine[0]):
        return False
    if pane.opacity != 1.0 or pane.styles.text_opacity != 1.0:
        return False
    above = set(pane.ancestors)
    return not any(
        one is not pane and one not in above and region and region.overlaps(mine[0])
        for one, (region, _clip) in seen.items()
    )
