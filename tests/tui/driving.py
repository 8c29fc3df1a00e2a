"""Opens the dashboard on a fake watch and turns its clock, without any waiting."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from textual.pilot import Pilot

from proctui.config import Config
from proctui.tui.app import ProctuiApp
from proctui.tui.feed import Tick
from proctui.tui.options import Options
from proctui.tui.screens.main import MainScreen
from tests.tui.fakes import FakeWatch, demo_watch

NEVER = 100_000.0
"""An interval that never ends within a test: looks come from :meth:`Drive.tick` alone."""


class Drive:
    """What a test does with an open dashboard."""

    def __init__(self, app: ProctuiApp, pilot: Pilot[Any], watch: FakeWatch) -> None:
        self.app = app
        self.pilot = pilot
        self.watch = watch

    @property
    def main(self) -> MainScreen:
        return self.app.main

    async def tick(self, count: int = 1) -> None:
        """Look ``count`` times and show each view."""
        for _ in range(count):
            self.main.post_message(Tick(self.watch.tick(), slowed=1))
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def settle(self) -> None:
        """Wait for what runs beside the keyboard."""
        wanted = [one for one in self.app.workers if one.group not in ("sampling", "output")]
        if wanted:
            await self.app.workers.wait_for_complete(wanted)
        await self.pilot.pause()

    def screen_text(self) -> list[str]:
        """What stands on the screen, line by line."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        assert len(lines) == height
        return [strip.text.ljust(width) for strip in lines]

    def text(self) -> str:
        return "\n".join(self.screen_text())

    def names(self) -> list[str]:
        """The processes in the tree, in order."""
        view = self.main.processes.view
        assert view is not None
        found = []
        for line in self.main.processes.outline.lines:
            proc = view.proc(line.pid)
            found.append(line.tomb.name if line.tomb else proc.name if proc else "?")
        return found

    def pids(self) -> list[int]:
        return [line.pid for line in self.main.processes.outline.lines]


@contextlib.asynccontextmanager
async def dashboard(
    watch: FakeWatch | None = None,
    *,
    size: tuple[int, int] = (200, 50),
    config: Config | None = None,
    **options: Any,
) -> AsyncIterator[Drive]:
    """The dashboard after its first look."""
    watch = watch or demo_watch()
    app = ProctuiApp(Options(watch=watch, interval=NEVER, config=config or Config(), **options))
    async with app.run_test(size=size) as pilot:
        drive = Drive(app, pilot, watch)
        await pilot.pause()
        if drive.main.live is None and not app.options.choices:
            await drive.tick()
        yield drive
