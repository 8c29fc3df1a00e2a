"""What hides from its session, ended through the command line: who died, and who lived."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.outside import document
from tests.jobs import stage
from tests.support import alive, running, wait_for

_UNDUMPABLE = "import ctypes,os,time;ctypes.CDLL(None).prctl(4,0,0,0,0)"
_SCRUB = "import os,time;os.environ.clear()"
_LAST = ";open({mark!r},'w').write(str(os.getpid()));time.sleep(600)"
_WAYS = {
    "1 double fork and setsid": [sys.executable, "-I", "-c", "import os,time" + _LAST],
    "2 the same, env -i": ["env", "-i", sys.executable, "-I", "-c", "import os,time" + _LAST],
    "3 environ scrubbed": [sys.executable, "-I", "-c", _SCRUB + _LAST],
    "4 not dumpable": [sys.executable, "-I", "-c", _UNDUMPABLE + _LAST],
}
_HIDE = 'mark=$1; shift; (setsid "$@" >/dev/null 2>&1 &); while [ ! -s $mark ]; do sleep 0.01; done'


@pytest.mark.parametrize("way", _WAYS)
def test_a_hidden_stray_ends_and_its_neighbours_live(way: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    argv = [word.format(mark=str(mark)) for word in _WAYS[way]]
    with running(["sleep", "600"]) as neighbour:
        # The job itself goes on: only what left its tree is a stray.
        with stage.front("sh", "-c", f"{_HIDE}; sleep 600", "sh", str(mark), *argv):
            pid = int(wait_for(lambda: mark.exists() and mark.read_text(), timeout=120))
            leader = stage.pid_of(Path(os.environ["XDG_STATE_HOME"]), "leader")
            done = document("strays", "--end", "--yes")
            assert [one["pid"] for one in done["plan"]["targets"]] == [pid]
            assert [one["outcome"] for one in done["results"]] in (["exited"], ["zombie"])
            stage.gone(pid)
            assert alive(leader)
            document("kill", leader, "--tree", "--yes")
        assert alive(neighbour.pid)


def test_22_a_new_child_of_a_shell_that_was_there_before_is_refused() -> None:
    shell = ["sh", "-c", "read go; sleep 600 & echo $!; wait"]
    with (
        running(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as before,
        stage.front("sleep", "600"),
    ):
        leader = stage.pid_of(Path(os.environ["XDG_STATE_HOME"]), "leader")
        assert before.stdin is not None and before.stdout is not None
        before.stdin.write("go\n")
        before.stdin.flush()
        pid = int(before.stdout.readline())
        for how in ([], ["--tree"], ["--group"]):
            done = document("kill", pid, *how, "--yes", status=1)
            assert done["error"]["kind"] == "refused"
            assert done["results"] == [] and done["plan"]["targets"] == []
        done = document("kill", before.pid, "--tree", "--yes", status=1)
        assert done["error"]["kind"] == "refused" and done["results"] == []
        assert alive(pid) and alive(before.pid) and alive(leader)


@pytest.mark.parametrize("signum", ["TERM", "KILL"])
def test_21_the_outer_session_ends_the_inner_with_all_that_serves_it(
    signum: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    inner = f"setsid env -i sh -c 'echo $$ > {mark}; exec sleep 600' & sleep 600"
    run = [sys.executable, "-m", "proctui", "run", "--no-tui", "--", "sh", "-c", inner]
    with running(["sleep", "600"]) as neighbour:
        with stage.front(*run) as outer:
            hidden = int(wait_for(lambda: mark.exists() and mark.read_text().strip(), timeout=120))
            sessions = document("sessions")["sessions"]
            (one,) = (row for row in sessions if row["parent"] is None)
            (other,) = (row for row in sessions if row["parent"] is not None)
            leader, inside = one["leader"]["pid"], other["leader"]["pid"]
            document("kill", leader, "--tree", "--signal", signum, "--yes", "--session", one["id"])
            stage.gone(leader, inside)
            document("strays", "--end", "--yes", "--session", one["id"])
            stage.gone(hidden)
            assert outer.wait(timeout=120) != 0
        assert alive(neighbour.pid)
