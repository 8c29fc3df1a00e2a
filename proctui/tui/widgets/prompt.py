"""The line that a search or filter is typed into; it stands where the footer is."""

from __future__ import annotations

from collections.abc import Callable

from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Label

__all__ = ["Prompt"]


class Prompt(Horizontal):
    """Shows each change at once; Enter accepts, Esc undoes.

    Empty until :meth:`fill`: the first frame does not wait for what it does not show.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False
        self._changed: Callable[[str], str | None] | None = None
        self._done: Callable[[str | None], None] | None = None

    def fill(self) -> None:
        """Make the field ready to be typed into, once."""
        if self.children or not self.is_attached:
            return
        field = Input(id="prompt-input", compact=True)
        field.cursor_blink = False
        self.mount(Label("", id="prompt-label"), field, Label("", id="prompt-note"))

    def ask(
        self,
        label: str,
        value: str,
        changed: Callable[[str], str | None],
        done: Callable[[str | None], None],
    ) -> None:
        """Open; ``changed`` gets each text and returns what is wrong, ``done`` the last or None."""
        self.fill()
        self._changed, self._done = changed, done
        self.query_one("#prompt-label", Label).update(Content(f" {label} "))
        self._show(True)
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = value
        field.cursor_position = len(value)
        # Now, not when there is time: keys that were typed behind this one are waiting.
        self.screen.set_focus(field)
        self._note(changed(value))

    def type(self, text: str) -> None:
        """Take what was typed before the field had the keyboard."""
        self.query_one(Input).insert_text_at_cursor(text)

    def _show(self, shown: bool) -> None:
        """Take the footer's place, or give it back: no pane moves."""
        self.display = shown
        for footer in self.screen.query("#footer"):
            footer.display = not shown

    def _note(self, trouble: str | None) -> None:
        text = trouble or "Enter accepts · Esc undoes"
        label = self.query_one("#prompt-note", Label)
        label.update(Content(f" {text} "))
        label.set_class(trouble is not None, "trouble")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._changed is not None and self.display:
            self._note(self._changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.finish(event.value)

    def finish(self, value: str | None) -> None:
        """Close; ``None`` undoes."""
        done, self._done, self._changed = self._done, None, None
        self._show(False)
        if done is not None:
            done(value)
