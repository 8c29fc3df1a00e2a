"""The kill dialogue: every target and every refusal by identity, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Label

from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.guard import SIGNALS, Guard
from proctui.tui.plan_lines import NO_SESSION, plan_lines, plan_title
from proctui.tui.screens.dialogue import Dialogue
from proctui.tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from proctui.killing.plan import Plan, Scope

__all__ = ["Decision", "KillScreen"]


@dataclass(frozen=True)
class Decision:
    """What was confirmed: exactly this plan, with this signal."""

    plan: Plan
    signal: str


class PlanList(TextPane, can_focus=False):
    """The plan's lines; scrolls with the dialogue's keys and the wheel."""

    def on_mount(self) -> None:
        self.show_cursor = False


class KillScreen(Dialogue[Decision | None]):
    """Opens on Cancel and TERM, always.  A plan that refuses everything has no Kill button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "cancel", "Cancel"),
        ("pageup", "scroll(-8)", "Up"),
        ("pagedown", "scroll(8)", "Down"),
        ("up,k", "scroll(-1)", "Up"),
        ("down,j", "scroll(1)", "Down"),
        ("s", "signal", "Signal"),
        ("t", "scope('tree')", "Tree"),
        ("g", "scope('group')", "Group"),
        ("left", "app.focus_previous", ""),
        ("right", "app.focus_next", ""),
    ]
    AUTO_FOCUS = "#cancel"

    def __init__(
        self,
        guard: Guard,
        targets: Sequence[Identity],
        *,
        scope: Scope = "single",
        session: bool = True,
    ) -> None:
        super().__init__()
        self.guard = guard
        self.targets = tuple(targets)
        self.scope: Scope = scope
        self.session = session
        self.signal = SIGNALS[0]
        self.plan: Plan | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog kill-dialog"):
            yield Label("", id="kill-title", classes="dialog-title")
            yield Label("", id="kill-means")
            yield PlanList(id="plan")
            yield Label("", id="kill-note", classes="dialog-text")
            yield Input(id="adopt", compact=True)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Kill", id="kill", compact=True)
            yield Label("", id="kill-hint", classes="dialog-hint")

    def on_mount(self) -> None:
        self.query_one("#kill", Button).display = False
        adopt = self.query_one("#adopt", Input)
        adopt.display = False
        adopt.cursor_blink = False
        self._label("#kill-title", "Planning …")
        self._show_means()
        self._replan()

    def _label(self, selector: str, text: str) -> None:
        self.query_one(selector, Label).update(Content(text))

    def _replan(self) -> None:
        self.plan = None
        self.query_one("#kill", Button).display = False
        self.run_worker(
            self._make_plan(),
            name="plan",
            group="plan",
            description="plans a kill",
            exclusive=True,
        )

    async def _make_plan(self) -> None:
        try:
            plan = await self.guard.plan(self.targets, self.scope)
        except ProctuiError as error:
            self._label("#kill-title", "Nothing to kill")
            self._label("#kill-note", f"{error.message}. {error.hint or ''}".strip())
            return
        self.plan = plan
        self._show_plan(plan)

    def _show_plan(self, plan: Plan) -> None:
        self._label("#kill-title", plan_title(plan))
        lines = plan_lines(plan, max(40, self.query_one(PlanList).size.width - 1))
        pane = self.query_one(PlanList)
        pane.styles.height = min(len(lines), 18)
        pane.set_lines(lines, keep=False)
        self.query_one("#kill", Button).display = bool(plan.targets)
        note = " · ".join(plan.warnings)
        if not plan.targets:
            note = NO_SESSION if not self.session else note
        self._label("#kill-note", note)
        self._offer_adoption(plan)
        self._show_means()
        self.query_one("#cancel", Button).focus()

    def _show_means(self) -> None:
        scope = {"single": "this alone", "tree": "with its tree", "group": "its group"}[self.scope]
        if self.signal == "TERM":
            means = "signal TERM, then KILL after 5 s for what is left"
        elif self.signal == "KILL":
            means = "signal KILL: no chance to clean up"
        else:
            means = f"signal {self.signal}, once"
        self._label("#kill-means", f"{means}   ·   {scope}")
        to_kill = "Tab to Kill · " if self.plan is not None and self.plan.targets else ""
        self._label(
            "#kill-hint", f"{to_kill}Enter presses · Esc cancels · s signal · t tree · g group"
        )

    def _offer_adoption(self, plan: Plan) -> None:
        field = self.query_one("#adopt", Input)
        field.display = False
        if plan.targets or len(self.targets) != 1 or not self.session:
            return
        view = self.guard.watch.look()
        if self.guard.adoption_problem(view, self.targets[0]) is not None:
            return
        pid = self.targets[0].pid
        field.placeholder = f"Is it yours after all? Type {pid} and Enter to adopt it"
        field.value = ""
        field.display = True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() != str(self.targets[0].pid):
            self._label("#kill-note", "That is not its pid: nothing was adopted.")
            return
        self.run_worker(
            self._adopt(self.targets[0]),
            name="adopt",
            group="plan",
            description="adopts a process",
            exclusive=True,
        )

    async def _adopt(self, identity: Identity) -> None:
        try:
            words = await self.guard.adopt(identity)
        except ProctuiError as error:
            self._label("#kill-note", f"{error.message}. {error.hint or ''}".strip())
            return
        self.notify(f"{identity}: {words}", title="Adopted", markup=False)
        self._replan()

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        self.query_one(PlanList).scroll_lines(lines)

    def action_signal(self) -> None:
        at = SIGNALS.index(self.signal)
        self.signal = SIGNALS[(at + 1) % len(SIGNALS)]
        self._show_means()

    def action_scope(self, scope: Scope) -> None:
        self.scope = "single" if self.scope == scope else scope
        self._show_means()
        self._replan()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "kill" and self.plan is not None and self.plan.targets:
            self.dismiss(Decision(self.plan, self.signal))
        elif event.button.id == "cancel":
            self.dismiss(None)
