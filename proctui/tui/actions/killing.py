"""Actions that lead to a signal: each opens the dialogue, none sends anything by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.guard import Guard, certain_strays
from proctui.tui.plan_lines import report_text
from proctui.tui.screens.base import PaneScreen

if TYPE_CHECKING:
    from proctui.tui.screens.kill import Decision

__all__ = ["KillActions"]


class KillActions(PaneScreen):
    """Kill what is selected or tagged, end strays."""

    @property
    def guard(self) -> Guard:
        return Guard(self.dashboard.feed.watch)

    def action_kill(self) -> None:
        if self.dashboard.options.read_only:
            self.say("This dashboard was opened with --read-only.", severity="warning")
            return
        line = self.processes.current()
        targets = self.processes.targets()
        if not targets or (line is not None and line.tomb is not None and not self.processes.tags):
            self.say("Nothing is selected: what you had selected has ended.", severity="warning")
            return
        self._open_dialogue(targets)

    def action_end_strays(self) -> None:
        view = self.live
        if view is None or self.dashboard.options.read_only:
            return
        targets = certain_strays(view)
        if not targets:
            self.say("No stray is certain to be the job's.")
            return
        self._open_dialogue(targets)

    def _open_dialogue(self, targets: list[Identity]) -> None:
        from proctui.tui.screens.kill import KillScreen

        if self.in_past:
            self.back_to_now()
        session = self.live is not None and self.live.session is not None
        self.app.push_screen(KillScreen(self.guard, targets, session=session), self._decided)

    def _decided(self, decision: Decision | None) -> None:
        if decision is None:
            return
        self.processes.clear_tags()
        self.run_worker(
            self._carry_out(decision),
            name="kill",
            group="kill",
            description="carries a confirmed plan out",
        )

    async def _carry_out(self, decision: Decision) -> None:
        count = len(decision.plan.targets)
        noun = "process" if count == 1 else "processes"
        self.say(f"{decision.signal} to {count} {noun} …")
        try:
            report = await self.guard.execute(decision.plan, decision.signal)
        except ProctuiError as error:
            self.say(f"{error.message}\n{error.hint or ''}".strip(), severity="error")
            return
        text, severity = report_text(report)
        self.event(f"{decision.signal}: {text.splitlines()[0]}", "killed")
        self.say(text, title=f"{decision.signal} done", severity=severity)
        self.dashboard.feed.hurry()
