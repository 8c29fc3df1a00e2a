"""What a job offers to a dashboard, and what becomes of it when the dashboard is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.awareness import registry
from proctui.jobs.launch import attach
from tests.jobs.screen import on_screen
from tests.jobs.stage import directory, end_everything, ended, pid_of, session, status
from tests.support import alive, wait_for

FAKE_DASHBOARD = """
import os, sys, time
from proctui.jobs.launch import launch
from proctui.jobs.options import Options
job = launch(sys.argv[1:], Options(dashboard=True))
os.write(1, b"DRAWN")
while True:
    time.sleep(0.05)
    if job.poll() is not None:
        break
job.close()
os.write(1, b"LEFT %d" % job.poll())
"""


@pytest.fixture
def state(tmp_path: Path):
    yield tmp_path / "state"
    end_everything(tmp_path / "state")


def fake(*command: str) -> list[str]:
    return [sys.executable, "-c", FAKE_DASHBOARD, *command]


@pytest.mark.parametrize("victims", [("front",), ("front", "runner"), ("front", "keeper")])
def test_a_killed_dashboard_leaves_the_job(state: Path, victims: tuple[str, ...]) -> None:
    with on_screen(fake("sh", "-c", "echo begun; sleep 60")) as screen:
        screen.read_until(b"DRAWN")
        pids = [screen.pid if role == "front" else pid_of(state, role) for role in victims]
        leader = pid_of(state, "leader")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert alive(leader)
        wait_for(lambda: [one.state for one in registry.list_sessions()] == ["live"])
        job = attach(registry.list_sessions()[0])
        wait_for(lambda: job.capture["output"].read_text() == "begun\n")
        assert job.poll() is None and job.pid == leader


def test_leaving_ends_everything_of_ours(state: Path) -> None:
    with on_screen(fake("sh", "-c", "exit 3")) as screen:
        screen.read_until(b"LEFT 3")
        assert screen.wait() == 0
        wait_for(lambda: ended(state))


def test_under_a_dashboard_input_is_empty_and_output_is_one_terminal(state: Path) -> None:
    code = "import os, sys; print(len(sys.stdin.read()), os.isatty(0), os.isatty(1), os.isatty(2))"
    with on_screen(fake(sys.executable, "-c", code), columns=91, rows=27) as screen:
        screen.read_until(b"LEFT 0")
    wait_for(lambda: ended(state))
    assert (directory(state) / "output.log").read_text() == "0 False True True\n"


def test_an_attached_job_takes_a_size_and_can_be_ended(state: Path) -> None:
    code = "import os, signal, time; signal.signal(28, lambda *a: os.write(1, b'%d %d\\n' % os.get_terminal_size(1))); print('up', flush=True)\nwhile True: time.sleep(0.05)"
    with on_screen(fake(sys.executable, "-c", code)) as screen:
        screen.read_until(b"DRAWN")
        wait_for(lambda: (directory(state) / "output.log").read_text() == "up\n")
        (found,) = registry.list_sessions()
        job = attach(found)
        job.resize(111, 33)
        wait_for(lambda: job.capture["output"].read_text() == "up\n111 33\n")
        result = job.end()
        assert [row["outcome"] for row in result["results"]] in (["exited"], ["zombie"]), result
        assert job.wait(10) == 143
        screen.read_until(b"LEFT 143")
        assert session(state)["kind"] == "run"


def test_the_demo_shows_everything_and_vanishes_with_its_dashboard(state: Path) -> None:
    code = (
        "import time\nfrom proctui.jobs.demo import start_demo\n"
        "job = start_demo(dashboard=False)\nprint('up', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as front:
        assert front.stdout is not None and front.stdout.readline() == b"up\n"
        runner = pid_of(state, "runner")
        names = {"shop", "shop-busy", "shop-growing", "shop-deadlocked", "shop-stray"}
        wait_for(lambda: names <= set(_names_below(runner)))
        wait_for(lambda: re.search(r"Traceback", (directory(state) / "output.log").read_text()))
        front.kill()
    wait_for(lambda: _names_below(runner) == [])
    wait_for(lambda: ended(state))
    assert status(state)["state"] == "ended"


def _names_below(pid: int) -> list[str]:
    from proctui.jobs import family

    return [member.name for member in family.walk(pid) if not member.zombie]


def test_a_keeper_that_can_not_be_loaded_says_why(state: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom proctui.errors import ProctuiError\n"
        "from proctui.jobs.launch import launch\nfrom proctui.jobs.options import Options\n"
        "sys.modules['proctui.jobs.keeper'] = None\n"
        "try:\n    launch(['true'], Options(dashboard=True))\n"
        "except ProctuiError as error:\n    print(error.message, '|', error.hint)"
    )
    with on_screen([sys.executable, "-c", code]) as screen:
        screen.read_until(b"was not started")
        screen.read_until(b"runner.log in ")
    written = [one.read_text() for one in state.glob("proctui/sessions/*/runner.log")]
    assert len(written) == 1 and "ModuleNotFoundError" in written[0]
