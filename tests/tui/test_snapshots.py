"""How the dashboard looks: pictures of the whole screen, with a pinned source and clock."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from proctui.config import Config, Dashboard
from proctui.model import Role
from proctui.tui.app import ProctuiApp
from proctui.tui.options import Options
from proctui.tui.stack_lines import hang_dump, merged_dump
from tests.tui.driving import NEVER
from tests.tui.fakes import FakeWatch, demo_watch

Before = Callable[[Pilot[Any]], Awaitable[None]]


@pytest.fixture(autouse=True)
def one_time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def lively(watch: FakeWatch, count: int = 150) -> FakeWatch:
    """Let the job have done something: the same every time."""
    base = {fake.pid: fake for fake in watch.fakes}
    for at in range(count):
        for pid, phase in ((1001, 0.0), (1002, 1.5), (1011, 3.0), (1010, 4.5)):
            wave = (1 + math.sin(at / 7 + phase)) / 2
            rss = (base[pid].rss or 0) * (60 + at % 60) // 100
            watch.change(pid, cpu=round(45 * wave, 1), rss=rss)
        job = sum(fake.cpu or 0 for fake in watch.fakes if fake.role is Role.SPAWNED)
        watch.usage = job / 2 + 12 + 10 * math.sin(at / 9)
        watch.tick()
    return watch


def picture(
    watch: FakeWatch | None = None, *, theme: str = "proctui-dark", **options: Any
) -> ProctuiApp:
    watch = watch or lively(demo_watch())
    config = Config(dashboard=Dashboard(theme=theme))
    return ProctuiApp(Options(watch=watch, interval=NEVER, config=config, **options))


def after(*keys: str, then: Callable[[ProctuiApp], None] | None = None) -> Before:
    """Wait for the first look, press keys, and let everything come to rest."""

    async def run(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, ProctuiApp)
        while app.main.live is None:
            await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            waiting = [one for one in app.workers if one.group in ("plan", "stacks", "kill")]
            if waiting:
                await app.workers.wait_for_complete(waiting)
        if then is not None:
            then(app)
        await pilot.pause()

    return run


def thread(tid: int, name: str, wait: str, *frames: tuple[str, str, int]) -> dict[str, Any]:
    return {
        "tid": tid,
        "name": name,
        "state": "S",
        "active": False,
        "holds_gil": False,
        "wait": wait,
        "frames": [
            {"function": function, "file": file, "line": line, "kind": "python"}
            for function, file, line in frames
        ],
    }


def traces() -> list[dict[str, Any]]:
    """Two threads that wait for each other's lock, and three workers at the same place."""
    lock = "waiting for a lock"
    ours = "/srv/app/transfer.py"
    stuck = {
        "pid": 1003,
        "threads": [
            thread(1003, "MainThread", lock, ("debit", ours, 41), ("transfer", ours, 52)),
            thread(1103, "auditor", lock, ("credit", ours, 47), ("audit", ours, 63)),
        ],
        "tool": "py-spy",
        "mode": "nonblocking",
        "paused_ms": 0,
        "warnings": [],
    }
    workers = [
        {
            "pid": pid,
            "threads": [
                thread(
                    pid, "MainThread", "reading pipe:[4711]", ("next_job", "/srv/app/pool.py", 18)
                )
            ],
            "tool": "py-spy",
            "mode": "nonblocking",
            "paused_ms": 0,
            "warnings": [],
        }
        for pid in (1001, 1002, 1010)
    ]
    return [stuck, *workers]


def verdicts() -> dict[str, Any]:
    return {
        "verdicts": [
            {
                "pid": 1003,
                "identity": "1003:1001003",
                "name": "python3",
                "label": "pytest worker gw2, running test_locks.py::test_inversion",
                "verdict": "deadlock-proven",
                "evidence": [
                    "thread 1003 waits for a lock that thread 1103 holds",
                    "thread 1103 waits for a lock that thread 1003 holds",
                ],
                "cycle": [1003, 1103],
            },
            {
                "pid": 1001,
                "identity": "1001:1001001",
                "name": "python3",
                "label": None,
                "verdict": "running",
                "evidence": ["97 % of a core within the look"],
                "cycle": None,
            },
        ],
        "graph": [{"from": "1000 pytest", "to": "1003", "why": "waits for the end of 1003"}],
        "seconds": 2.0,
        "warnings": [],
    }


def show_stacks(app: ProctuiApp) -> None:
    app.main.activate("stack")
    app.main.stack.show(merged_dump(traces(), 4))


def show_hangs(app: ProctuiApp) -> None:
    app.main.stack.show(hang_dump(verdicts()))
    app.main._mark_hung(verdicts()["verdicts"])


def test_the_job(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(200, 50), run_before=after())


def test_eighty_columns(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(80, 24), run_before=after())


def test_a_tiny_terminal(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(40, 10), run_before=after())


def test_the_machine_flat_by_memory(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(120, 40), run_before=after("m", "t", "M"))


def test_a_filter_being_typed(snap_compare: Any) -> None:
    keys = ("backslash", *"cpu>20 -pytest")
    assert snap_compare(picture(), terminal_size=(120, 40), run_before=after(*keys))


def test_a_kill_dialogue_with_its_tree(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(120, 40), run_before=after("f9", "t"))


def test_a_refusal(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(120, 40), run_before=after("home", "f9"))


def test_merged_stacks_in_the_light(snap_compare: Any) -> None:
    app = picture(theme="proctui-light")
    assert snap_compare(app, terminal_size=(160, 45), run_before=after(then=show_stacks))


def test_a_deadlock(snap_compare: Any) -> None:
    app = picture(theme="proctui-colorblind")
    assert snap_compare(app, terminal_size=(200, 50), run_before=after(then=show_hangs))


def test_the_past(snap_compare: Any) -> None:
    keys = ("left_square_bracket",) * 12
    app = picture(theme="proctui-contrast")
    assert snap_compare(app, terminal_size=(160, 45), run_before=after(*keys))


def test_folded_tagged_and_dead(snap_compare: Any) -> None:
    watch = lively(demo_watch())
    watch.end(1020, exit=-11)
    run = after("j", "minus", "j", "space", "space")
    assert snap_compare(picture(watch), terminal_size=(120, 40), run_before=run)


def test_the_help(snap_compare: Any) -> None:
    assert snap_compare(picture(), terminal_size=(120, 40), run_before=after("question_mark"))


def test_without_a_job(snap_compare: Any) -> None:
    watch = FakeWatch()
    for fake in list(watch.fakes):
        if fake.role is Role.SPAWNED:
            watch.change(fake.pid, role=Role.UNKNOWN, stray=False)
    assert snap_compare(picture(watch), terminal_size=(120, 40), run_before=after())
