"""A short list to choose one thing from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from proctui.tui.screens.dialogue import Dialogue

__all__ = ["ChooseScreen"]


class ChooseScreen(Dialogue[str | None]):
    """Entries are ``(id, text, note)``; gives the id, or ``None`` after Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(None)", "Back"),
        ("j", "down", "Down"),
        ("k", "up", "Up"),
    ]

    def __init__(
        self, title: str, entries: Sequence[tuple[str, str, str]], current: str = ""
    ) -> None:
        super().__init__()
        self.heading = title
        self.entries = entries
        self.current = current

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Content(self.heading), classes="dialog-title")
            yield OptionList(
                *(Option(self._line(text, note), id=name) for name, text, note in self.entries)
            )
            yield Label(Content("Enter chooses · Esc goes back"), classes="dialog-hint")

    @staticmethod
    def _line(text: str, note: str) -> Content:
        return Content(text) + Content(f"  {note}").stylize("dim") if note else Content(text)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        for at, (name, _text, _note) in enumerate(self.entries):
            if name == self.current:
                options.highlighted = at

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)
