"""The log pane: follows the job's captured output, or a log of the selected process."""

from __future__ import annotations

from collections.abc import Iterable

from proctui.tui.widgets.line_view import Runs
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["LogPane"]


class LogPane(TextPane):
    """Shows the newest lines while it follows; moving up holds it still."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True

    def on_mount(self) -> None:
        self.set_title("Log")
        self.set_lines([(("no output captured", "dim"),)])

    def show_lines(self, lines: Iterable[Runs]) -> None:
        """Show other lines, at their end while following."""
        self.set_lines(lines)
        if self.following:
            self.cursor = max(0, self.length() - 1)
            self.top = self.length()
            self.paint()
