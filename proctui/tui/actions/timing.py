"""The time cursor: every pane shows a past moment until somebody steps back to now."""

from __future__ import annotations

from proctui.machine.history import History
from proctui.tui.past import view_at
from proctui.tui.screens.base import PaneScreen
from proctui.tui.subtree import Subtree
from proctui.tui.trends import Trends
from proctui.tui.widgets.graph import Graph
from proctui.units import clock_text, human_seconds

__all__ = ["TimeActions"]


SPANS = (60, 120, 300, 900, 1800, 3600)
"""Seconds that the graphs show."""
STEPS = 120
"""Steps of the time cursor through what the graphs show."""


class TimeActions(PaneScreen):
    """Where the cursor stands is an index of the history; ``None`` is now."""

    moment: int | None = None
    span = SPANS[1]
    subtree: Subtree | None = None

    def zoom_time(self, step: int) -> None:
        at = SPANS.index(self.span) + step
        self.span = SPANS[max(0, min(len(SPANS) - 1, at))]
        self.show_again()

    def show_again(self) -> None:
        """Show the same moment in another way."""
        if self.in_past:
            self.show_moment()
        elif self.view is not None:
            self.show_view(self.view)

    def trends_at(self, at: int | None) -> Trends:
        """What the graphs draw at a moment, ``None`` for now."""
        history, live = self.history(), self.live
        interval = None if live is None else live.snapshot.interval
        if live is not None and self.subtree is not None:
            self.subtree.take(live)
        return Trends(
            history,
            at=at,
            looks=self.span / max(0.1, interval or self.feed_interval),
            chronicle=self.chronicle,
            subtree=self.subtree,
        )

    @property
    def feed_interval(self) -> float:
        return self.dashboard.feed.pace.interval

    @property
    def in_past(self) -> bool:
        return self.moment is not None

    def history(self) -> History | None:
        view = self.live
        found = None if view is None else view.history
        return found if isinstance(found, History) else None

    def action_time(self, steps: int) -> None:
        history = self.history()
        if history is None:
            self.say("There is no history to step through.")
            return
        looks = max(1, round(self.trends.looks / STEPS))
        self.go_to((history.last if self.moment is None else self.moment) + steps * looks)

    def action_trouble(self, step: int) -> None:
        """Go to the look before or after that saw trouble."""
        history = self.history()
        if history is None:
            return
        at = self.chronicle.trouble(history.last + 1 if self.moment is None else self.moment, step)
        if at is None or at < history.first:
            when = "before" if step < 0 else "after"
            self.say(f"No trouble is known {when} this moment.")
            return
        self.go_to(at)

    def on_graph_picked(self, message: Graph.Picked) -> None:
        message.stop()
        self.go_to(message.index)

    def go_to(self, index: int) -> None:
        """Put the time cursor on a look; at the newest one it is now again."""
        history = self.history()
        if history is None:
            return
        if index >= history.last:
            if self.in_past:
                self.back_to_now()
            return
        self.moment = max(history.first, index)
        self.show_moment()

    def show_moment(self) -> None:
        """Show the moment of the cursor in every pane."""
        history, live = self.history(), self.live
        if history is None or live is None or self.moment is None:
            return
        self.view = view_at(live, history, self.moment)
        self.trends = self.trends_at(self.moment)
        self.show_panes(self.view)
        wall = self.view.snapshot.wall
        self.log_pane.show_past(wall)
        self.stack.show_past(wall)
        self.tell_time()
        self.context_changed()

    def moment_text(self) -> str:
        """``10:02:11 · 12 s ago`` for the header."""
        if self.moment is None or self.view is None or self.live is None:
            return ""
        ago = self.live.snapshot.wall - self.view.snapshot.wall
        return f"{clock_text(self.view.snapshot.wall)} · {human_seconds(ago)} ago"

    def back_to_now(self) -> None:
        self.moment = None
        self.log_pane.show_past(None)
        self.stack.show_past(None)
        if self.live is not None:
            self.view = self.live
            self.show_view(self.live)
        self.tell_time()
        self.context_changed()

    def tell_time(self) -> None:
        """Tell in the header which moment is shown."""

    def action_graph(self) -> None:
        """Draw the selected process and all below it, or job and machine again."""
        identity, history = self.processes.selected_identity(), self.history()
        if self.subtree is not None and (identity is None or self.subtree.identity.same(identity)):
            self.subtree = None
        elif identity is not None and history is not None and self.live is not None:
            name = self.processes.name_of(identity)
            self.subtree = Subtree(self.live, history, identity, name)
        self.show_again()
