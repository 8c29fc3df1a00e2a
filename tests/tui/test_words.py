"""News, stacks and verdicts as lines, the inspector's facts: values in, words out."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from proctui.config import Alerts
from proctui.machine.details import inspect
from proctui.machine.history import History
from proctui.tui import facts
from proctui.tui.machine_lines import core_lines, machine_lines
from proctui.tui.news import Newsroom
from proctui.tui.past import view_at
from proctui.tui.stack_lines import hang_dump, merged_dump, trace_dump
from proctui.tui.start import say
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import Runs
from proctui.tui.widgets.stack_pane import wrapped
from tests.support import running, wait_for
from tests.tui.driving import dashboard
from tests.tui.fakes import Fake, FakeWatch, demo_watch
from tests.tui.test_snapshots import thread, traces, verdicts


def plain(lines: list[Runs]) -> str:
    return "\n".join("".join(text for text, _style in line) for line in lines)


def told(watch: FakeWatch, alerts: Alerts, looks: int = 1) -> list[str]:
    room = Newsroom(alerts)
    room.take(watch.tick())
    found: list[str] = []
    for _ in range(looks):
        found += [news.text for news in room.take(watch.tick())]
    return found


def test_the_first_look_is_no_news() -> None:
    assert Newsroom(Alerts()).take(demo_watch().tick()) == []


def test_a_stray_and_a_crash_are_news() -> None:
    watch = demo_watch()
    room = Newsroom(Alerts())
    room.take(watch.tick())
    watch.change(1003, stray=True)
    watch.end(1002, exit=-11)
    watch.end(1011, exit=0)
    news = {one.text: one for one in room.take(watch.tick())}
    assert any("1003 left the job's tree" in text and one.loud for text, one in news.items())
    assert any("1002 ended: SIGSEGV" in text and not one.loud for text, one in news.items())
    assert not any("1011" in text for text in news)
    assert room.take(watch.tick()) == [], "told once"


def test_strays_may_be_silent() -> None:
    watch = demo_watch()
    room = Newsroom(Alerts(strays=False))
    room.take(watch.tick())
    watch.change(1003, stray=True)
    assert [one.loud for one in room.take(watch.tick())] == [False]


def test_cpu_is_an_alert_after_three_looks_and_only_once() -> None:
    watch = demo_watch()
    assert told(watch, Alerts(cpu=100), 2) != []
    assert len(told(demo_watch(), Alerts(cpu=100), 9)) == 1
    assert told(demo_watch(), Alerts(cpu=900), 9) == []


def test_growth_is_an_alert() -> None:
    watch = demo_watch()
    room = Newsroom(Alerts(memory_mb_per_minute=60))
    found = []
    for at in range(30):
        watch.change(1001, rss=(100 + 5 * at) << 20)
        found += room.take(watch.tick())
    assert len(found) == 1 and "grew by" in found[0].text


def test_one_stack_says_that_nobody_was_paused() -> None:
    dump = trace_dump(traces()[0], "python3")
    assert dump.headline == "python3 1003 · 2 threads · py-spy, never paused"
    assert "waiting for a lock" in plain([block.title for block in dump.blocks])


def test_what_could_not_be_read_is_told_with_its_hint() -> None:
    trace = {
        **traces()[0],
        "warnings": ["state D: no tracer was started"],
        "error": {"kind": "permission-denied", "message": "no", "hint": "run it as root"},
    }
    assert trace_dump(trace, "x").notes == (
        "state D: no tracer was started",
        "1003: no. run it as root",
    )


def test_identical_stacks_are_one_block() -> None:
    dump = merged_dump(traces(), 5)
    assert dump.headline == "5 threads of 4 processes (of 5 asked) · 3 different stacks"
    assert plain([dump.blocks[0].title]).startswith("3 threads in 3 processes")


def test_verdicts_come_with_the_worst_first_and_their_cycle() -> None:
    found = verdicts()
    found["verdicts"].reverse()
    dump = hang_dump(found)
    titles = [plain([block.title]) for block in dump.blocks]
    assert titles[0].endswith("DEADLOCK, proven") and titles[1].endswith("running")
    assert "1003 → 1103 → 1003" in plain([row.runs for row in dump.blocks[0].rows])


def test_one_of_a_kind_is_called_one_and_an_unless_is_told_once() -> None:
    found = verdicts()
    evidence = ["waits for a lock", "unless a handler releases it"]
    row = {**found["verdicts"][0], "evidence": evidence, "unless": ["a handler releases it"]}
    dump = hang_dump({**found, "verdicts": [row]})
    assert dump.headline.startswith("1 process · ")
    assert plain([row.runs for row in dump.blocks[0].rows]).count("releases it") == 1
    assert merged_dump(traces()[:1], 1).headline.startswith("2 threads of 1 process · ")


async def test_dumps_are_kept_and_what_changed_is_marked() -> None:
    async with dashboard() as drive:
        pane = drive.main.stack
        pane.show(merged_dump(traces(), 4))
        moved: list[dict[str, Any]] = traces()
        moved[0]["threads"][0] = thread(1003, "MainThread", "", ("other", "/srv/app/x.py", 3))
        # What answers another question in between has not changed anything.
        pane.show(hang_dump(verdicts()))
        await drive.pilot.pause()
        assert "changed" not in drive.text()
        pane.show(merged_dump(moved, 4))
        await drive.pilot.pause()
        assert drive.text().count("changed") == 1
        drive.main.activate("stack")
        await drive.press("less_than_sign")
        assert "2 of 3" in drive.text()
        await drive.press("greater_than_sign", "asterisk")
        assert "next_job" not in drive.text()
        await drive.press("asterisk", "down", "enter")
        assert "3 of 3" in drive.text()


def test_prose_is_wrapped_under_itself() -> None:
    lines = wrapped((("    ", ""), ("word " * 20, "quiet")), 40)
    assert len(lines) > 2
    assert all(len("".join(text for text, _ in line)) <= 40 for line in lines)
    assert all(line[0][0] == "    " for line in lines)


@pytest.mark.parametrize("tab", list(facts.TABS))
@pytest.mark.parametrize("details", [None, {}, {"denied": ["environ"]}, {"trouble": "gone"}])
def test_every_tab_stands_whatever_is_known(tab: str, details: dict[str, Any] | None) -> None:
    view = demo_watch().tick()
    proc = view.proc(1001)
    assert proc is not None
    assert facts.lines(tab, view, proc, details, 60)


def test_details_in_their_tabs() -> None:
    view = demo_watch().tick()
    proc = view.proc(1001)
    assert proc is not None
    with running(["sleep", "60"], env={"PATH": os.environ["PATH"], "COLOUR": "blue"}) as child:
        wait_for(lambda: "sleep" in Path(f"/proc/{child.pid}/comm").read_text())
        details = inspect(child.pid, include_threads=True, include_files=True, pss=False)
    for tab, words in (
        ("threads", str(child.pid)),
        ("files", "/dev/null"),
        ("environment", "COLOUR blue"),
        ("limits", "nofile"),
    ):
        assert words in plain(facts.lines(tab, view, proc, details, 70))


def test_evidence_says_whether_it_may_be_killed() -> None:
    view = demo_watch().tick()
    for pid, words in (
        (1001, "may be signalled"),
        (710, "never signalled"),
        (1021, "once you confirm"),
    ):
        proc = view.proc(pid)
        assert proc is not None
        assert words in plain(facts.lines("evidence", view, proc, None, 80))


def test_the_past_is_rebuilt_from_the_history() -> None:
    watch = demo_watch()
    watch.tick()
    watch.fakes = [*watch.fakes, Fake(4000, 1001, "short", cpu=50.0)]
    watch.tick()
    watch.end(4000)
    now = watch.tick()
    history = watch.history
    assert isinstance(history, History)
    then = view_at(now, history, 1)
    assert then.proc(4000) is not None and 4000 in then.job
    assert view_at(now, history, 0).proc(4000) is None
    assert then.proc(1001) is not None
    assert then.children[1001] == (1010, 4000)


def test_a_roomy_graph_tells_of_cores_disk_and_net() -> None:
    watch = demo_watch()
    view = watch.tick()
    assert "core 0" in plain(core_lines(view, 80))
    many = view.snapshot.system._replace(
        cpu=view.snapshot.system.cpu._replace(per_core=(50.0,) * 128)
    )
    crowded = view._replace(snapshot=view.snapshot._replace(system=many))
    assert len(core_lines(crowded, 100)) <= 9
    text = plain(machine_lines(view, Trends(watch.history), 80))
    assert "disk read" in text and "net out" in text and "swap" in text


def test_a_last_word_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing its window ends the dashboard too: what it says then is for nobody, and no crash."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("sys.stderr", Closed())
    say("the job goes on")
