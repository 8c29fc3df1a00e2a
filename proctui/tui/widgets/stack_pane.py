"""The stack pane: where the selected process, or its whole subtree, stands."""

from __future__ import annotations

from proctui.tui.widgets.text_pane import TextPane

__all__ = ["StackPane"]

EMPTY = (
    (("s", "key"), ("  stack of the selected process", "dim")),
    (("S", "key"), ("  of everything below it, identical ones merged", "dim")),
    (("h", "key"), ("  who waits for whom, and is it a deadlock", "dim")),
)


class StackPane(TextPane):
    """Lines made by :mod:`proctui.tui.stack_lines`."""

    def on_mount(self) -> None:
        self.set_title("Stack")
        self.set_lines(EMPTY)
