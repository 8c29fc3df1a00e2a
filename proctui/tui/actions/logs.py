"""Actions about logs: the job's captured output, and the logs of a selected process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.background import in_thread
from proctui.tui.screens.base import PaneScreen
from proctui.tui.widgets.line_view import Runs
from proctui.tui.widgets.log_pane import LogPane

__all__ = ["LogActions"]

QUICK, SLOW = 0.1, 1.2
"""Seconds between two looks at the output while it grows, and while it rests: then a look at the
processes, where one comes earlier, looks at the output too, as what is awake costs less."""


class LogActions(PaneScreen):
    """Feeds the log pane."""

    def __init__(self, *, name: str | None = None, id: str | None = None) -> None:
        super().__init__(name=name, id=id)
        self._output_due = asyncio.Event()

    async def follow_output(self) -> None:
        """The output worker: looks often while something is written, seldom while not."""
        if self.log_pane.model is None:
            self.show_job_output()
        pause, loop = QUICK, asyncio.get_running_loop()
        while True:
            grew = self.log_pane.poll()
            pause = QUICK if grew else min(SLOW, pause * 2)
            alarm = loop.call_later(pause, self._output_due.set)
            await self._output_due.wait()
            alarm.cancel()
            self._output_due.clear()

    def look_at_output(self) -> None:
        """Let the output worker look now."""
        self._output_due.set()

    def show_job_output(self) -> None:
        """Follow what the job writes, where proctui captures it."""
        files = self.dashboard.capture_files(self.live)
        if files:
            named = [(name, str(path)) for name, path in files.items()]
            self.log_pane.follow_files(named, "output of the job")
            return
        notes: list[Runs] = [(("The output of this job is not captured.", "quiet"),)]
        if self.live is not None and self.live.session is None:
            notes = [(("No job, so no output of one.", "quiet"),)]
        notes.append((("l", "key"), (" shows the logs of the selected process", "dim")))
        notes.append((("proctui run -- CMD", "strong"), (" captures what CMD writes", "dim")))
        self.log_pane.follow_files((), "", tuple(notes))

    def action_logs(self) -> None:
        """Show the logs that the selected process writes."""
        identity = self.processes.selected_identity()
        if identity is None:
            return
        self.activate("log")
        self.run_worker(
            self._find_logs(identity),
            name="logs",
            group="logs",
            description="finds the logs of a process",
            exclusive=True,
        )

    async def _find_logs(self, identity: Identity) -> None:
        from proctui.logs.finding import discover

        self.log_pane.set_title(f"Log  of {identity.pid}", "looking …")
        try:
            found: Mapping[str, Any] = await in_thread(discover, identity.pid)
        except ProctuiError as error:
            self.log_pane.follow_files((), f"of {identity.pid}", _notes(error.message))
            return
        logs = [one for one in found["logs"] if one.get("readable", True)]
        own = {str(path) for path in self.dashboard.capture_files(self.live).values()}
        files = [(str(one["path"]), str(one.get("open") or one["path"])) for one in logs]
        if not files:
            notes = [str(note) for note in found.get("notes", ())]
            if self._is_the_jobs(identity):
                self.show_job_output()
                return
            text = notes or [f"{identity.pid} writes to no log file that could be found."]
            self.log_pane.follow_files((), f"of {identity.pid}", _notes(*text))
            return
        if own & {path for path, _place in files}:
            self.show_job_output()
            return
        names = [(os.path.basename(path), place) for path, place in files[:8]]
        about = f"of {identity.pid}: " + ", ".join(name for name, _place in names)
        self.log_pane.follow_files(names, about)

    def _is_the_jobs(self, identity: Identity) -> bool:
        view = self.live
        return (
            view is not None
            and identity.pid in view.job
            and bool(self.dashboard.capture_files(view))
        )

    def on_log_pane_noted(self, message: LogPane.Noted) -> None:
        message.stop()
        self.say(message.text, title="Log", severity="warning")

    def action_error(self, step: int) -> None:
        self.log_pane.next_error(step)


def _notes(*texts: str) -> tuple[Runs, ...]:
    return tuple(((text, "quiet"),) for text in texts)
