"""The inspector: everything about the selected process, in tabs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proctui.awareness.view import Tomb, View
from proctui.model import Identity
from proctui.tui import facts
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import Run, Runs
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["Inspector"]


class Inspector(TextPane):
    """Shows the view's figures at once and, where asked, what the kernel tells in detail."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tab = "overview"
        self.identity: Identity | None = None
        self.details: Mapping[str, Any] | None = None
        self._view: View | None = None
        self._trends: Trends | None = None

    def show(
        self, view: View | None, identity: Identity | None, trends: Trends | None = None
    ) -> None:
        """Show another process, or the same one at another moment."""
        self._trends = trends or self._trends
        other = (identity and identity.key) != (self.identity and self.identity.key)
        if other:
            self.details = None
        self.identity, self._view = identity, view
        self._update(keep=not other)

    def set_details(self, identity: Identity, details: Mapping[str, Any]) -> None:
        """Take what was read about a process, if it is still the one that is shown."""
        if self.identity is not None and self.identity.key == identity.key:
            self.details = details
            self._update(keep=True)

    def choose_tab(self, tab: str) -> None:
        if tab in facts.TABS:
            self.tab = tab
            self._update(keep=False)

    def next_tab(self, step: int) -> None:
        tabs = list(facts.TABS)
        self.choose_tab(tabs[(tabs.index(self.tab) + step) % len(tabs)])

    @property
    def needs_details(self) -> bool:
        """Whether what is shown must be read from the kernel."""
        return self.tab not in ("overview", "evidence")

    def fit(self) -> None:
        super().fit()
        self._update(keep=True)

    def head(self) -> tuple[Runs, ...]:
        runs: list[Run] = []
        for name, short in facts.TABS.items():
            text = short if self.extent.width < 64 else name
            runs += [(text, "accent" if name == self.tab else "dim"), ("  ", "")]
        return (tuple(runs),)

    def _update(self, *, keep: bool) -> None:
        view, identity = self._view, self.identity
        if view is None:
            return
        if identity is None:
            self.set_title("Inspector")
            self.set_lines([(("select a process", "dim"),)], keep=False)
            return
        proc = view.proc(identity.pid)
        width = max(20, self.extent.width - 2)
        if proc is None or proc.identity.key != identity.key:
            self.set_title(f"Inspector  {identity.pid}")
            self.set_lines(facts.gone(identity, self._tomb(view, identity), width), keep=keep)
            return
        self.set_title(f"Inspector  {proc.name} {proc.pid}")
        past: list[float | None] = []
        if self.tab == "overview" and self._trends is not None:
            past = self._trends.cpu_of(identity, 2 * width)
        self.set_lines(facts.lines(self.tab, view, proc, self.details, width, past), keep=keep)

    def _tomb(self, view: View, identity: Identity) -> Tomb | None:
        return next((t for t in view.tombs if t.identity.key == identity.key), None)
