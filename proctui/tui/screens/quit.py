"""What becomes of the job: asked when the dashboard is left while its job runs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Label

from proctui.tui.screens.dialogue import Dialogue

__all__ = ["QuitScreen"]


class QuitScreen(Dialogue[str | None]):
    """Gives ``"keep"``, ``"end"`` or ``None`` (stay); the focused answer harms nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(None)", "Stay"),
        ("left", "app.focus_previous", ""),
        ("right", "app.focus_next", ""),
    ]
    AUTO_FOCUS = "#keep"

    def __init__(self, label: str, processes: int) -> None:
        super().__init__()
        self.label = label
        self.count = processes

    def compose(self) -> ComposeResult:
        noun = "process" if self.count == 1 else "processes"
        with Vertical(classes="dialog"):
            yield Label(Content("Leave, and the job?"), classes="dialog-title")
            yield Label(Content(f"{self.label} still runs: {self.count} {noun}."))
            yield Label(
                Content("Kept, it goes on alone; proctui shows it again whenever you start it."),
                classes="dialog-text",
            )
            with Horizontal(classes="dialog-buttons"):
                yield Button("Keep it running", id="keep", compact=True)
                yield Button("End it", id="end", compact=True)
                yield Button("Stay", id="stay", compact=True)
            yield Label(Content("Tab moves · Enter presses · Esc stays"), classes="dialog-hint")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(None if event.button.id == "stay" else event.button.id)
