"""Actions that look into processes: stacks, hang verdicts, threads, details."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.background import in_thread
from proctui.tui.dumps import Dump
from proctui.tui.screens.base import PaneScreen

__all__ = ["DebugActions"]

HANG_SECONDS = 2.0
REDRAW = 0.25
"""Seconds between two drawings of a result that still grows."""
SETTLE = 0.12
"""Seconds a selection must rest before it is read in detail: scrolling reads nothing."""
MANY = 400
"""Processes that one look at all stacks takes at most."""
SAMPLED = 64
"""Processes whose hot functions are sampled at once at most."""
HOT_SECONDS = 10


class DebugActions(PaneScreen):
    """Everything here runs beside the keyboard and can be left with Esc."""

    def _selected(self) -> Identity | None:
        line = self.processes.current()
        identity = self.processes.selected_identity()
        if identity is None or line is None or line.tomb is not None:
            self.say("The selected process has ended.", severity="warning")
            return None
        return identity

    def _start(self, work: Any, name: str, what: str) -> None:
        if self.in_past:
            self.back_to_now()
        self.run_worker(work, name=name, group="stacks", description=what, exclusive=True)

    def action_stack(self) -> None:
        identity = self._selected()
        if identity is not None:
            self._reveal("stack")
            self.stack.busy("looking …")
            self._start(self._stack(identity), "stack", "reads one stack")

    def _reveal(self, name: str) -> None:
        """Bring a pane on screen; the keyboard stays where it was if it already is."""
        if self.pane(name).size.height == 0 or name not in self.visible_panes():
            self.activate(name)

    async def _stack(self, identity: Identity) -> None:
        from proctui import stacks
        from proctui.tui.stack_lines import trace_dump

        try:
            trace = await in_thread(stacks.capture, identity.pid)
            dump = await in_thread(trace_dump, trace, self._called(identity))
        except ProctuiError as error:
            self._trouble(error)
            return
        self.stack.show(dump)

    def action_stacks(self) -> None:
        identity = self._selected()
        view = self.live
        if identity is None or view is None:
            return
        self._reveal("stack")
        self.stack.busy("looking …")
        pids = [identity.pid, *view.descendants(identity.pid)]
        self._start(self._stacks(pids[:MANY]), "stacks", "reads the stacks of a subtree")

    async def _stacks(self, pids: Sequence[int]) -> None:
        from proctui import stacks
        from proctui.tui.stack_lines import merged_dump

        found: list[Mapping[str, Any]] = []
        drawn = 0.0
        first = True

        def came(trace: Mapping[str, Any]) -> None:
            nonlocal drawn
            found.append(trace)
            now = time.monotonic()
            if now - drawn > REDRAW:
                drawn = now
                so_far = merged_dump(list(found), len(pids))
                self.app.call_later(show, so_far)

        def show(dump: Dump) -> None:
            nonlocal first
            self.stack.show(dump, replace=not first)
            first = False

        try:
            traces = await in_thread(stacks.capture_many, pids, came)
            dump = await in_thread(merged_dump, traces, len(pids))
        except ProctuiError as error:
            self._trouble(error)
            return
        show(dump)

    def action_hangs(self) -> None:
        identity = self._selected()
        view = self.live
        if identity is None or view is None:
            return
        subtree = {identity.pid, *view.descendants(identity.pid)}
        whole = subtree | set(view.job)
        mine = identity.pid in view.job or view.role(identity.pid).value in ("self", "ancestor")
        wanted = whole & set(view.job) if mine and len(whole) <= MANY else subtree
        self._reveal("stack")
        self.stack.busy(f"looking for {HANG_SECONDS:g} s …")
        self._start(self._hangs(sorted(wanted)[:MANY]), "hangs", "judges who hangs")

    async def _hangs(self, pids: Sequence[int]) -> None:
        from proctui import stacks
        from proctui.tui.stack_lines import hang_dump

        try:
            found = await in_thread(stacks.find_hangs, pids, HANG_SECONDS, descendants=False)
        except ProctuiError as error:
            self._trouble(error)
            return
        self.stack.show(hang_dump(found))
        self._mark_hung(found["verdicts"])

    _profile: dict[str, Any] | None = None

    def action_hot(self) -> None:
        """Sample the selected process and all below it, and show the hot functions as they grow."""
        identity = self._selected()
        view = self.live
        if identity is None or view is None:
            return
        self._reveal("stack")
        self.stack.busy("sampling …")
        pids = [identity.pid, *view.descendants(identity.pid)][:SAMPLED]
        self._start(self._hot(pids, self._called(identity)), "hot", "samples hot functions")

    async def _hot(self, pids: Sequence[int], name: str) -> None:
        from proctui.stacks.profile import joined, profile
        from proctui.tui.hot_lines import hot_dump

        of = name if len(pids) == 1 else f"{name} and {len(pids) - 1} below it"
        rounds: list[dict[str, Any]] = []
        self._profile = None
        for second in range(1, HOT_SECONDS + 1):
            try:
                found = await in_thread(profile, pids, 1.0)
            except ProctuiError as error:
                if self._profile is None:
                    self._trouble(error)
                return
            if found is None:
                self.stack.trouble("Hot functions are those of Python programs: here is none.")
                return
            rounds.append(found)
            self._profile = joined(rounds)
            dump = hot_dump(self._profile, second, of, over=second == HOT_SECONDS)
            self.stack.show(dump, replace=second > 1)

    def action_save_profile(self) -> None:
        """Write the last hot functions where proctui was started."""
        from proctui.stacks.profile import save_speedscope

        if self._profile is None:
            self.say("There are no hot functions yet: p samples them.", severity="warning")
            return
        path = time.strftime("proctui-%Y%m%d-%H%M%S.speedscope.json")
        try:
            save_speedscope(self._profile, path)
        except ProctuiError as error:
            self.say(error.message, severity="error")
            return
        self.say(f"Saved {path}: https://www.speedscope.app opens it.")

    _report: Mapping[str, Any] | None = None

    def tell_hang(self) -> None:
        """Show what the watchdog of ``run --hang-after`` found, until the job gets on again."""
        job = self.dashboard.options.job
        report = None if job is None else job.hang
        if report is self._report:
            return
        self._report = report
        if report is None:
            self.processes.set_marks(hung={})
            self.event("the job gets on again")
            return
        from proctui.tui.stack_lines import hang_dump

        self.stack.show(hang_dump(report))
        self._mark_hung(report["verdicts"])

    def _mark_hung(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        view = self.live
        if view is None:
            return
        hung = dict(self.processes.hung)
        for row in verdicts:
            identity = view.identity(row["pid"])
            if identity is None or str(identity) != row["identity"]:
                continue
            hung.pop(identity.key, None)
            if row["verdict"] in ("suspected", "deadlock-proven"):
                hung[identity.key] = row["verdict"]
        self.processes.set_marks(hung=hung)
        if hung:
            proven = sum(1 for verdict in hung.values() if verdict == "deadlock-proven")
            word = f"{proven} in a proven deadlock" if proven else f"{len(hung)} suspected"
            self.event(f"hang verdict: {word}", "hung")
            text = f"Hanging: {word}. The stack pane says why."
            if self.dashboard.options.config.alerts.hang:
                self.alert(text)
            else:
                self.say(text, severity="warning")

    def _trouble(self, error: ProctuiError) -> None:
        self.stack.trouble(f"{error.message}. {error.hint or ''}".strip())

    def _called(self, identity: Identity) -> str:
        proc = self.live.proc(identity.pid) if self.live is not None else None
        return proc.name if proc is not None else "process"

    # Details for the inspector

    def action_threads(self) -> None:
        if self._selected() is not None:
            self.activate("inspector")
            self.inspector.choose_tab("threads")
            self.inspector_shown()

    def inspector_shown(self) -> None:
        identity = self.inspector.identity
        if identity is None or self.in_past or not self.inspector.size.height:
            return
        self.run_worker(
            self._details(identity),
            name="details",
            group="details",
            description="reads one process in detail",
            exclusive=True,
        )

    async def _details(self, identity: Identity) -> None:
        from proctui.machine.details import inspect

        await asyncio.sleep(SETTLE)
        try:
            found: dict[str, Any] = await in_thread(
                inspect, identity, include_threads=True, include_files=True, pss=False
            )
        except ProctuiError as error:
            found = {"trouble": error.message, "denied": []}
        else:
            found["wait"] = await in_thread(_wait_of, identity.pid)
        self.inspector.set_details(identity, found)


def _wait_of(pid: int) -> str | None:
    from proctui import stacks

    try:
        return stacks.describe(pid)
    except (ProctuiError, OSError):
        return None
