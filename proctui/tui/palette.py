"""Names of styles and what they look like in the current theme, upon a pane's own colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.color import Color
    from textual.css.styles import RenderStyles

__all__ = ["STYLE_NAMES", "Palette"]

STYLE_NAMES = frozenset({
    "dim", "quiet", "figure", "strong", "accent", "title", "guide", "key", "link", "thumb",
    "good", "warn", "bad", "hot", "stderr", "match", "found", "tag", "fresh",
    "spark", "share", "whole", "moment", "cursor", "cursor-blurred",
    "spawned", "stray", "protected", "baseline", "unknown",
})  # fmt: skip
"""What the style sheet calls ``line--NAME``, on the app: one palette for all panes."""
KEPT = 1024
"""Styles that are kept: a log may bring any number of them."""


class Palette:
    """The styles of one pane."""

    def __init__(self, pane: Widget) -> None:
        self._pane = pane
        self._known: dict[tuple[str, int], Style] = {}
        self._own: tuple[Style, Color] | None = None

    def clear(self) -> None:
        """Theme or style sheet are others now."""
        self._known.clear()
        self._own = None

    def named(self, name: str) -> Style:
        """The style of a name; ``=`` begins a Rich style of a log, a name nobody knows is plain."""
        return self.style_of(name, 0)

    def style_of(self, name: str, cursor: int) -> Style:
        """The same on the line of the cursor: 1 without the keyboard, 2 with it, 0 elsewhere."""
        style = self._known.get((name, cursor))
        if style is None:
            style = self._under(name, cursor) if cursor else self._made(name)
            if len(self._known) < KEPT:
                self._known[name, cursor] = style
        return style

    def _under(self, name: str, cursor: int) -> Style:
        over = self.named("cursor" if cursor == 2 else "cursor-blurred")
        return self.named(name) + Style(bgcolor=over.bgcolor, bold=over.bold, reverse=over.reverse)

    def _made(self, name: str) -> Style:
        if name in STYLE_NAMES:
            return self._painted(self._pane.app.get_component_styles(f"line--{name}"))
        if name.startswith("="):
            return self._pane.rich_style + Style.parse(name[1:])
        return self._pane.rich_style

    def _painted(self, styles: RenderStyles) -> Style:
        """A style of the app's upon the pane's own colours."""
        if self._own is None:
            self._own = self._pane.rich_style, self._pane.background_colors[1]
        base, ground = self._own
        if styles.has_rule("background"):
            ground += styles.background
        colour = (ground + styles.color).rich_color if styles.has_rule("color") else None
        return base + styles.text_style + Style.from_color(colour, ground.rich_color)
