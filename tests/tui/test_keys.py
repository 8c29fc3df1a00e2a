"""Every key of the contract, pressed."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from proctui.config import Config
from proctui.tui.screens.choose import ChooseScreen
from proctui.tui.screens.help import HelpScreen
from proctui.tui.screens.main import MainScreen
from tests.tui.driving import Drive, dashboard
from tests.tui.fakes import FakeWatch, demo_watch


def selected(drive: Drive) -> int:
    identity = drive.main.processes.selected_identity()
    assert identity is not None
    return identity.pid


async def test_the_leader_is_selected_and_the_tree_has_the_keyboard() -> None:
    async with dashboard() as drive:
        assert selected(drive) == 1000
        assert drive.main.active == "processes"
        assert drive.app.focused is drive.main.processes


@pytest.mark.parametrize(("down", "up"), [("down", "up"), ("j", "k")])
async def test_moving_by_lines(down: str, up: str) -> None:
    async with dashboard() as drive:
        await drive.press(down)
        assert selected(drive) == 1001
        await drive.press(up, up)
        assert selected(drive) == 900
        assert isinstance(drive.app.screen, MainScreen), "k never kills"


async def test_moving_by_pages_and_to_the_ends() -> None:
    async with dashboard(size=(100, 20)) as drive:
        await drive.press("end")
        assert selected(drive) == 1021
        await drive.press("home")
        assert selected(drive) == 710
        await drive.press("pagedown")
        below = drive.main.processes.cursor
        assert below > 1
        await drive.press("pageup")
        assert drive.main.processes.cursor == 0


async def test_search_finds_goes_on_and_back() -> None:
    async with dashboard() as drive:
        await drive.press("slash", *"python", "enter")
        assert drive.main.active == "processes"
        assert drive.app.focused is drive.main.processes
        first = selected(drive)
        await drive.press("n")
        second = selected(drive)
        assert first != second
        await drive.press("N")
        assert selected(drive) == first


async def test_search_is_undone_by_escape() -> None:
    async with dashboard() as drive:
        await drive.press("f3", *"chrome")
        assert selected(drive) == 1020
        await drive.press("escape")
        assert selected(drive) == 1000
        assert not drive.main.prompt.display


async def test_filter_shows_what_matches_while_it_is_typed() -> None:
    async with dashboard() as drive:
        await drive.press("backslash", *"is:stray")
        assert 1003 not in drive.pids() and 1020 in drive.pids()
        await drive.press("enter")
        assert drive.app.focused is drive.main.processes
        assert "only is:stray" in drive.text()
        await drive.press("escape")
        assert 1003 in drive.pids()


async def test_filter_is_undone_by_escape_and_says_what_is_wrong() -> None:
    async with dashboard() as drive:
        await drive.press("f4", *"cpu>x")
        assert "no number" in drive.text()
        await drive.press("escape")
        assert 1003 in drive.pids()
        assert drive.app.focused is drive.main.processes


@pytest.mark.parametrize("key", ["t", "f5"])
async def test_tree_or_flat(key: str) -> None:
    async with dashboard() as drive:
        await drive.press(key)
        assert not drive.main.processes.outline.options.tree
        assert all(not line.guide for line in drive.main.processes.outline.lines)
        await drive.press(key)
        assert drive.main.processes.outline.options.tree


async def test_folding() -> None:
    async with dashboard() as drive:
        await drive.press("j", "minus")
        assert 1010 not in drive.pids()
        assert "Σ" in drive.text()
        await drive.press("plus")
        assert 1010 in drive.pids()
        await drive.press("asterisk")
        assert len(drive.pids()) < 5
        await drive.press("asterisk")
        assert 1011 in drive.pids()


async def test_arrows_fold_and_unfold() -> None:
    async with dashboard() as drive:
        await drive.press("j", "left")
        assert 1010 not in drive.pids()
        await drive.press("right")
        assert 1010 in drive.pids()
        await drive.press("j", "left")
        await drive.press("left")
        assert selected(drive) == 1001, "left on a folded one goes to its parent"


async def test_folding_over_the_selection_selects_the_fold() -> None:
    async with dashboard() as drive:
        await drive.press("j", "j", "j")
        assert selected(drive) == 1011
        await drive.press("asterisk")
        assert drive.main.processes.selected is not None
        assert selected(drive) in drive.pids()


async def test_tags() -> None:
    async with dashboard() as drive:
        await drive.press("j", "space")
        tree = drive.main.processes
        assert {key[1] for key in tree.tags} == {1001}
        assert selected(drive) == 1010, "tagging moves on"
        await drive.press("k", "c")
        assert tree.tags == set(), "a tagged subtree is untagged"
        await drive.press("c")
        assert {key[1] for key in tree.tags} == {1001, 1010, 1011}
        assert [identity.pid for identity in tree.targets()] == [1001, 1010, 1011]
        await drive.press("U")
        assert tree.tags == set()


@pytest.mark.parametrize(
    ("key", "sort"), [("P", "cpu"), ("M", "memory"), ("T", "time"), ("I", "start")]
)
async def test_sorting_by_one_key(key: str, sort: str) -> None:
    async with dashboard() as drive:
        await drive.press(key)
        options = drive.main.processes.outline.options
        assert options.sort == sort
        assert options.inverted is (key == "I")


async def test_sorting_step_by_step_and_from_a_list() -> None:
    async with dashboard() as drive:
        await drive.press("greater_than_sign")
        assert drive.main.processes.outline.options.sort == "pid"
        await drive.press("less_than_sign")
        assert drive.main.processes.outline.options.sort == "start"
        await drive.press("f6")
        assert isinstance(drive.app.screen, ChooseScreen)
        await drive.press("down", "down", "down", "enter")
        assert drive.main.processes.outline.options.sort == "cpu"
        assert "by CPU" in drive.text()


async def test_the_machine_and_back() -> None:
    async with dashboard() as drive:
        assert "postgres" not in drive.names()
        await drive.press("m")
        assert "postgres" in drive.names()
        await drive.press("m")
        assert "postgres" not in drive.names()


async def test_enter_inspects_and_escape_comes_back() -> None:
    async with dashboard() as drive:
        await drive.press("enter")
        assert drive.main.active == "inspector"
        await drive.press("escape")
        assert drive.main.active == "processes"


async def test_the_inspector_has_tabs() -> None:
    async with dashboard() as drive:
        await drive.press("enter", "right")
        assert drive.main.inspector.tab == "threads"
        await drive.press("left", "left")
        assert drive.main.inspector.tab == "evidence"
        assert "the command proctui started" in drive.text()


async def test_threads_opens_their_tab() -> None:
    async with dashboard() as drive:
        await drive.press("H")
        assert (drive.main.active, drive.main.inspector.tab) == ("inspector", "threads")


async def test_tab_goes_through_all_panes_and_back() -> None:
    async with dashboard() as drive:
        seen = []
        for _ in range(6):
            seen.append(drive.main.active)
            await drive.press("tab")
        assert seen == ["processes", "cpu", "memory", "inspector", "stack", "log"]
        assert drive.main.active == "processes"
        await drive.press("shift+tab")
        assert drive.main.active == "log"


async def test_zoom_gives_a_pane_the_screen() -> None:
    async with dashboard() as drive:
        await drive.press("tab", "z")
        assert drive.main.cpu.size.width >= 199
        assert drive.main.processes.size.height == 0 or "Processes" not in drive.text()
        await drive.press("z")
        assert drive.main.cpu.size.width < 120
        await drive.press("z", "escape")
        assert not drive.main.body.panes.zoomed


async def test_pause_holds_the_screen_and_lets_go() -> None:
    async with dashboard() as drive:
        await drive.press("Z")
        drive.watch.change(1001, cpu=3.25)
        await drive.tick()
        assert "97.3" in drive.text()
        assert "paused" in drive.text()
        await drive.press("Z")
        assert "97.3" not in drive.text()


async def test_follow_keeps_the_selection_in_sight() -> None:
    async with dashboard(size=(100, 20)) as drive:
        await drive.press("F")
        assert drive.main.processes.follow
        await drive.press("P")
        tree = drive.main.processes
        assert tree.top <= tree.cursor < tree.top + tree.page


async def test_the_time_cursor_steps_back_forth_and_home() -> None:
    async with dashboard() as drive:
        drive.watch.change(1001, cpu=11.5)
        await drive.tick()
        drive.watch.change(1001, cpu=22.5)
        await drive.tick()
        await drive.press("left_square_bracket")
        assert "11.5" in drive.text() and "22.5" not in drive.text()
        assert "s ago" in drive.text()
        drive.watch.change(1001, cpu=33.5)
        await drive.tick()
        assert "33.5" not in drive.text(), "the past stands still while time goes on"
        await drive.press("right_square_bracket")
        assert "22.5" in drive.text()
        await drive.press("escape")
        assert "33.5" in drive.text()
        assert not drive.main.in_past


async def test_the_past_shows_who_has_died_since() -> None:
    async with dashboard() as drive:
        await drive.tick()
        drive.watch.end(1003)
        await drive.tick()
        await drive.press("left_square_bracket")
        line = next(line for line in drive.main.processes.outline.lines if line.pid == 1003)
        assert line.tomb is None


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help(key: str) -> None:
    async with dashboard() as drive:
        await drive.press(key)
        assert isinstance(drive.app.screen, HelpScreen)
        assert "k never kills" in drive.text() or "What the marks mean" in drive.text()
        await drive.press("pagedown", "escape")
        assert isinstance(drive.app.screen, MainScreen)


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_the_command_palette_finds_actions_and_processes(key: str) -> None:
    async with dashboard() as drive:
        await drive.press(key)
        assert drive.app.screen is not drive.main
        await drive.press(*"chromedriver")
        await drive.settle()
        await drive.pilot.press("enter")
        await drive.pilot.pause()
        if not isinstance(drive.app.screen, MainScreen):
            await drive.press("enter")
        assert selected(drive) == 1020


async def test_redraw() -> None:
    async with dashboard() as drive:
        before = drive.text()
        await drive.press("ctrl+l")
        assert drive.text() == before


@pytest.mark.parametrize("key", ["q", "f10", "ctrl+q", "ctrl+c"])
async def test_leaving_a_mere_look_asks_nothing(key: str) -> None:
    async with dashboard() as drive:
        await drive.press(key)
        assert drive.app.return_value == 0


async def test_keys_can_be_remapped() -> None:
    config = Config(keys={"tree.flat": "x", "move.down": "ctrl+n"})
    async with dashboard(config=config) as drive:
        await drive.press("x")
        assert not drive.main.processes.outline.options.tree
        await drive.press("t")
        assert not drive.main.processes.outline.options.tree
        assert "x Tree/flat" in drive.text()


async def test_copy_puts_the_identity_on_the_clipboard() -> None:
    async with dashboard() as drive:
        await drive.press("y")
        assert drive.app.clipboard == "1000:1001000"


async def test_the_footer_follows_the_focus() -> None:
    async with dashboard() as drive:
        assert "Inspect" in drive.screen_text()[-1]
        await drive.press("tab")
        assert "Inspect" not in drive.screen_text()[-1]
        assert "Quit" in drive.screen_text()[-1]


async def test_mouse_selects_sorts_scrolls_and_inspects() -> None:
    async with dashboard() as drive:
        tree = drive.main.processes
        await drive.pilot.click(tree, offset=(10, 4))
        assert drive.main.processes.cursor == 2
        x = drive.screen_text()[2].index("CPU%")
        await drive.pilot.click(tree, offset=(x + 1, 1))
        assert tree.outline.options.sort == "cpu"
        await drive.pilot.click(tree, offset=(x + 1, 1))
        assert tree.outline.options.inverted
        await drive.pilot.click(tree, offset=(10, 4), times=2)
        await drive.pilot.pause()
        assert drive.main.active == "inspector"


async def test_clicking_a_key_of_the_footer_presses_it() -> None:
    async with dashboard() as drive:
        x = drive.screen_text()[-1].index("Help")
        await drive.pilot.click("#footer", offset=(x, 0))
        await drive.pilot.pause()
        assert isinstance(drive.app.screen, HelpScreen)


async def test_the_wheel_scrolls_without_moving_the_selection() -> None:
    async with dashboard(size=(100, 20)) as drive:
        tree = drive.main.processes
        before = (selected(drive), tree.top)
        tree.scroll_lines(3)
        assert selected(drive) == before[0]


async def test_without_a_session_the_header_says_that_it_only_looks() -> None:
    async with dashboard(FakeWatch()) as drive:
        assert "no job: looking only" in drive.screen_text()[0]
        assert "postgres" in drive.names()


async def test_the_selection_is_an_identity_and_never_slips() -> None:
    async with dashboard() as drive:
        await drive.press("j")
        drive.watch.end(1010)
        drive.watch.end(1011)
        await drive.tick()
        assert selected(drive) == 1001
        drive.watch.end(1001)
        await drive.tick()
        assert drive.main.processes.current() is not None, "its tomb stays selected"
        drive.watch.now += 60
        await drive.tick()
        assert drive.main.processes.selected is None, "and then nobody is"
        await drive.press("f9")
        assert isinstance(drive.app.screen, MainScreen)


async def test_a_pid_that_was_given_again_is_another_process() -> None:
    async with dashboard() as drive:
        await drive.press("j")
        key = drive.main.processes.selected
        drive.watch.end(1001)
        await drive.tick()
        other = next(fake for fake in demo_watch().fakes if fake.pid == 1001)

        class Again(type(other)):  # type: ignore[misc]
            @property
            def identity(self):  # type: ignore[no-untyped-def]
                return super().identity._replace(inode=77)

        drive.watch.fakes = [*drive.watch.fakes, Again(**vars(other))]
        await drive.tick()
        assert drive.main.processes.selected == key
        current = drive.main.processes.current()
        assert current is not None and current.tomb is not None


async def test_what_is_typed_right_behind_the_slash_is_searched_for() -> None:
    async with dashboard() as drive:
        for key, character in (("slash", "/"), ("q", "q"), ("full_stop", "."), ("z", "z")):
            drive.app.post_message(events.Key(key, character))
        await drive.pilot.pause()
        await drive.pilot.pause()
        assert drive.main.prompt.display
        assert drive.main.prompt.query_one(Input).value == "q.z"
        assert drive.app.screen is drive.main, "q opened no dialogue"
        await drive.press("escape", "z")
        assert not drive.main.prompt.display
