"""A corrupted registry under the real command line: refused, unless the living runner knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui.awareness import cgroup
from proctui.killing.protection import ProcessProtection
from tests.jobs import stage
from tests.support import alive, running, wait_for

JOB = ["sh", "-c", "sleep 60 & echo $! > $0; wait"]


@pytest.fixture
def state() -> Path:
    return Path(os.environ["XDG_STATE_HOME"])


def kill(*words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "proctui", "kill", *words, "--yes", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout)


def spoil(state: Path, name: str) -> None:
    path = stage.directory(state) / name
    wait_for(path.exists)
    path.write_bytes(path.read_bytes()[:-9] if path.stat().st_size > 9 else b"{")


def begun(state: Path, mark: Path) -> int:
    wait_for(lambda: mark.exists() and mark.read_text().strip(), what="the job")
    stage.pid_of(state, "leader")
    return int(mark.read_text())


@pytest.mark.parametrize("name", ["session.json", "baseline.jsonl", "spawned.jsonl"])
def test_the_living_runner_knows_better_than_spoilt_files(
    state: Path, tmp_path: Path, name: str
) -> None:
    mark = tmp_path / "mark"
    with stage.front(*JOB, str(mark)):
        child = begun(state, mark)
        spoil(state, name)
        code, document = kill(str(child))
        assert code == 0, document
        assert [one["outcome"] for one in document["results"]] in (["exited"], ["zombie"])
        assert document["plan"]["targets"][0]["role"] == "spawned"
        stage.gone(child)


def test_without_a_runner_spoilt_files_refuse_everything(state: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with stage.front(*JOB, str(mark)), running(["sleep", "1000"]) as own:
        child = begun(state, mark)
        for role in ("runner", "keeper"):
            os.kill(stage.pid_of(state, role), signal.SIGKILL)
        stage.gone(stage.pid_of(state, "runner"), stage.pid_of(state, "keeper"))
        spoil(state, "session.json")
        code, document = kill(str(child))
        assert (code, document["error"]["kind"]) == (1, "refused"), document
        with pytest.raises(ValueError, match="registry"):
            ProcessProtection.safe_kill(own.pid)
        assert alive(child) and alive(own.pid)
        held = os.pidfd_open(child)
        signal.pidfd_send_signal(held, signal.SIGKILL)
        os.close(held)


def leave_the_group(*pids: int) -> None:
    """Out of the session's own control group, which would be live evidence."""
    base, own = cgroup.mount(), cgroup.own_path()
    if base is not None and own is not None and os.access(f"{base}{own}", os.W_OK):
        for pid in pids:
            Path(f"{base}{own}/cgroup.procs").write_text(str(pid))


def test_files_alone_make_nothing_certain(state: Path, tmp_path: Path) -> None:
    """The runner is dead, its record whole: naming the very process may end it, a tree may not."""
    mark = tmp_path / "mark"
    with stage.front(*JOB, str(mark)):
        child = begun(state, mark)
        leader = stage.pid_of(state, "leader")
        wait_for(lambda: str(child) in (stage.directory(state) / "spawned.jsonl").read_text())
        for role in ("runner", "keeper"):
            os.kill(stage.pid_of(state, role), signal.SIGKILL)
        stage.gone(stage.pid_of(state, "runner"), stage.pid_of(state, "keeper"))
        leave_the_group(leader, child)
        code, document = kill(str(leader), "--tree")
        refused = {one["pid"]: one["certainty"] for one in document["plan"]["refused"]}
        assert refused.get(child) == "likely" and alive(child), document
        assert code == 1
        code, document = kill(str(child))
        assert code == 0, document
        stage.gone(child)
