"""Whole jobs: responsiveness, ordinary users, real pytest-xdist workers, hot functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui import stacks
from proctui.errors import (
    BadArgument,
    NoSuchProcess,
)
from proctui.stacks import kernel, profile, starting
from proctui.stacks.profile import hot_functions
from tests.stacks.stage import cast, children_of
from tests.support import python, running, wait_for

# responding


@pytest.mark.parametrize(
    ("play", "responds"),
    [("sleeper", True), ("busy_loop", True), ("self_deadlock", False), ("stopped", False)],
)
def test_is_responding(play: str, responds: bool) -> None:
    with cast(play) as actors:
        pid = actors[play].pid
        settled = {"sleeper": "S", "busy_loop": "R", "self_deadlock": "S", "stopped": "T"}[play]
        wait_for(lambda: kernel.glance(pid).state == settled)
        if play == "self_deadlock":
            wait_for(lambda: "lock" in stacks.capture(pid) and len(kernel.thread_ids(pid)) == 1)
        assert stacks.is_responding(pid, 0.5) is responds


def test_hangs_of_what_is_gone() -> None:
    with pytest.raises(NoSuchProcess):
        stacks.find_hangs(2**22 - 1, 0.1)
    with pytest.raises(NoSuchProcess):
        stacks.is_responding(2**22 - 1)
    assert stacks.find_hangs([], 0.0)["verdicts"] == []


def test_a_process_that_ends_during_the_look_is_left_out() -> None:
    with running(["sleep", "0.3"]) as short, running(["sleep", "99"]) as long:
        found = stacks.find_hangs([long.pid, short.pid], 0.8)
        wait_for(lambda: short.poll() is not None)
        verdicts = {row["pid"]: row["verdict"] for row in found["verdicts"]}
        assert verdicts[long.pid] == "idle"
        # Unreaped it is a zombie, reaped it is gone.
        assert verdicts.get(short.pid, "waiting") == "waiting"


def test_the_graph_alone() -> None:
    with cast("pipe_full") as actors:
        parent, child = actors["pipe_full"].family()
        edges = wait_for(lambda: [e for e in stacks.wait_graph(parent) if e["from"] == child])
        assert edges[0]["to"] == parent and "writes a full pipe that only" in edges[0]["why"]


def test_an_rlock_whose_owner_has_ended() -> None:
    with cast("rlock_of_the_dead") as actors:
        pid = actors["rlock_of_the_dead"].pid

        def told() -> str:
            (row,) = stacks.find_hangs(pid, 0.3)["verdicts"]
            said = row["evidence"][0]
            return said if row["verdict"] == "deadlock-proven" else ""

        assert "waits for an RLock whose owner, a thread, has ended" in wait_for(told)


# ordinary users


# pytest-xdist

XDIST = """
import threading

def test_passes():
    pass

def test_hangs():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
"""


def test_of_xdist_workers_only_the_hung_one_is_told(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "test_job.py").write_text(XDIST)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with running(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path, env=environ
    ) as child:

        def hung() -> dict[str, Any] | None:
            found = stacks.find_hangs(child.pid, 0.7)
            bad = [
                row
                for row in found["verdicts"]
                if row["verdict"] in ("suspected", "deadlock-proven")
            ]
            return {"bad": bad, **found} if bad else None

        found = wait_for(hung, timeout=120)
        (bad,) = found["bad"]
        assert "test_hangs (" in bad["evidence"][0]
        assert len(found["verdicts"]) == 3
        row = next(trace for trace in found["stacks"] if trace["pid"] == bad["pid"])
        assert "lock" in row
        if bad["label"]:
            assert "test_hangs" in bad["label"]


# hot functions


def test_hot_functions_and_speedscope(tmp_path: Path) -> None:
    if not starting.find_tool("py-spy"):
        pytest.skip("py-spy is not installed")
    saved = tmp_path / "profile.json"
    with cast("busy_loop", "shell") as actors:
        pids = [actors["busy_loop"].pid, actors["shell"].pid]
        found = hot_functions(pids, 1, save=str(saved))
        assert found is not None
        assert found[0]["function"] == "busy_loop" and found[0]["file"].endswith("rests.py")
        assert 0.5 < found[0]["share"] <= 1 and found[0]["share"] <= found[0]["cumulative"]
        document = json.loads(saved.read_text())
        assert document["profiles"][0]["type"] == "sampled"
        assert hot_functions(pids[1], 1) is None
        with pytest.raises(BadArgument):
            hot_functions(pids[0], 1, save=str(tmp_path / "no" / "where"))
    with pytest.raises(NoSuchProcess):
        hot_functions(2**22 - 1, 1)


def test_hot_functions_of_a_whole_job_on_the_command_line(tmp_path: Path) -> None:
    saved = tmp_path / "hot.json"
    code = "while True: sum(range(1000))"
    oven = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {code!r}])"
    argv = [sys.executable, "-m", "proctui", "cpu"]
    with running(python(oven)) as child:
        wait_for(lambda: children_of(child.pid))
        (below,) = children_of(child.pid)
        wait_for(lambda: stacks.capture(below)["python"])
        done = subprocess.run(
            [*argv, str(child.pid), "--tree", "-o", str(saved), "--json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["hot"][0]["file"] == "<string>" and found["saved"] == str(saved)
        assert json.loads(saved.read_text())["profiles"][0]["name"].startswith(f"{below}: ")
        for arguments in (["-o", str(saved)], ["--tree"], [str(child.pid), "-o", "/nowhere/x"]):
            assert subprocess.run([*argv, *arguments], capture_output=True).returncode == 2


def test_where_python_does_not_know_its_threads_the_gil_tells_who_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for version, gil in (((3, 10), True), ((3, 11), False), (None, False)):
        monkeypatch.setattr(profile, "python_version", lambda pid, known=version: known)
        assert ("--gil" in profile._argv("py-spy", 1, 1, 100, "x")) is gil
