"""Actions that change how things are shown: tree, sort, tags, follow, pause."""

from __future__ import annotations

import contextlib

from textual.app import SuspendNotSupported

from proctui.errors import ProctuiError
from proctui.tui.screens.base import PaneScreen
from proctui.tui.widgets.process_tree import ProcessTree
from proctui.tui.widgets.stack_pane import StackPane

__all__ = ["ArrangeActions"]


class ArrangeActions(PaneScreen):
    """The tree's order, folds, tags and scope."""

    paused = False

    def action_toggle_tree(self) -> None:
        self.processes.change(tree=not self.processes.outline.options.tree)

    def action_toggle_machine(self) -> None:
        if self.view is not None and self.view.session is None:
            self.say("There is no job: this is the whole machine. proctui run -- CMD starts one.")
            return
        self.processes.change(machine=not self.processes.outline.options.machine)

    def zoom_time(self, step: int) -> None:
        """Show more or less time in the graphs."""

    def _foldable(self) -> ProcessTree | StackPane:
        return self.stack if self.active == "stack" else self.processes

    def action_unfold(self) -> None:
        if self.active in ("cpu", "memory"):
            self.zoom_time(-1)
        else:
            self._foldable().unfold()

    def action_fold(self) -> None:
        if self.active in ("cpu", "memory"):
            self.zoom_time(1)
        else:
            self._foldable().fold()

    def action_fold_all(self) -> None:
        self._foldable().fold_all()

    def action_follow(self) -> None:
        if self.active == "log":
            if self.in_past:
                self.back_to_now()
                return
            self.log_pane.follow(not self.log_pane.following)
            return
        self.processes.follow = not self.processes.follow
        self.processes.change()

    def action_sort(self, by: str) -> None:
        self.processes.sort_by(by)

    def action_sort_step(self, step: int) -> None:
        if self.active == "stack":
            self.stack.step(step)
            return
        self.processes.sort_step(step)

    def action_sort_invert(self) -> None:
        self.processes.change(inverted=not self.processes.outline.options.inverted)

    def action_choose_sort(self) -> None:
        from proctui.tui.rows import SORTS
        from proctui.tui.screens.choose import ChooseScreen

        entries = [(name, title, "") for name, (title, _value, _down) in SORTS.items()]

        def chosen(name: str | None) -> None:
            if name is not None:
                self.processes.change(sort=name, inverted=False)

        screen = ChooseScreen("Sort by", entries, self.processes.outline.options.sort)
        self.app.push_screen(screen, chosen)

    def action_tag(self) -> None:
        self.processes.toggle_tag()

    def action_tag_subtree(self) -> None:
        self.processes.toggle_tag(subtree=True)

    def action_untag(self) -> None:
        self.processes.clear_tags()

    def action_copy(self) -> None:
        """Copy the line under the cursor by OSC 52."""
        pane = self.active_pane
        if pane is self.processes:
            identity = self.processes.selected_identity()
            text = "" if identity is None else str(identity)
        else:
            text = pane.plain(pane.cursor) if pane.length() else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.say(f"Copied: {text[:60]}")

    def action_edit(self) -> None:
        """Open the log at its line, or the text of the pane, in the person's editor."""
        from proctui.logs.outline import editor_place
        from proctui.tui.editing import command_for, edit, kept_in_file

        pane = self.active_pane
        model = self.log_pane.model
        place = editor_place(model, pane.cursor) if pane is self.log_pane and model else None
        text = "\n".join(pane.plain(at) for at in range(pane.length())) if place is None else ""
        try:
            with contextlib.ExitStack() as stack:
                path = place[0] if place else stack.enter_context(kept_in_file(text))
                command = command_for(path, place[1] if place else 1)
                stack.enter_context(self.app.suspend())
                edit(command)
        except ProctuiError as error:
            self.say(f"{error.message}: {error.hint}", severity="warning")
        except SuspendNotSupported:
            self.say("This terminal can't be given to an editor.", severity="warning")
        self.action_redraw()

    def action_redraw(self) -> None:
        """Paint every cell anew, whatever others wrote onto the terminal."""
        for widget in self.query("*"):
            widget.refresh()
        self.refresh()
