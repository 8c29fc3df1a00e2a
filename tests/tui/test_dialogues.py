"""The kill dialogue, adopting, quitting: what a person is shown before anything happens."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Button, Input

from proctui.killing.plan import Plan
from proctui.killing.report import Report, Result
from proctui.model import Identity
from proctui.tui import guard as guards
from proctui.tui.screens.kill import KillScreen
from proctui.tui.screens.main import MainScreen
from proctui.tui.screens.quit import QuitScreen
from tests.tui.driving import Drive, dashboard
from tests.tui.fakes import FakeWatch, demo_watch, session


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, str]]:
    """Plans that would have been executed; nothing is ever signalled."""
    done: list[tuple[Plan, str]] = []

    async def execute(
        self: guards.Guard, plan: Plan, signal: str, progress: object = None
    ) -> Report:
        done.append((plan, signal))
        results = tuple(
            Result(one.pid, one.identity, one.name, "exited", None, signal, None)
            for one in plan.targets
        )
        return Report(plan, 15, results, None)

    monkeypatch.setattr(guards.Guard, "execute", execute)
    return done


async def opened(drive: Drive, *keys: str) -> KillScreen:
    await drive.press(*keys)
    await drive.settle()
    screen = drive.app.screen
    assert isinstance(screen, KillScreen)
    return screen


def button(screen: KillScreen, name: str) -> Button:
    return screen.query_one(f"#{name}", Button)


@pytest.mark.parametrize("key", ["f9", "K"])
async def test_it_opens_on_cancel_and_term(key: str, carried_out: list[Any]) -> None:
    async with dashboard() as drive:
        screen = await opened(drive, key)
        assert drive.app.focused is button(screen, "cancel")
        assert "signal TERM" in drive.text()
        assert "1000:1001000" in drive.text()
        assert "the command proctui started" in drive.text()
        await drive.press("enter")
        assert isinstance(drive.app.screen, MainScreen)
        assert carried_out == []


async def test_tab_and_enter_kill_exactly_the_plan(carried_out: list[tuple[Plan, str]]) -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "j", "f9")
        await drive.press("tab")
        assert drive.app.focused is button(screen, "kill")
        await drive.press("enter")
        await drive.settle()
        [(plan, signal)] = carried_out
        assert [str(one.identity) for one in plan.targets] == ["1001:1001001"]
        assert signal == "TERM"


async def test_escape_cancels(carried_out: list[Any]) -> None:
    async with dashboard() as drive:
        await opened(drive, "f9")
        await drive.press("escape")
        assert isinstance(drive.app.screen, MainScreen)
        assert carried_out == []


async def test_a_refused_target_has_its_reason_and_no_kill_button(carried_out: list[Any]) -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "home", "f9")
        assert not button(screen, "kill").display
        text = drive.text()
        assert "Refused" in text and "710:1000710" in text and "ancestor" in text
        await drive.press("tab", "enter", "enter")
        assert carried_out == []


async def test_the_signal_is_term_again_whatever_was_sent_last(
    carried_out: list[tuple[Plan, str]],
) -> None:
    async with dashboard() as drive:
        await opened(drive, "f9")
        await drive.press("s", "s", "s", "s")
        assert "signal KILL" in drive.text()
        await drive.press("tab", "enter")
        await drive.settle()
        assert carried_out[0][1] == "KILL"
        screen = await opened(drive, "f9")
        assert screen.signal == "TERM"
        assert "signal TERM" in drive.text()


async def test_a_tree_skips_who_is_only_likely_and_lists_everybody() -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "f9")
        await drive.press("t")
        await drive.settle()
        assert screen.plan is not None
        assert {one.pid for one in screen.plan.targets} == {
            1000, 1001, 1002, 1003, 1010, 1011, 1020,
        }  # fmt: skip
        assert {one.pid for one in screen.plan.refused} == {1021}
        assert "1021:1001021" in drive.text()
        assert drive.app.focused is button(screen, "cancel")


async def test_a_likely_one_is_marked_and_may_be_confirmed_by_name() -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "end", "f9")
        assert screen.plan is not None and screen.plan.targets[0].pid == 1021
        assert "only likely" in drive.text()


async def test_tagged_ones_are_planned_together(carried_out: list[tuple[Plan, str]]) -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "j", "space", "space", "f9")
        assert screen.plan is not None
        assert [one.pid for one in screen.plan.targets] == [1001, 1010]
        await drive.press("tab", "enter")
        await drive.settle()
        assert drive.main.processes.tags == set()


async def test_strays_are_planned_without_the_likely_ones() -> None:
    async with dashboard() as drive:
        screen = await opened(drive, "e")
        assert screen.plan is not None
        assert [one.pid for one in screen.plan.targets] == [1020]


async def test_a_refresh_does_not_turn_the_plan_to_another(
    carried_out: list[tuple[Plan, str]],
) -> None:
    async with dashboard() as drive:
        await opened(drive, "j", "f9")
        drive.watch.end(1001)
        drive.watch.end(1000)
        await drive.tick(2)
        await drive.press("tab", "enter")
        await drive.settle()
        assert [one.identity.pid for one in carried_out[0][0].targets] == [1001]


async def test_without_a_session_it_says_how_to_get_one() -> None:
    async with dashboard(FakeWatch()) as drive:
        screen = await opened(drive, "f9")
        assert not button(screen, "kill").display
        assert "proctui run" in drive.text()


async def test_read_only_opens_no_dialogue() -> None:
    async with dashboard(read_only=True) as drive:
        await drive.press("f9")
        await drive.press("K")
        assert isinstance(drive.app.screen, MainScreen)


async def test_a_baseline_process_may_be_adopted_by_typing_its_pid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Identity] = []

    async def adopt(self: guards.Guard, identity: Identity) -> str:
        asked.append(identity)
        return "adopted by ada at 10:02:11"

    monkeypatch.setattr(guards.Guard, "adopt", adopt)
    async with dashboard(FakeWatch(session=session(uid=1000))) as drive:
        await drive.press("m")
        at = drive.pids().index(810)
        drive.main.processes.move_to(at)
        screen = await opened(drive, "f9")
        field = screen.query_one("#adopt", Input)
        assert field.display
        assert "810" in field.placeholder
        assert drive.app.focused is button(screen, "cancel")
        field.focus()
        await drive.press(*"811", "enter")
        await drive.settle()
        assert asked == [] and "nothing was adopted" in drive.text()
        field.value = ""
        await drive.press(*"810", "enter")
        await drive.settle()
        assert [identity.pid for identity in asked] == [810]


@pytest.mark.parametrize("pid", [700, 900, 1])
async def test_ancestors_self_and_protected_are_never_offered_for_adoption(pid: int) -> None:
    async with dashboard() as drive:
        await drive.press("m")
        drive.main.processes.move_to(drive.pids().index(pid))
        screen = await opened(drive, "f9")
        assert not screen.query_one("#adopt", Input).display
        assert not button(screen, "kill").display


async def test_the_toast_tells_outcome_and_audit(
    carried_out: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard() as drive:
        said: list[str] = []
        monkeypatch.setattr(drive.main, "say", lambda message, **_options: said.append(message))
        await opened(drive, "f9")
        await drive.press("tab", "enter")
        await drive.settle()
        assert "1 ended" in said[-1] and "audit" in said[-1]


class FakeJob:
    """The handle of a job that ``run`` started."""

    session_id = "ab" * 16
    capture: dict[str, Any] = {}
    hang: dict[str, Any] | None = None

    def __init__(self) -> None:
        self.code: int | None = None
        self.ended = 0

    def poll(self) -> int | None:
        return self.code

    def status(self) -> dict[str, Any]:
        return {}

    def resize(self, columns: int, rows: int) -> None:
        return

    def end(self) -> dict[str, Any]:
        self.ended += 1
        return {"done": True}


async def test_leaving_a_living_job_asks_and_keeps_by_default() -> None:
    job = FakeJob()
    async with dashboard(job=job) as drive:
        await drive.press("q")
        screen = drive.app.screen
        assert isinstance(screen, QuitScreen)
        assert drive.app.focused is screen.query_one("#keep")
        await drive.press("enter")
        assert drive.app.return_value == 0
    assert job.ended == 0


async def test_escape_stays_and_end_ends() -> None:
    job = FakeJob()
    async with dashboard(job=job) as drive:
        await drive.press("q", "escape")
        assert isinstance(drive.app.screen, MainScreen)
        await drive.press("q", "tab", "enter")
        await drive.settle()
        assert drive.app.return_value == 0
    assert job.ended == 1


@pytest.mark.parametrize(("policy", "ended"), [("keep", 0), ("end", 1)])
async def test_on_quit_answers_for_it(policy: str, ended: int) -> None:
    job = FakeJob()
    async with dashboard(job=job, on_quit=policy) as drive:
        await drive.press("q")
        await drive.settle()
        assert drive.app.return_value == 0
    assert job.ended == ended


async def test_the_end_of_the_job_is_told_with_its_status() -> None:
    job = FakeJob()
    async with dashboard(job=job) as drive:
        job.code = 3
        drive.watch.leader_alive = False
        await drive.tick()
        assert "exit 3" in drive.screen_text()[0]
        job.code = 143
        await drive.tick()
        assert "SIGTERM" in drive.screen_text()[0]
        await drive.press("q")
        assert drive.app.return_value == 0


async def test_what_the_watchdog_found_is_shown_until_the_job_gets_on_again() -> None:
    job = FakeJob()
    async with dashboard(job=job) as drive:
        assert drive.main.live is not None
        hung = drive.main.live.identity(1003)
        job.hang = {
            "verdicts": [
                {
                    "pid": 1003,
                    "identity": str(hung),
                    "name": "worker",
                    "label": None,
                    "verdict": "deadlock-proven",
                    "evidence": ["1003 waits for a lock that 1003 took"],
                    "cycle": [1003],
                    "unless": [],
                }
            ],
            "graph": [],
        }
        await drive.tick()
        assert set(drive.main.processes.hung.values()) == {"deadlock-proven"}
        assert "1003 waits for a lock that 1003 took" in drive.text()
        job.hang = None
        await drive.tick()
        assert drive.main.processes.hung == {}


async def test_several_sessions_give_a_list_to_pick_from() -> None:
    picked: list[str] = []

    def choose(chosen: str) -> FakeWatch:
        picked.append(chosen)
        return demo_watch()

    choices = (session("make check"), session("train.py", id="cd" * 16))
    async with dashboard(choices=choices, choose=choose) as drive:
        assert "train.py" in drive.text()
        await drive.press("down", "enter")
        await drive.tick()
        assert picked == ["cd" * 16]
        assert "pytest" in drive.names()


async def test_how_a_watched_job_ended_is_told_from_its_death_certificate() -> None:
    async with dashboard() as drive:
        drive.watch.end(1000, exit=-11)
        drive.watch.leader_alive = False
        await drive.tick()
        assert "exit 139 SIGSEGV" in drive.screen_text()[0]
