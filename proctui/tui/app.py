"""The dashboard: wires the watch, the screens, the themes and the way out."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.timer import Timer

from proctui import paths
from proctui.awareness.view import View
from proctui.text import sanitize
from proctui.tui.background import in_thread
from proctui.tui.cells import status_text
from proctui.tui.feed import Feed
from proctui.tui.options import Options
from proctui.tui.palette import STYLE_NAMES
from proctui.tui.preferences import remember_theme, remembered_theme
from proctui.tui.screens.main import MainScreen
from proctui.tui.start import run_dashboard
from proctui.tui.themes import DEFAULT, SIXTEEN, THEMES, role_defaults

__all__ = ["ProctuiApp", "run_dashboard"]

COLLECTED_BY = 10.0
"""Seconds after which the collector works again, come what may."""
RESTED = 0.1
"""Seconds without another size before everything is drawn anew."""


def _actions() -> type[Provider]:
    from proctui.tui.providers import ActionProvider

    return ActionProvider


def _panes() -> type[Provider]:
    from proctui.tui.providers import PaneProvider

    return PaneProvider


def _processes() -> type[Provider]:
    from proctui.tui.providers import ProcessProvider

    return ProcessProvider


class ProctuiApp(App[int]):
    """One dashboard; what it shows comes from ``options.watch``."""

    TITLE = "proctui"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    COMMANDS = App.COMMANDS | {_actions, _panes, _processes}
    # Once for all panes: Textual works each of them out anew for every widget that names it.
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{name}" for name in STYLE_NAMES}
    CSS_PATH = str(paths.styles_dir() / "base.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", show=False, priority=True, system=True),
        Binding("ctrl+c", "leave", show=False, system=True),
    ]

    def __init__(self, options: Options, **kwargs: Any) -> None:
        self.options = options
        self.failure: BaseException | None = None
        super().__init__(**kwargs)
        for theme in THEMES:
            self.register_theme(theme)
        wanted = options.theme or options.config.dashboard.theme
        if wanted == DEFAULT:
            wanted = SIXTEEN if options.few_colours else remembered_theme() or DEFAULT
        self.theme = wanted if wanted in self.available_themes else DEFAULT
        self.feed = Feed(options.watch, options.seconds)
        self.set_keymap(options.config.keys)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return role_defaults(self.current_theme.dark)

    def refresh_css(self, animate: bool = True) -> None:
        """Parse nothing for a theme that was chosen before there is a screen: the first one will."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def on_mount(self) -> None:
        # Where no look ever succeeds there is no first frame either.
        self.set_timer(COLLECTED_BY, gc.enable)
        self.set_timer(COLLECTED_BY, self.drawn)
        self.theme_changed_signal.subscribe(self, lambda theme: remember_theme(theme.name))
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(one, self.exit, 0)
            except (NotImplementedError, RuntimeError, ValueError):
                break

    def on_key(self, event: events.Key) -> None:
        """A character that comes up here while something is asked was sent to a pane too early."""
        screen = self.screen
        if isinstance(screen, MainScreen) and screen.prompt.display and event.is_printable:
            event.prevent_default()
            event.stop()
            screen.prompt.type(event.character or "")

    _due: Timer | None = None
    _drawn = False

    def on_resize(self, _event: events.Resize) -> None:
        """Draw every cell anew once sizes rest.

        A terminal that shrank and grew back before we looked has lost cells,
        and Textual, which sees the size it knows, would leave them empty.
        """
        if not self._drawn:
            return
        if self._due is None:
            self._due = self.set_timer(RESTED, self._draw_anew)
        else:
            self._due.reset()

    def _draw_anew(self) -> None:
        self._due = None
        for screen in self.screen_stack[-1:]:
            screen.refresh()

    def _fatal_error(self) -> None:
        """Leave without Textual's traceback: :func:`run_dashboard` raises what went wrong."""
        self.failure = self._exception
        self._close_messages_no_wait()

    def get_default_screen(self) -> MainScreen:
        return MainScreen(id="main")

    @property
    def main(self) -> MainScreen:
        """The main screen, whatever lies on top of it."""
        return next(one for one in self.screen_stack if isinstance(one, MainScreen))

    def settled(self) -> None:
        """The first frame stands: what lives now lives long, the collector may skip it."""
        self.drawn()
        gc.collect()
        gc.freeze()
        gc.enable()

    def drawn(self) -> None:
        """Something stands on the screen; the sizes that a start brings left nothing to mend."""
        self._drawn = True

    def exit_status(self, view: View | None = None) -> int | None:
        """The job's exit status as a shell shows it, ``None`` while it runs or is unknown."""
        job = self.options.job
        status = job.poll() if job is not None else None
        session = None if view is None else view.session
        if status is not None or view is None or session is None:
            return status
        if session.exit_status is None and session.leader is not None and not view.leader_alive:
            for tomb in view.tombs:
                if tomb.identity.same(session.leader) and tomb.exit is not None:
                    return tomb.exit if tomb.exit >= 0 else 128 - tomb.exit
        return session.exit_status

    def job_state(self, view: View) -> str:
        """How the job fares, in a word or two; the exit status once it ended."""
        if view.session is None:
            return ""
        status = self.exit_status(view)
        if view.leader_alive and status is None:
            return "live"
        ended = status_text(status)
        return f"{ended} · orphaned" if view.job else ended

    def desktop_notification(self, text: str) -> None:
        """OSC 9, where the terminal knows it; the text is harmless already."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(f"\x1b]9;proctui: {sanitize(text)}\x07")

    def capture_files(self, view: View | None) -> dict[str, Path]:
        """The files that hold the job's output, by stream; empty where it is not captured."""
        if self.options.job is not None:
            return dict(self.options.job.capture)
        session = view.session if view is not None else None
        if session is None or session.capture is None or session.directory is None:
            return {}
        streams = session.extra.get("streams")
        names = streams if isinstance(streams, list) else []
        known = [name for name in names if isinstance(name, str) and "/" not in name]
        return {name: session.directory / f"{name}.log" for name in known}

    _would_not_end = False

    def leave(self) -> None:
        """The way out; a living job that this dashboard started is asked about."""
        view = self.main.live
        job = self.options.job
        if job is None or self.exit_status(view) is not None:
            self.exit(0)
            return
        policy = "ask" if self._would_not_end else self.options.quit_policy
        if policy != "ask":
            self._leave(policy)
            return
        from proctui.tui.screens.quit import QuitScreen

        if not any(isinstance(one, QuitScreen) for one in self.screen_stack):
            session = None if view is None else view.session
            label = "The job" if session is None else session.label
            count = 1 if view is None else max(1, len(view.job))
            self.push_screen(QuitScreen(label, count), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "keep":
            self.exit(0)
        elif answer == "end":
            self.notify("Ending the job …", markup=False)
            self.run_worker(
                self._end_job(), name="end", group="end", description="ends the job", exclusive=True
            )

    async def _end_job(self) -> None:
        result = await in_thread(self.options.job.end)
        if result.get("done") or not result.get("error"):
            self.exit(0)
            return
        self._would_not_end = True
        message = result["error"].get("message", "")
        self.notify(f"The job was not ended: {message}", severity="error", markup=False)

    def action_leave(self) -> None:
        self.leave()
