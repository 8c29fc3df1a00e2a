"""A pane of lines that paints only what changed.

Subclasses give lines as runs of text with style names; the pane keeps what
stands on each row of the screen, compares, and refreshes the rows that
differ.  It scrolls by itself: a change of the number of lines is no change
of layout.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from proctui.tui.painting import Painter
from proctui.tui.palette import Palette

__all__ = ["LineView", "Run", "Runs"]

Run = tuple[str, str]
Runs = tuple[Run, ...]
Row = tuple[Runs, int, int]
"""Runs, cursor (0 none, 1 without and 2 with the keyboard), and whether the thumb is here."""

KEPT = 8
"""Strips kept for each row of the pane: what was scrolled past or comes back soon."""


class LineView(Widget, can_focus=True):
    """Lines below an optional fixed head, with a cursor line if ``show_cursor``.

    ``extent`` is :attr:`size` as the layout gave it last: Textual works that
    out anew whenever it is asked.
    """

    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, view: LineView, index: int) -> None:
            super().__init__()
            self.view = view
            self.index = index

        @property
        def control(self) -> LineView:
            return self.view

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self.cursor = 0
        self.left = 0
        self.show_cursor = True
        self.extent = Size(0, 0)
        self._screen: list[Row] = []
        self._strips: dict[object, Strip] = {}
        self._palette = Palette(self)
        self.painted_lines = 0
        self._painter: Painter | None = None
        self._fitting = False
        self._title_shown = ("", "")

    # What subclasses give

    def head(self) -> tuple[Runs, ...]:
        """Lines that do not scroll."""
        return ()

    def length(self) -> int:
        return 0

    def runs(self, index: int) -> Runs:
        """The line ``index`` as ``(text, style name)`` runs."""
        raise NotImplementedError

    def plain(self, index: int) -> str:
        """What a search looks at."""
        return "".join(text for text, _style in self.runs(index))

    def set_title(self, text: str, note: str = "") -> None:
        """Title and note on the pane's rule; outside text in them never counts as markup."""
        if (text, note) != self._title_shown:
            self._title_shown = (text, note)
            title = Content(text)
            self.border_title = title + Content(f"  {note}").stylize("dim") if note else title

    # Painting

    @property
    def page(self) -> int:
        """Lines that fit below the head."""
        return max(1, self.extent.height - len(self.head()))

    def paint(self) -> None:
        """Refresh the rows of the screen whose content differs from what stands there."""
        height = self.extent.height
        if self._fitting or not height or not self.is_attached:
            return
        self.clamp()
        rows = self._content(height)
        before = self._screen
        self._screen = rows
        if len(before) != height:
            self.painted_lines += height
            self.refresh()
            return
        start = None
        for y in range(height + 1):
            changed = y < height and rows[y] != before[y]
            if changed and start is None:
                start = y
            elif not changed and start is not None:
                self.painted_lines += y - start
                self._refresh_rows(start, y - start)
                start = None

    def _refresh_rows(self, first: int, count: int) -> None:
        if self._painter is None:
            self._painter = getattr(self.screen, "painter", None)
        if self._painter is None or self.app.is_headless:
            self.refresh(Region(0, first, self.extent.width, count))
        else:
            self._painter.add(self, first, count)

    def _content(self, height: int) -> list[Row]:
        head = self.head()
        count = self.length()
        page = max(1, height - len(head))
        first, last = self._thumb(count, page)
        rows: list[Row] = [(runs, 0, 0) for runs in head[:height]]
        for y in range(height - len(rows)):
            index = self.top + y
            thumb = 1 if first <= y < last else 0
            if index >= count:
                rows.append(((), 0, thumb))
                continue
            state = 0
            if self.show_cursor and index == self.cursor_line():
                state = 2 if self.has_focus else 1
            rows.append((self.runs(index), state, thumb))
        return rows

    def cursor_line(self) -> int:
        """The line under the cursor, -1 for none: without the keyboard there is none to see."""
        return self.cursor if self.has_focus else -1

    def _thumb(self, count: int, page: int) -> tuple[int, int]:
        if count <= page:
            return (0, 0)
        size = max(1, page * page // count)
        first = round(self.top / max(1, count - page) * (page - size))
        return (first, first + size)

    def render_line(self, y: int) -> Strip:
        width, height = self.extent
        if y >= height:
            return Strip.blank(width, self.rich_style)
        key = (self.content(y), width, self.left)
        strip = self._strips.get(key)
        if strip is None:
            strip = Strip([Segment(text, style) for text, style in self.styled(y)], width)
            if len(self._strips) >= KEPT * height:
                self._strips.clear()
            self._strips[key] = strip
        return strip

    def content(self, y: int) -> Row:
        """What stands on a row of the screen, in names of styles."""
        height = self.extent.height
        if len(self._screen) != height:
            self.clamp()
            self._screen = self._content(height)
        return self._screen[y]

    def styled(self, y: int) -> list[tuple[str, Style]]:
        """What stands on a row of the screen, as wide as the pane."""
        runs, state, thumb = self.content(y)
        if self.left:
            runs = _from(runs, self.left)
        left = self.extent.width - 1
        style_of = self._palette.style_of
        parts: list[tuple[str, Style]] = []
        for text, name in runs:
            size = len(text) if text.isascii() else cell_len(text)
            if size > left:
                text, size = set_cell_size(text, left), left
            if size:
                parts.append((text, style_of(name, state)))
                left -= size
            if left <= 0:
                break
        if left > 0:
            parts.append((" " * left, style_of("", state)))
        parts.append(("▐", style_of("thumb", 0)) if thumb else (" ", style_of("", 0)))
        return parts

    def named(self, name: str) -> Style:
        """The style of a name in the current theme; ``=`` begins a Rich style of a log."""
        return self._palette.named(name)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette.clear()
        self._strips.clear()
        if self._painter is not None:
            self._painter.forget(self)
        self.extent = self.size

    def watch_virtual_size(self) -> None:
        """The layout has given a size and paints next; a message of it would come behind that."""
        self._fitting = True
        self.extent = self.size
        self.fit()
        self._fitting = False

    def on_resize(self) -> None:
        # A change that the layout kept to itself: within something that scrolls it may.
        if self.extent != self.size:
            self.watch_virtual_size()
            self.refresh()

    def fit(self) -> None:
        """Make what depends on :attr:`extent` anew; all of the pane is painted afterwards."""
        self._screen = []
        self.clamp()

    def on_focus(self) -> None:
        self.paint()

    def on_blur(self) -> None:
        self.paint()

    # Finding and moving

    def find(self, needle: str, start: int, step: int, *, including: bool = False) -> bool:
        """Go to the next line that holds ``needle``, whatever its case; whether there is one."""
        count = self.length()
        needle = needle.lower()
        for distance in range(0 if including else 1, count + 1):
            index = (start + step * distance) % count
            if needle in self.plain(index).lower():
                self.move_to(index)
                return True
        return False

    def unfind(self) -> None:
        """A search was undone."""

    def clamp(self) -> None:
        """Keep scroll position and cursor inside the lines."""
        count = self.length()
        self.cursor = max(0, min(self.cursor, count - 1))
        self.top = max(0, min(self.top, count - self.page))

    def move_to(self, index: int) -> None:
        """Put the cursor on a line and scroll no further than needed."""
        count = self.length()
        if not count:
            return
        index = max(0, min(index, count - 1))
        self.cursor = index
        if index < self.top:
            self.top = index
        elif index >= self.top + self.page:
            self.top = index - self.page + 1
        self.paint()
        self.post_message(self.Moved(self, index))

    def scroll_lines(self, count: int) -> None:
        """Scroll; the cursor stays where it is."""
        self.top += count
        self.clamp()
        self.paint()

    def move_lines(self, count: int) -> None:
        if self.show_cursor:
            self.move_to(self.cursor + count)
        else:
            self.scroll_lines(count)

    def move_pages(self, count: int) -> None:
        self.move_lines(count * max(1, self.page - 1))

    def move_home(self) -> None:
        if self.show_cursor:
            self.move_to(0)
        else:
            self.top = 0
            self.paint()

    def move_end(self) -> None:
        if self.show_cursor:
            self.move_to(self.length() - 1)
        else:
            self.top = self.length()
            self.paint()

    def move_sideways(self, cells: int) -> None:
        """Scroll sideways."""
        self.left = max(0, self.left + cells)
        self._strips.clear()
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(-3)

    def line_at(self, event: events.MouseEvent) -> int | None:
        """The line under the mouse; negative for the head (``-1`` its last line)."""
        offset = event.get_content_offset(self)
        if offset is None:
            return None
        y = offset.y - len(self.head())
        if y < 0:
            return y
        index = self.top + y
        return index if index < self.length() else None

    def on_click(self, event: events.Click) -> None:
        line = self.line_at(event)
        if line is not None and line >= 0 and self.show_cursor:
            self.move_to(line)


def _from(runs: Runs, skip: int) -> Runs:
    """Runs without their first cells; of a wide character that is cut a space is left."""
    for at, (text, name) in enumerate(runs):
        size = cell_len(text)
        if size > skip:
            while skip > 0:
                skip -= cell_len(text[0])
                text = text[1:]
            return ((" " * -skip + text, name), *runs[at + 1 :])
        skip -= size
    return ()
