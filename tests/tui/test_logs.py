"""The log pane on real files: following, filtering, searching, and looks of lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proctui.tui.widgets.log_pane import filters_of, row_runs
from tests.tui.driving import Drive, dashboard
from tests.tui.test_dialogues import FakeJob


def job_with(path: Path) -> Any:
    job = FakeJob()
    job.capture = {"output": path}
    return job


async def shows(drive: Drive, text: str, times: int = 3000) -> str:
    """Let the log come to rest until ``text`` stands on the screen."""
    for _ in range(times):
        drive.main.log_pane.poll()
        await drive.pilot.pause(0.01)
        if text in drive.text():
            return drive.text()
    raise AssertionError(f"{text!r} never came:\n{drive.text()}")


async def hides(drive: Drive, text: str, times: int = 3000) -> None:
    for _ in range(times):
        drive.main.log_pane.poll()
        await drive.pilot.pause(0.01)
        if text not in drive.text():
            return
    raise AssertionError(f"{text!r} stayed:\n{drive.text()}")


def write(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


async def test_the_output_of_the_job_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("begun\n")
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "begun")
        write(path, "\x1b[31mred\x1b[0m and \x1b]0;PWN\x07plain\n10%\r50%\r100%\nhalf")
        text = await shows(drive, "half")
        assert "red and plain" in text
        assert "100%" in text and "10%" not in text.replace("100%", "")


async def test_a_filter_keeps_what_matches_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("".join(f"line {at} {'even' if at % 2 == 0 else 'odd'}\n" for at in range(50)))
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "line 49")
        drive.main.activate("log")
        await drive.press("backslash", *"even", "enter")
        await hides(drive, "line 49")
        await shows(drive, "line 48")
        write(path, "line 50 even\nline 51 odd\n")
        await shows(drive, "line 50")
        assert "line 51" not in drive.text()
        assert drive.app.focused is drive.main.log_pane
        await drive.press("escape")
        await shows(drive, "line 51")


async def test_a_filter_that_is_being_typed_is_undone_by_escape(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("one\nsecond\n")
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "second")
        drive.main.activate("log")
        await drive.press("backslash", *"one")
        await hides(drive, "second")
        await shows(drive, "1 of 2")
        await drive.press("escape")
        await shows(drive, "second")
        assert drive.main.active == "log"


async def test_a_bad_pattern_is_named_with_its_position(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("one\n")
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "one")
        drive.main.activate("log")
        await drive.press("backslash", *"a(")
        assert "position" in drive.screen_text()[-1]


async def test_search_goes_from_place_to_place(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("".join(f"row {at}\n" for at in range(200)))
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "row 199")
        pane = drive.main.log_pane
        drive.main.activate("log")
        await drive.press("slash", *"row 17$", "enter")
        for _ in range(3000):
            pane.poll()
            await drive.pilot.pause(0.01)
            if pane.cursor == 17:
                break
        assert pane.plain(pane.cursor) == "row 17"
        assert not pane.following


async def test_moving_up_holds_still_and_f_follows(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("".join(f"row {at}\n" for at in range(200)))
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "row 199")
        drive.main.activate("log")
        await drive.press("pageup", "pageup")
        assert not drive.main.log_pane.following
        write(path, "newest\n")
        for _ in range(20):
            drive.main.log_pane.poll()
            await drive.pilot.pause()
        assert "newest" not in drive.text()
        await drive.press("F")
        await shows(drive, "newest")


async def test_l_shows_the_logs_of_a_process_and_focuses_the_pane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "worker.log"
    path.write_text("hello from the worker\n")
    from proctui.logs import finding

    entry = {"path": str(path), "pid": 1000, "fd": 3, "readable": True, "open": str(path)}
    monkeypatch.setattr(finding, "discover", lambda pid: {"logs": [entry], "notes": []})
    async with dashboard() as drive:
        await drive.press("l")
        await drive.settle()
        assert drive.main.active == "log"
        text = await shows(drive, "hello from the worker")
        assert "worker.log" in text


async def test_l_says_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from proctui.logs import finding

    found = {"logs": [], "notes": ["stdout goes to a terminal"]}
    monkeypatch.setattr(finding, "discover", lambda pid: found)
    async with dashboard() as drive:
        await drive.press("l")
        await drive.settle()
        assert "stdout goes to a terminal" in drive.text()


def test_filters_are_patterns_joined_by_and() -> None:
    filters = filters_of("error & Timeout & !heartbeat")
    assert filters.keep == (("error", True), ("Timeout", False))
    assert filters.drop == (("heartbeat", True),)
    assert not filters_of(" & !").active


def test_the_strongest_span_gives_the_style() -> None:
    from proctui.logs.rows import Row
    from proctui.logs.styling import Span

    spans = (Span(0, 8, "ansi-fg-1"), Span(2, 6, "match"), Span(4, 6, "search"))
    row = Row("line", "abcdefgh", spans, "unknown", "stderr", True, None, True)
    assert row_runs(row) == (
        ("stderr ", "guide"),
        ("ab", "=color(1)"),
        ("cd", "found"),
        ("ef", "match"),
        ("gh", "=color(1)"),
    )


async def test_a_look_that_comes_after_the_end_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("one\n")
    async with dashboard(job=job_with(path), on_quit="keep") as drive:
        await shows(drive, "one")
        pane = drive.main.log_pane
    write(path, "two\n")
    assert not pane.poll()
