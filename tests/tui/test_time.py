"""The graphs and the time cursor: what they show, and that every pane shows the same moment."""

from __future__ import annotations

import pytest

from proctui.tui.marks import Chronicle
from proctui.tui.plot import Scale
from proctui.tui.trends import Trends
from tests.tui.driving import dashboard
from tests.tui.fakes import DEMO, demo_watch


async def test_a_graph_shows_more_or_less_time() -> None:
    async with dashboard() as drive:
        await drive.press("tab", "minus")
        assert drive.main.span == 300
        assert "-5m" in drive.text()
        await drive.press("plus", "plus", "plus")
        assert drive.main.span == 60
        await drive.press(*["minus"] * 9)
        assert "-1h" in drive.text()
        await drive.press("z")
        assert "core 1" in drive.text()


async def test_what_happened_is_marked_below_the_graphs_and_stays_there() -> None:
    async with dashboard() as drive:
        await drive.tick(4)
        drive.watch.end(1002, exit=-11)
        await drive.tick(7)

        def axis() -> str:
            return next(line[126:] for line in drive.screen_text() if "-2m" in line)

        assert "×" in axis()
        await drive.press(*["left_square_bracket"] * 9)
        assert "×" in axis(), "the graphs rest while the time cursor moves through them"


async def test_the_time_cursor_jumps_from_trouble_to_trouble() -> None:
    async with dashboard() as drive:
        await drive.tick(4)
        drive.watch.end(1002, exit=-11)
        await drive.tick(3)
        died = drive.main.trends.end - 2
        drive.watch.end(1003, exit=1)
        await drive.tick(3)
        await drive.press("left_curly_bracket", "left_curly_bracket")
        assert drive.main.moment == died
        await drive.press("right_curly_bracket")
        assert drive.main.moment == died + 3
        await drive.press("right_curly_bracket")
        assert drive.main.moment == died + 3, "there is none after it"


async def test_want_of_memory_is_told_in_the_tree_and_at_the_end() -> None:
    async with dashboard() as drive:
        drive.watch.end(1003, exit=-9, oom=True)
        await drive.tick()
        assert "SIGKILL out of memory" in drive.text()
        drive.watch.end(1000, exit=-9, oom=True)
        drive.watch.leader_alive = False
        await drive.tick()
        assert any("no memory left" in told.message for told in drive.app._notifications)


async def test_a_click_on_a_graph_shows_that_moment() -> None:
    async with dashboard() as drive:
        await drive.tick(20)
        width = drive.main.cpu.size.width
        await drive.pilot.click("#cpu", offset=(width - 4, 3))
        moment = drive.main.moment
        assert moment is not None and drive.main.trends.end - 8 < moment < drive.main.trends.end
        assert "│" in "".join(line[126:] for line in drive.screen_text()[2:9])
        await drive.press("escape")
        assert not drive.main.in_past


async def test_the_graphs_of_a_process_and_all_below_it() -> None:
    async with dashboard() as drive:
        await drive.tick(3)
        await drive.press("g")
        assert drive.main.subtree is not None
        assert "it alone" in drive.text() and "CPU  pytest 1000" in drive.text()
        own = drive.main.subtree.own["cpu"]
        whole = drive.main.subtree.whole["cpu"]
        expected = sum(fake.cpu or 0.0 for fake in DEMO if fake.pid >= 1000)
        assert own.window(0, own.count - 1)[-1] == pytest.approx(12.5)
        assert whole.at(whole.count - 1) == pytest.approx(expected)
        await drive.tick(2)
        assert whole.count == drive.main.trends.end + 1
        await drive.press("g")
        assert drive.main.subtree is None and "machine" in drive.text()


def test_marks_follow_the_zoom() -> None:
    watch = demo_watch()
    for _ in range(40):
        watch.tick()
    chronicle = Chronicle()
    for index, kind in ((0, "born"), (37, "hung"), (37, "died"), (39, "stray")):
        chronicle.note(index, kind)
    trends = Trends(watch.history, chronicle=chronicle)
    assert trends.marks(Scale(2), 0, 19) == {19: "stray", 18: "hung", 0: "born"}
    assert trends.marks(Scale(20), 0, 1) == {1: "hung", 0: "born"}
    assert trends.marks(Scale(2), 10, 18) == {18: "hung"}
