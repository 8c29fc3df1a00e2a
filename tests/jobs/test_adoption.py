"""``adopt`` at the runner: who may be adopted, by whom, and what it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.awareness import live, registry
from proctui.machine import identity
from tests.jobs.stage import directory, ended, front, pid_of
from tests.support import alive, running, wait_for

INSIDE = """
import json, os, sys
from proctui.awareness import live, registry
from proctui.machine import identity
print("up", flush=True)
wanted = int(sys.stdin.readline())
(session,) = registry.list_sessions()
answer = live.ask(session, {"ask": "adopt", "identity": list(identity.identify(wanted)), "user": "me"})
print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def adopt(pid: int) -> dict[str, object]:
    (found,) = registry.list_sessions()
    return live.ask(
        found, {"ask": "adopt", "identity": list(identity.identify(pid)), "user": "Zoë\x1b"}
    )


def test_a_baseline_process_is_adopted_and_the_session_lives_as_long(state: Path) -> None:
    with (
        running(["sleep", "600"]) as stranger,
        front("sh", "-c", "read x; exit 0", stdin=subprocess.PIPE) as process,
    ):
        pid_of(state, "leader")
        runner = pid_of(state, "runner")
        assert adopt(stranger.pid) == {"ok": True}
        (found,) = registry.list_sessions()
        truth = live.ask(found, {"ask": "truth"})
        spawned = {row["identity"][1]: row for row in truth["spawned"]}
        assert spawned[stranger.pid]["certainty"] == "certain"
        assert spawned[stranger.pid]["evidence"][0].startswith("adopted by Zoë␛ at ")
        for lines in (truth["baseline"], (directory(state) / "baseline.jsonl").read_text()):
            rows = [json.loads(line) for line in lines.splitlines()[1:]]
            assert rows and stranger.pid not in [row[0][1] for row in rows]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
        assert alive(runner)
        stranger.terminate()
        stranger.wait()
        wait_for(lambda: ended(state))


def test_what_steers_or_contains_the_job_is_refused(state: Path) -> None:
    import os

    with front("sh", "-c", "read x", stdin=subprocess.PIPE) as process:
        leader, runner, keeper = (pid_of(state, r) for r in ("leader", "runner", "keeper"))
        for pid in (leader, runner, keeper, process.pid, os.getpid(), os.getppid()):
            answer = adopt(pid)
            assert answer["ok"] is False and answer["error"]["kind"] == "refused", pid
        (found,) = registry.list_sessions()
        for nonsense in (None, [], ["x"], [identity.boot_id(), 1, None, None, None]):
            answer = live.ask(found, {"ask": "adopt", "identity": nonsense})
            assert answer["error"]["kind"] == "bad-argument"
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def test_nothing_is_adopted_from_inside(state: Path) -> None:
    with (
        running(["sleep", "600"]) as stranger,
        front(
            sys.executable, "-c", INSIDE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "up\n"
        process.stdin.write(f"{stranger.pid}\n")
        process.stdin.close()
        assert "inside a session" in process.stdout.read()
        assert process.wait(30) == 0
