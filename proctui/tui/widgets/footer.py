"""The keys that apply where the keyboard is, on one line; each can be clicked."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from proctui.tui.bindings import Context, Key, footer_keys
from proctui.tui.key_labels import key_label, keys_of

__all__ = ["KeyFooter"]


class KeyFooter(Widget):
    """Changes only when the context does, never with a tick."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"footer--key", "footer--label"}

    class Pressed(Message):
        """A key was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, remapped: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._remapped = remapped
        self._shown = Context()
        self._places: list[tuple[int, int, str]] = []

    def show(self, context: Context) -> None:
        """Show the keys of another context."""
        if context != self._shown:
            self._shown = context
            self.refresh()

    def entries(self) -> list[tuple[str, str, Key]]:
        """``(key, label, binding)`` in order; the first key of each where several do the same."""
        return [
            (key_label(keys_of(key, self._remapped).split(",")[0]), key.label, key)
            for key in footer_keys(self._shown)
        ]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        key_style = self.get_component_rich_style("footer--key")
        label_style = self.get_component_rich_style("footer--label")
        segments = [Segment(" ", base)]
        used = 1
        self._places = []
        for keys, label, key in self.entries() if y == 0 else []:
            size = cell_len(keys) + 1 + cell_len(label) + 2
            if used + size - 2 > width:
                continue
            segments += [
                Segment(keys, key_style),
                Segment(" " + label, label_style),
                Segment("  ", Style.null() + base),
            ]
            self._places.append((used, used + size, key.action))
            used += size
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        for start, end, action in self._places:
            if start <= event.x < end:
                self.post_message(self.Pressed(action))
                return
