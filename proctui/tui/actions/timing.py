"""The time cursor: every pane shows a past moment until somebody steps back to now."""

from __future__ import annotations

from proctui.machine.history import History
from proctui.tui.past import view_at
from proctui.tui.screens.base import PaneScreen
from proctui.tui.trends import Trends
from proctui.units import clock_text

__all__ = ["TimeActions"]


ZOOMS = (1, 2, 5, 10, 30)
"""Looks that one dot of a graph stands for."""


class TimeActions(PaneScreen):
    """Where the cursor stands is an index of the history; ``None`` is now."""

    moment: int | None = None
    zoom_ticks = 1

    def zoom_time(self, step: int) -> None:
        at = ZOOMS.index(self.zoom_ticks) + step
        self.zoom_ticks = ZOOMS[max(0, min(len(ZOOMS) - 1, at))]
        if self.in_past:
            self.show_moment()
        elif self.live is not None:
            self.show_view(self.view or self.live)

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
        at = history.last if self.moment is None else self.moment
        at += steps * self.zoom_ticks
        if at >= history.last:
            if self.moment is not None:
                self.back_to_now()
            return
        self.moment = max(history.first, at)
        self.show_moment()

    def show_moment(self) -> None:
        """Show the moment of the cursor in every pane."""
        history, live = self.history(), self.live
        if history is None or live is None or self.moment is None:
            return
        self.view = view_at(live, history, self.moment)
        self.trends = Trends(history, at=self.moment, zoom=self.zoom_ticks, events=self.events)
        self.show_panes(self.view)
        self.tell_time()
        self.context_changed()

    def moment_text(self) -> str:
        """``past 10:02:11, 12 s ago`` for the header."""
        if self.moment is None or self.view is None or self.live is None:
            return ""
        ago = self.live.snapshot.wall - self.view.snapshot.wall
        return f"{clock_text(self.view.snapshot.wall)} · {ago:.0f} s ago"

    def back_to_now(self) -> None:
        self.moment = None
        if self.live is not None:
            self.view = self.live
            self.show_view(self.live)
        self.tell_time()
        self.context_changed()

    def tell_time(self) -> None:
        """Tell in the header which moment is shown."""
