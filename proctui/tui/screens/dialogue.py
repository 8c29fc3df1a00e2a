"""What lies over the main screen: its styles are read when the first one is opened."""

from __future__ import annotations

from textual.screen import ModalScreen, ScreenResultType

from proctui import paths

__all__ = ["Dialogue"]


class Dialogue(ModalScreen[ScreenResultType]):
    """A question or a page over the main screen, which stays visible behind it."""

    CSS_PATH = str(paths.styles_dir() / "dialogs.tcss")
