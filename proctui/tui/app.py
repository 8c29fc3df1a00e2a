"""The dashboard: wires the watch, the screens, the themes and the way out."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from proctui import paths
from proctui.awareness.view import View
from proctui.tui.cells import exit_text
from proctui.tui.feed import Feed
from proctui.tui.options import Options
from proctui.tui.screens.main import MainScreen
from proctui.tui.themes import DEFAULT, THEMES, role_defaults

__all__ = ["ProctuiApp"]


class ProctuiApp(App[int]):
    """One dashboard; what it shows comes from ``options.open_watch``."""

    TITLE = "proctui"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    CSS_PATH = sorted(str(path) for path in paths.styles_dir().glob("*.tcss"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", show=False, priority=True, system=True),
        Binding("ctrl+c", "leave", show=False, system=True),
    ]

    def __init__(self, options: Options, **kwargs: Any) -> None:
        self.options = options
        super().__init__(**kwargs)
        for theme in THEMES:
            self.register_theme(theme)
        wanted = options.config.dashboard.theme
        self.theme = wanted if wanted in self.available_themes else DEFAULT
        self.feed = Feed(options.open_watch(), options.seconds)
        self.set_keymap(options.config.keys)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return role_defaults(self.current_theme.dark)

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(one, self.exit, 0)
            except (NotImplementedError, RuntimeError, ValueError):
                break

    def get_default_screen(self) -> MainScreen:
        return MainScreen(id="main")

    def settled(self) -> None:
        """The first frame stands: what lives now lives long, the collector may skip it."""
        gc.collect()
        gc.freeze()

    def job_state(self, view: View) -> str:
        """How the job fares, in a word or two; the exit status once it ended."""
        session = view.session
        if session is None:
            return ""
        if view.leader_alive:
            return "live"
        status = session.exit_status
        ended = "ended" if status is None else exit_text(status)
        return f"{ended} · orphaned" if view.job else ended

    def leave(self) -> None:
        """The way out."""
        self.exit(0)

    def action_leave(self) -> None:
        self.leave()
