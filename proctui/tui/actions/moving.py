"""Actions that move: within a pane, between panes, and the prompt for search and filter."""

from __future__ import annotations

from textual import events

from proctui.errors import BadArgument
from proctui.tui.layout import PANES
from proctui.tui.screens.base import PaneScreen
from proctui.tui.widgets.line_view import LineView
from proctui.tui.widgets.log_pane import LogPane
from proctui.tui.widgets.process_tree import ProcessTree
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["MoveActions"]


class MoveActions(PaneScreen):
    """Moving, finding, filtering, zooming."""

    _needle = ""

    def action_move(self, lines: int) -> None:
        self.active_pane.move_lines(lines)

    def action_page(self, pages: int) -> None:
        self.active_pane.move_pages(pages)

    def action_home(self) -> None:
        self.active_pane.move_home()

    def action_end(self) -> None:
        self.active_pane.move_end()

    def action_sideways(self, step: int) -> None:
        if self.active == "processes":
            self.processes.unfold() if step > 0 else self.processes.fold()
        elif self.active == "inspector":
            self.inspector.next_tab(step)
            self.inspector_shown()
        else:
            self.active_pane.move_sideways(8 * step)

    def action_next_pane(self, step: int) -> None:
        if self.prompt.display:
            self.prompt.finish(None)
        order = list(PANES)
        at = order.index(self.active)
        self.activate(order[(at + step) % len(order)])

    def action_zoom(self) -> None:
        panes = self.body.panes
        panes.zoomed = not panes.zoomed
        self.body.rearrange()

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        message.stop()
        if message.view is self.log_pane:
            self.log_pane.hold(message.index)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, LineView) and event.widget.id in PANES:
            if event.widget.id != self.active:
                self.activate(event.widget.id)
            self.context_changed()

    # Search and filter

    def action_search(self) -> None:
        pane = self.active_pane
        start = pane.cursor
        top = pane.top

        def changed(text: str) -> str | None:
            self._needle = text
            if text and not pane.find(text, start, 1, including=True):
                return "nothing found"
            return None

        def done(text: str | None) -> None:
            if text is None:
                self._needle = ""
                pane.unfind()
                pane.move_to(start)
                pane.top = top
                pane.paint()
            self.activate(pane.id or "processes")

        self.prompt.ask(f"Search {pane.id}:", "", changed, done)
        self.context_changed()

    def action_find(self, step: int) -> None:
        if not self._needle:
            self.say("Nothing to look for yet: / searches")
        elif not self.active_pane.find(self._needle, self.active_pane.cursor, step):
            self.say(f"“{self._needle}” is nowhere here", severity="warning")

    def action_filter(self) -> None:
        pane = self.active_pane
        if isinstance(pane, ProcessTree):
            self._filter_tree(pane)
        elif isinstance(pane, TextPane | LogPane):
            self._filter_text(pane)
        self.context_changed()

    def _filter_tree(self, tree: ProcessTree) -> None:
        from proctui.tui.query import parse

        before = tree.outline.options.query

        def changed(text: str) -> str | None:
            try:
                tree.set_query(parse(text))
            except BadArgument as error:
                return error.message
            return None

        def done(text: str | None) -> None:
            if text is None:
                tree.set_query(before)
            self.activate("processes")

        label = "Filter (cpu>50 mem>100M role:stray name:python -word):"
        if self.size.width < 100:
            label = "Filter:"
        self.prompt.ask(label, before.text if before else "", changed, done)

    def _filter_text(self, pane: TextPane | LogPane) -> None:
        before = pane.needle

        def changed(text: str) -> str | None:
            return pane.set_filter(text)

        def done(text: str | None) -> None:
            if text is None:
                pane.set_filter(before)
            self.activate(pane.id or "log")

        label = f"Filter {pane.id}:"
        if pane is self.log_pane and self.size.width >= 100:
            label = "Filter log (error & timeout & !heartbeat):"
        self.prompt.ask(label, before, changed, done)

    def action_back(self) -> None:
        """Undo one step: the prompt, the zoom, a filter, then back to the tree."""
        pane = self.active_pane
        if self.prompt.display:
            self.prompt.finish(None)
        elif self.in_past:
            self.back_to_now()
        elif self.body.panes.zoomed:
            self.action_zoom()
        elif isinstance(pane, ProcessTree) and pane.outline.options.query is not None:
            pane.set_query(None)
        elif isinstance(pane, TextPane | LogPane) and pane.needle:
            pane.set_filter("")
        elif self.active != "processes":
            self.activate("processes")
