"""The main screen's panes by name and type; what every group of actions builds on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.layout import Layout
from textual.screen import Screen

from proctui.awareness.view import View
from proctui.tui.bindings import Context
from proctui.tui.layout import PANES, PaneLayout
from proctui.tui.marks import Chronicle
from proctui.tui.painting import Painter
from proctui.tui.trends import Trends
from proctui.tui.widgets.footer import KeyFooter
from proctui.tui.widgets.graph import CpuGraph, MemoryGraph
from proctui.tui.widgets.header import HeaderLine
from proctui.tui.widgets.inspector import Inspector
from proctui.tui.widgets.line_view import LineView
from proctui.tui.widgets.log_pane import LogPane
from proctui.tui.widgets.process_tree import ProcessTree
from proctui.tui.widgets.prompt import Prompt
from proctui.tui.widgets.stack_pane import StackPane

if TYPE_CHECKING:
    from proctui.tui.app import ProctuiApp

__all__ = ["Body", "PaneScreen"]

LEVELS = {None: "info", "stray": "warning", "alert": "warning", "killed": "warning"}
"""How the log ranks an event of a kind, where it is no error."""


class Body(Container):
    """Holds the panes where :class:`PaneLayout` puts them."""

    def __init__(self, *panes: LineView) -> None:
        super().__init__(*panes, id="body")
        self.panes = PaneLayout()

    @property
    def layout(self) -> Layout:
        return self.panes

    def rearrange(self) -> None:
        """Ask the layout again; Textual forgets an arrangement only for a child's sake."""
        self.children[0].refresh(layout=True)


class PaneScreen(Screen[None]):
    """The six panes, header, footer and prompt, typed; and which pane has the keyboard."""

    def __init__(self, *, name: str | None = None, id: str | None = None) -> None:
        super().__init__(name=name, id=id)
        self.view: View | None = None
        self.live: View | None = None
        self.trends = Trends()
        self.chronicle = Chronicle()
        self.painter = Painter(self)
        self.header_line = HeaderLine(id="header")
        self.processes = ProcessTree(id="processes")
        self.cpu = CpuGraph(id="cpu")
        self.memory = MemoryGraph(id="memory")
        self.inspector = Inspector(id="inspector")
        self.stack = StackPane(id="stack")
        self.log_pane = LogPane(id="log")
        self.prompt = Prompt(id="prompt")

    @property
    def dashboard(self) -> ProctuiApp:
        """The app, by its type."""
        from proctui.tui.app import ProctuiApp

        assert isinstance(self.app, ProctuiApp)
        return self.app

    def compose(self) -> ComposeResult:
        yield self.header_line
        yield Body(self.processes, self.cpu, self.memory, self.inspector, self.stack, self.log_pane)
        yield self.prompt
        yield KeyFooter(self.remapped, id="footer")

    @property
    def remapped(self) -> Mapping[str, str]:
        return self.dashboard.options.config.keys

    @property
    def body(self) -> Body:
        return self.query_one(Body)

    @property
    def footer(self) -> KeyFooter:
        return self.query_one(KeyFooter)

    def pane(self, name: str) -> LineView:
        panes: dict[str, LineView] = {
            "processes": self.processes,
            "cpu": self.cpu,
            "memory": self.memory,
            "inspector": self.inspector,
            "stack": self.stack,
            "log": self.log_pane,
        }
        return panes[name]

    @property
    def active(self) -> str:
        """The pane that has the keyboard, or had it before the prompt."""
        return self.body.panes.active

    @property
    def active_pane(self) -> LineView:
        return self.pane(self.active)

    def context(self) -> Context:
        """Where the keyboard is."""
        view = self.view
        return Context(
            pane=self.active,
            selected=self.processes.selected is not None,
            session=view is not None and view.session is not None,
            strays=0 if view is None else len(view.strays),
            read_only=self.dashboard.options.read_only,
            past=self.in_past,
            prompt=self.prompt.display,
        )

    @property
    def in_past(self) -> bool:
        return False

    def activate(self, name: str) -> None:
        """Give a pane the keyboard; it is brought on screen where it was not."""
        panes = self.body.panes
        before = (panes.active, panes.lower)
        panes.active = name
        if name in ("inspector", "stack", "log"):
            panes.lower = name
        pane = self.pane(name)
        if (panes.active, panes.lower) != before:
            self.body.rearrange()
        pane.focus(scroll_visible=False)
        self.context_changed()

    def show_view(self, view: View) -> None:
        """Give every pane its part of the newest moment."""

    def show_panes(self, view: View) -> None:
        """Give every pane its part of any moment."""

    def back_to_now(self) -> None:
        """Leave the past."""

    def inspector_shown(self) -> None:
        """The inspector shows another tab or process: read what it needs."""

    def context_changed(self) -> None:
        """Show in the footer what applies now."""
        self.footer.show(self.context())

    def visible_panes(self) -> list[str]:
        return [name for name in PANES if self.pane(name).size.height > 0]

    def event(self, text: str, kind: str | None = None, moment: float | None = None) -> None:
        """Something happened: the log tells its text, the graphs its kind of :data:`MARKS`."""
        history = None if self.live is None else self.live.history
        if history is not None and kind is not None:
            self.chronicle.note(history.last, kind)
        model = self.log_pane.model
        if model is not None and text:
            if moment is None:
                moment = time.time() if self.live is None else self.live.snapshot.wall
            model.add_event(moment, text, LEVELS.get(kind, "error"))

    def alert(self, text: str) -> None:
        """Tell it by toast, and by bell and desktop notification where that is wished."""
        alerts = self.dashboard.options.config.alerts
        self.say(text, title="Alert", severity="warning")
        if alerts.bell:
            self.app.bell()
        if alerts.notify:
            self.dashboard.desktop_notification(text)

    def say(self, message: str, *, title: str = "", severity: Any = "information") -> None:
        """A toast; text from outside is never markup."""
        self.notify(message, title=title, severity=severity, markup=False)
