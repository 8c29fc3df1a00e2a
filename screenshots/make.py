"""Makes the pictures of this folder from real processes: ``python screenshots/make.py [NAME…]``.

Each picture is the dashboard beside ``proctui demo``'s job, driven by keys as
a person would press them.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

import proctui
from proctui.awareness.opening import open_watch
from proctui.config import Config
from proctui.jobs.demo import clean_up, start_demo
from proctui.tui.app import ProctuiApp
from proctui.tui.options import Options

HERE = Path(__file__).parent
WIDE = (160, 45)
SMALL = (80, 24)
CELL = 12.2
"""Width of a cell in the exported picture."""


class Stage:
    """One open dashboard beside one demo job."""

    def __init__(self, app: ProctuiApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    def text(self) -> str:
        compositor = self.app.screen._compositor
        return "\n".join(strip.text for strip in compositor.render_strips())

    async def sees(self, *words: str, within: float = 60.0) -> None:
        """Wait until all of these stand on the screen."""
        deadline = time.monotonic() + within
        while not all(word in self.text() for word in words):
            if time.monotonic() > deadline:
                raise SystemExit(f"{words} never came:\n{self.text()}")
            await asyncio.sleep(0.1)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def watch_for(self, seconds: float) -> None:
        """Let the graphs fill: a picture of the first second shows none."""
        await asyncio.sleep(seconds)

    async def focus(self, pane: str) -> None:
        self.app.query_one(f"#{pane}").focus()
        await self.pilot.pause()

    async def select(self, name: str) -> None:
        """Move to the process of that name by searching for it."""
        await self.press("slash", *name.replace("-", " ").split(" ")[-1], "enter")


async def demo(stage: Stage) -> None:
    await stage.watch_for(45)
    await stage.select("busy")


async def refused(stage: Stage) -> None:
    await stage.press("home", "f9")
    await stage.sees("refused")


async def stacks(stage: Stage) -> None:
    await stage.select("deadlocked")
    await stage.press("h")
    await stage.sees("DEADLOCK, proven")


async def merged(stage: Stage) -> None:
    await stage.press("S")
    await stage.sees("different stacks")
    await stage.focus("stack")
    await stage.press("z")


async def log_filter(stage: Stage) -> None:
    await stage.watch_for(15)
    await stage.press("l")
    await stage.press("backslash", *"WARNING|ERROR|CRITICAL", "enter")
    await stage.sees(" of ", "ERROR")
    await stage.watch_for(5)


async def cursor(stage: Stage) -> None:
    await stage.watch_for(40)
    await stage.press(*["left_square_bracket"] * 8)


SHOTS: dict[str, tuple[Callable[[Stage], Awaitable[None]], tuple[int, int], str]] = {
    "demo": (demo, WIDE, "proctui-dark"),
    "refused": (refused, WIDE, "proctui-dark"),
    "stacks": (stacks, WIDE, "proctui-dark"),
    "merged": (merged, WIDE, "proctui-dark"),
    "log-filter": (log_filter, WIDE, "proctui-dark"),
    "time-cursor": (cursor, WIDE, "proctui-dark"),
    "light": (demo, WIDE, "proctui-light"),
    "small": (demo, SMALL, "proctui-dark"),
}


def anchored(svg: str) -> str:
    """Leading blanks as a place instead of characters: some viewers (librsvg) drop them."""

    def move(found: re.Match[str]) -> str:
        head, x, middle, length, tail, blanks = found.groups()
        shift = CELL * blanks.count(";")
        return f"{head}{float(x) + shift:g}{middle}{float(length) - shift:g}{tail}"

    return re.sub(
        r'(<text [^>]*x=")([\d.]+)(" [^>]*textLength=")([\d.]+)("[^>]*>)((?:&#160;)+)(?=[^<&])',
        move,
        svg,
    )


def settle() -> None:
    """Let the job run from a place whose path is nobody's: stacks and the inspector show it."""
    home = Path(tempfile.gettempdir()) / "shop"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(Path(proctui.__file__).parent, home / "proctui")
    os.environ["PYTHONPATH"] = str(home)
    os.chdir(home)


async def shoot(name: str) -> None:
    scene, size, theme = SHOTS[name]
    settle()
    job = start_demo()
    try:
        watch = open_watch(job.session_id, exits=True)
        app = ProctuiApp(
            Options(
                watch=watch,
                job=job,
                config=Config(),
                interval=None,
                read_only=False,
                on_quit="keep",
                theme=theme,
            )
        )
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot)
            await stage.sees("1 stray", "shop")
            await scene(stage)
            (HERE / f"{name}.svg").write_text(anchored(app.export_screenshot()), "utf-8")
        watch.close()
    finally:
        clean_up(job)


def main() -> None:
    names = sys.argv[1:] or list(SHOTS)
    if len(names) == 1:
        asyncio.run(shoot(names[0]))
        print(HERE / f"{names[0]}.svg")
        return
    for name in names:
        # A job is started before there are threads: a process of its own for each picture.
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
