"""Rows written straight to the terminal: the same picture as the compositor's, and only then."""

from __future__ import annotations

import re
import shlex
import threading

import pytest
from textual.widgets._toast import ToastRack

from proctui.tui.background import Helper
from proctui.tui.screens.main import MainScreen
from tests.support import python, wait_for
from tests.tui.driving import dashboard
from tests.tui.test_terminal import PROCTUI, Terminal, pytestmark, terminal

__all__ = ["pytestmark", "terminal"]

JOB = "import time\nwhile True: sum(range(20000)); time.sleep(0.1)"


def below_the_header(screen: Terminal) -> str:
    lines = screen.tmux("capture-pane", "-p", "-e").rstrip("\n").split("\n")
    return "\n".join(lines[1:-1])  # header and footer go on changing


def seconds_shown(screen: Terminal) -> int:
    """How old the job is by the header."""
    match = re.search(r"MEM +\S+ +(\d+)(s|m)", screen.screen())
    return int(match[1]) * (60 if match[2] == "m" else 1) if match else 0


def resting(screen: Terminal) -> str:
    """What stands below the header, if it stays the same for a while."""
    before = below_the_header(screen)
    return before if all(below_the_header(screen) == before for _ in range(20)) else ""


def test_what_was_written_directly_is_what_a_whole_frame_shows(terminal: Terminal) -> None:
    terminal.start(f"{PROCTUI} run --on-quit end -- {shlex.join(python(JOB))}")
    terminal.sees("● spawned")
    late = re.compile(r" (?:[5-9]|\d\d)s ")
    wait_for(lambda: late.search(terminal.screen()), 60, "some ticks of the graphs")
    terminal.press("j", "k", "Z")
    terminal.sees("paused")
    # What is read about the selected process comes by itself, when it comes.
    directly = wait_for(
        lambda: rests if "cwd" in (rests := resting(terminal)) else "", 30, "a picture that rests"
    )
    terminal.press("C-l")
    try:
        wait_for(lambda: below_the_header(terminal) == directly, 30)
    except AssertionError:
        assert below_the_header(terminal) == directly
    terminal.press("q")
    terminal.restored()


PANES = {"processes", "cpu", "memory", "inspector", "stack", "log"}


def clear_panes(main: MainScreen) -> set[str]:
    return {name for name in PANES if main.painter.is_clear(main.pane(name))}


async def test_a_pane_under_a_toast_or_off_the_screen_is_left_to_the_compositor() -> None:
    async with dashboard() as drive:
        await drive.tick()
        assert clear_panes(drive.main) == PANES
        await drive.main.mount(ToastRack(id="textual-toastrack"))
        drive.main.say("look here")
        for _ in range(20):
            await drive.pilot.pause()
            if clear_panes(drive.main) != PANES:
                break
        assert clear_panes(drive.main) == PANES - {"log"}
        await drive.press("z")
        assert clear_panes(drive.main) <= {"processes"}


async def test_a_tick_is_one_write_of_the_changed_rows_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with dashboard() as drive:
        await drive.tick(25)
        painter = drive.main.painter
        written: list[str] = []
        monkeypatch.setattr(painter, "possible", lambda: True)
        monkeypatch.setattr(type(drive.app), "is_headless", property(lambda _app: False))
        monkeypatch.setattr(drive.app._driver, "write", written.append)
        frames = painter.frames
        drive.watch.interval = 0.0
        drive.watch.change(1003, cpu=3.0)
        await drive.tick()
        assert painter.frames == frames + 1
        moves = re.findall(r"\x1b\[\d+;\d+H", "".join(written))
        assert len(moves) <= 24, "one row of the tree, the graphs that moved on, the header"


async def test_one_thread_looks_for_good() -> None:
    helper = Helper("looks")
    threads = {await helper.do(threading.get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    with pytest.raises(ZeroDivisionError):
        await helper.do(lambda: 1 // 0)
    assert await helper.do(threading.get_ident) in threads, "it lives on"


async def test_nothing_is_written_directly_without_a_terminal() -> None:
    async with dashboard() as drive:
        await drive.tick(3)
        assert drive.main.painter.frames == 0
        assert not drive.main.painter.possible()


async def test_lines_too_long_for_the_pane_are_not_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with dashboard() as drive:
        await drive.tick(2)
        main = drive.main
        pane, ink = main.log_pane, {}
        fits, long = ("x" * 20, "quiet"), ("y" * 9000, "quiet")
        monkeypatch.setattr(pane, "content", lambda _y: ((fits, long), 0, 0))
        assert main.painter._inked(pane, 0, ink) == []
        assert set(ink) == {fits}
        monkeypatch.setattr(pane, "content", lambda _y: ((fits,), 0, 0))
        parts = main.painter._inked(pane, 0, ink)
        assert sum(part.count("x") for part in parts) == 20
