"""Actions about logs: the job's captured output, and the logs of a selected process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.background import in_thread
from proctui.tui.screens.base import PaneScreen
from proctui.tui.tail import Tail
from proctui.tui.widgets.line_view import Runs

__all__ = ["LogActions"]

QUICK, SLOW = 0.1, 0.8
"""Seconds between two looks at the output while it grows, and while it rests."""


class LogActions(PaneScreen):
    """Feeds the log pane."""

    async def follow_output(self) -> None:
        """The output worker: looks often while something is written, seldom while not."""
        if self.log_pane.tail is None:
            self.show_job_output()
        pause = QUICK
        while True:
            grew = self.log_pane.poll() and not self.paused_output
            pause = QUICK if grew else min(SLOW, pause * 1.5)
            await asyncio.sleep(pause)

    @property
    def paused_output(self) -> bool:
        return False

    def show_job_output(self) -> None:
        """Follow what the job writes, where proctui captures it."""
        files = self.dashboard.capture_files(self.live)
        if files:
            self.log_pane.follow_files(Tail(list(files.items())), "output of the job")
            return
        notes: list[Runs] = [(("The output of this job is not captured.", "quiet"),)]
        if self.live is not None and self.live.session is None:
            notes = [(("No job, so no output of one.", "quiet"),)]
        notes.append((("l", "key"), (" shows the logs of the selected process", "dim")))
        notes.append((("proctui run -- CMD", "strong"), (" captures what CMD writes", "dim")))
        self.log_pane.follow_files(None, "", tuple(notes))

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
            self.log_pane.follow_files(None, f"of {identity.pid}", _notes(error.message))
            return
        logs = [one for one in found["logs"] if one.get("readable", True)]
        own = set((self.dashboard.capture_files(self.live) or {}).values())
        files = [Path(one["path"]) for one in logs if one.get("path")]
        if not files:
            notes = [str(note) for note in found.get("notes", ())]
            if self._is_the_jobs(identity):
                self.show_job_output()
                return
            text = notes or [f"{identity.pid} writes to no log file that could be found."]
            self.log_pane.follow_files(None, f"of {identity.pid}", _notes(*text))
            return
        if own & set(files):
            self.show_job_output()
            return
        names = [(path.name, path) for path in files[:8]]
        about = f"of {identity.pid}: " + ", ".join(name for name, _path in names)
        self.log_pane.follow_files(Tail(names), about)
        self.log_pane.poll()

    def _is_the_jobs(self, identity: Identity) -> bool:
        view = self.live
        return (
            view is not None
            and identity.pid in view.job
            and bool(self.dashboard.capture_files(view))
        )


def _notes(*texts: str) -> tuple[Runs, ...]:
    return tuple(((text, "quiet"),) for text in texts)
