"""Resize storms, floods of births, hostile text, counted work: the dashboard stands."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from textual import events

from proctui.model import Role
from proctui.tui.app import ProctuiApp
from proctui.tui.background import in_thread
from proctui.tui.feed import Feed, Tick
from proctui.tui.options import Options
from proctui.tui.screens.main import MainScreen
from proctui.tui.widgets.line_view import KEPT
from proctui.tui.widgets.process_tree import MANY
from tests.tui.driving import NEVER, dashboard
from tests.tui.fakes import DEMO, Fake, crowd, demo_watch

HOSTILE = (
    "[/oops]",
    "[bold]x[/]",
    "[@click=app.quit]click[/]",
    "$(reboot)",
    "a" * 4000,
    "名前" * 300,
    "e\u0301\u0301\u0301",
    "🏳️‍🌈🎉",
    "\\",
    "",
    " ",
    "{}%s%d",
    "]]]]",
)


async def test_hostile_names_are_shown_literally_and_break_nothing() -> None:
    hostile = tuple(
        Fake(3000 + at, 1000, name, cmdline=(name, name), evidence=(name or "?",), user=name)
        for at, name in enumerate(HOSTILE)
    )
    watch = demo_watch(fakes=(*DEMO, *hostile))
    async with dashboard(watch, size=(160, 60)) as drive:
        assert "[@click=app.quit]" in drive.text()
        for fake in hostile[:7]:
            drive.main.processes.move_to(drive.pids().index(fake.pid))
            await drive.press("enter", "escape", "f9")
            await drive.settle()
            assert f"{fake.pid}:{fake.pid + 1_000_000}" in drive.text()
            if fake.name.startswith("["):
                assert fake.name in drive.text()
            await drive.press("escape")
        await drive.press("colon", *"300")
        await drive.settle()
        await drive.press("escape")
        assert isinstance(drive.app.screen, MainScreen)


async def test_a_hostile_label_of_the_session() -> None:
    from tests.tui.fakes import FakeWatch, session

    async with dashboard(FakeWatch(session=session("[/oops] [red]"))) as drive:
        assert "[/oops] [red]" in drive.screen_text()[0]


async def test_a_resize_storm() -> None:
    sizes = random.Random(7)
    async with dashboard() as drive:
        for _ in range(25):
            await drive.pilot.resize_terminal(sizes.randint(1, 220), sizes.randint(1, 60))
            await drive.press(sizes.choice(["tab", "j", "z", "t", "end", "m", "right"]))
            await drive.tick()
        await drive.pilot.resize_terminal(200, 50)
        await drive.press("escape", "escape", "escape")
        await drive.tick()
        assert isinstance(drive.app.screen, MainScreen)
        assert "pytest -n 4 tests" in drive.screen_text()[0]


async def test_five_hundred_births_a_look() -> None:
    watch = demo_watch()
    async with dashboard(watch) as drive:
        for round_ in range(6):
            young = tuple(
                Fake(20_000 + 600 * round_ + at, 1001, f"child{at}", cpu=1.0) for at in range(500)
            )
            watch.fakes = DEMO + young
            await drive.tick()
            await drive.press("j", "P" if round_ % 2 else "t")
            assert len(drive.pids()) >= 500
        await drive.press("home")
        assert drive.main.processes.selected is not None


async def test_every_moment_of_the_past_of_a_storm_can_be_shown() -> None:
    watch = demo_watch()
    async with dashboard(watch) as drive:
        for round_ in range(8):
            watch.fakes = [f for f in watch.fakes if f.pid < 9000] + [
                Fake(9000 + 10 * round_ + at, 1001, "short") for at in range(5)
            ]
            if round_ == 5:
                watch.end(1002)
            await drive.tick()
        for _ in range(9):
            await drive.press("left_square_bracket")
        assert 1002 in drive.pids()


async def test_a_look_paints_only_what_changed() -> None:
    async with dashboard() as drive:
        await drive.tick(25)
        tree = drive.main.processes
        before = tree.painted_lines
        drive.watch.interval = 0.0
        await drive.tick()
        assert tree.painted_lines == before, "nothing changed, nothing is painted"
        drive.watch.change(1003, cpu=3.0)
        await drive.tick()
        assert tree.painted_lines == before + 1
        await drive.tick(5)
        assert tree.painted_lines - before <= 2 + 5, "its history moves on, others rest"


async def test_a_look_never_asks_for_a_layout() -> None:
    async with dashboard() as drive:
        await drive.tick(3)
        main = drive.main
        calls: list[object] = []
        original = main._refresh_layout
        main._refresh_layout = lambda *a, **k: (calls.append(a), original(*a, **k))[1]  # type: ignore[method-assign,assignment]
        watch = drive.watch
        for at in range(5):
            watch.change(1001, cpu=float(at))
            watch.fakes = [*watch.fakes, Fake(4000 + at, 1001, "born")]
            await drive.tick()
        assert calls == []


async def test_ten_thousand_processes_build_only_visible_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from proctui.tui.widgets import process_tree

    async with dashboard(demo_watch(fakes=crowd(10_000))) as drive:
        await drive.press("m")
        built = 0
        original = process_tree.row

        def counted(*arguments: object, **options: object) -> object:
            nonlocal built
            built += 1
            return original(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(process_tree, "row", counted)
        await drive.tick()
        assert 0 < built < 100
        assert len(drive.pids()) == 10_000 + len(DEMO)
        outline = drive.main.processes.outline
        builds = outline.builds
        await drive.press("pagedown", "end", "home")
        assert outline.builds == builds, "moving builds no lines"


async def test_a_burst_of_looks_is_shown_once() -> None:
    async with dashboard() as drive:
        shown = 0
        original = drive.main.show_panes

        def counted(view: object) -> None:
            nonlocal shown
            shown += 1
            original(view)  # type: ignore[arg-type]

        drive.main.show_panes = counted  # type: ignore[method-assign,assignment]
        for _ in range(50):
            drive.main.post_message(Tick(drive.watch.tick(), slowed=1))
        await drive.pilot.pause()
        assert shown < 25


async def test_a_look_that_fails_is_told_and_the_next_one_heals() -> None:
    watch = demo_watch()
    feed = Feed(watch, 0.01)
    seen: list[Tick] = []

    looks = 0
    original = watch.tick
    came = asyncio.Event()

    def sometimes() -> object:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise OSError("proc is gone")
        assert feed.trouble is not None and "proc is gone" in feed.trouble
        return original()

    watch.tick = sometimes  # type: ignore[method-assign,assignment]

    def deliver(tick: Tick) -> None:
        seen.append(tick)
        came.set()

    task = asyncio.ensure_future(feed.run(deliver))
    await asyncio.wait_for(came.wait(), 30)
    assert feed.trouble is None and seen
    task.cancel()


async def test_the_first_look_is_given_at_once_and_not_delivered_again() -> None:
    watch = demo_watch()
    feed = Feed(watch, 0.01)
    view = feed.first()
    assert view is watch.last
    later: asyncio.Queue[Tick] = asyncio.Queue()
    task = asyncio.ensure_future(feed.run(later.put_nowait))
    second = await asyncio.wait_for(later.get(), 30)
    task.cancel()
    assert second.view is not view and watch.ticks == 2


@pytest.mark.parametrize("trouble", [False, True])
async def test_a_first_look_that_takes_its_time_holds_up_no_frame(
    monkeypatch: pytest.MonkeyPatch, trouble: bool
) -> None:
    monkeypatch.setattr("proctui.tui.feed.PATIENCE", 0.0)
    watch = demo_watch()
    feed = Feed(watch, 0.01)
    go = threading.Event()
    original = watch.tick

    def slow() -> object:
        assert go.wait(30)
        watch.tick = original  # type: ignore[method-assign]
        if trouble:
            raise OSError("proc is gone")
        return original()

    watch.tick = slow  # type: ignore[method-assign,assignment]
    assert feed.first() is None
    later: asyncio.Queue[Tick] = asyncio.Queue()
    task = asyncio.ensure_future(feed.run(later.put_nowait))
    go.set()
    first = await asyncio.wait_for(later.get(), 30)
    task.cancel()
    assert first.view.snapshot.tick == 1


async def test_all_panes_are_full_when_the_screen_is_painted_first() -> None:
    painted: list[str] = []

    class Watched(ProctuiApp):
        def _display(self, screen: Any, renderable: Any) -> None:
            if not painted and self.main.size:
                strips = self.main._compositor.render_strips()
                painted.append("\n".join(strip.text for strip in strips))
            super()._display(screen, renderable)

    app = Watched(Options(watch=demo_watch(), interval=NEVER))
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
    for shown in ("pytest -n 4 tests", "PID   CPU%", "of 2 cores", "because", "Inspector  pytest"):
        assert shown in painted[0], painted[0]


async def test_work_beside_the_loop_gives_results_and_errors() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ValueError, match="no"):
        await in_thread(int, "no")


async def test_the_machine_without_any_session_shows_hostile_and_kernel_processes() -> None:
    fakes = (Fake(2, 0, "kthreadd", Role.PROTECTED, rss=0), Fake(3, 2, "rcu_gp", Role.PROTECTED))
    from tests.tui.fakes import FakeWatch

    async with dashboard(FakeWatch(fakes=fakes)) as drive:
        assert drive.names() == ["kthreadd", "rcu_gp"]


async def test_a_resize_that_rests_after_the_end_draws_nothing() -> None:
    async with dashboard() as drive:
        app = drive.app
        app.on_resize(events.Resize(app.size, app.size))
    app._draw_anew()


async def test_what_is_known_of_the_dead_does_not_grow_for_ever() -> None:
    async with dashboard() as drive:
        tree = drive.main.processes
        for look in range(60):
            born = range(30_000 + 20 * look, 30_020 + 20 * look)
            drive.watch.fakes = [
                *DEMO,
                *(Fake(pid, 1001, "job", cmdline=("python", f"step{pid}.py")) for pid in born),
            ]
            await drive.tick()
        assert len(tree._labels) <= 2 * len(tree.outline.lines) + MANY + 20
        assert len(tree.names) <= len(tree._labels)
        assert len(tree._strips) <= KEPT * tree.size.height
