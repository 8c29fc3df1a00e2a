"""Which logs a process writes: files, deleted files, pipes through tee; nothing is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.errors import BadArgument, NoSuchProcess
from proctui.logs import discover
from tests.support import python, running, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

WRITER = """
import os, sys, time
folder = sys.argv[1]
a = os.open(folder + "/appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
b = open(folder + "/app.log", "w"); b.write("x"); b.flush()
c = open(folder + "/data.db", "w"); c.write("x"); c.flush()
d = open(folder + "/gone.log", "w"); d.write("still here\\n"); d.flush()
os.unlink(folder + "/gone.log")
e = open(folder + "/odd \\x1b[31m.log", "w")
print("ready", flush=True)
time.sleep(600)
"""


def test_files_are_ranked_with_reasons(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        out.open("wb") as stdout,
        running(python(WRITER, str(tmp_path)), stdout=stdout, stderr=subprocess.DEVNULL) as child,
    ):
        wait_for(lambda: out.read_bytes() == b"ready\n")
        result = discover(child.pid)
        paths = [Path(one["path"]).name for one in result["logs"]]
        assert paths == ["out", "appended", "app.log", "gone.log", "odd ␛[31m.log"]
        by_name = {Path(one["path"]).name: one for one in result["logs"]}
        assert "stdout" in by_name["out"]["why"] and by_name["out"]["fd"] == 1
        assert "append" in by_name["appended"]["why"]
        gone = by_name["gone.log"]
        assert gone["deleted"] and gone["readable"]
        assert Path(gone["open"]).read_text() == "still here\n"
        assert all(one["pid"] == child.pid for one in result["logs"])


def test_a_pipe_is_followed_to_the_file_that_tee_writes(tmp_path: Path) -> None:
    log = tmp_path / "teed"
    script = f"(echo hello; exec sleep 600) 2>/dev/null | tee {log} > /dev/null"
    with running(["sh", "-c", script], stderr=subprocess.DEVNULL) as shell:
        wait_for(lambda: log.exists() and log.read_text() == "hello\n")
        result = discover(shell.pid)
        (entry,) = [one for one in result["logs"] if one["path"] == str(log)]
        assert "tee" in entry["why"] and "pipe" in entry["why"]
        assert any("/dev/null" in note for note in result["notes"])


def test_another_processs_pipe_is_never_read() -> None:
    code = "import time; print('for the reader alone', flush=True); time.sleep(600)"
    with running(python(code), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        result = discover(child.pid)
        assert not result["logs"]
        assert any("pipe" in note for note in result["notes"])
        assert child.stdout is not None
        assert child.stdout.readline() == b"for the reader alone\n"


def test_a_terminal_gives_a_hint_and_keeps_its_text() -> None:
    master, slave = os.openpty()
    code = "import time; print('on the terminal', flush=True); time.sleep(600)"
    environ = {**os.environ, "TMUX": "/tmp/tmux-0/default,1,0", "TMUX_PANE": "%7"}
    try:
        with running(python(code), stdout=slave, stderr=subprocess.DEVNULL, env=environ) as child:
            wait_for(lambda: b"TMUX_PANE" in Path(f"/proc/{child.pid}/environ").read_bytes())
            (note,) = [one for one in discover(child.pid)["notes"] if "terminal" in one]
            assert "tmux capture-pane" in note and "%7" in note
            assert os.read(master, 100).startswith(b"on the terminal")
    finally:
        os.close(master)
        os.close(slave)


def test_the_tree_is_asked_for_or_not(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    script = f"sleep 600 >> {log} & wait"
    with running(
        ["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as shell:
        wait_for(lambda: discover(shell.pid)["logs"])
        (entry,) = discover(shell.pid)["logs"]
        assert entry["path"] == str(log) and entry["pid"] != shell.pid
        assert discover(shell.pid, tree=False)["logs"] == []


def _running_with(argument: str, *but: int) -> list[int]:
    """Pids whose last argument is ``argument``."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in but:
            try:
                cmdline = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if cmdline.split(b"\0")[-2:-1] == [argument.encode()] and b"proctui" not in cmdline:
                found.append(int(name))
    return found


def test_output_that_run_captures_comes_first(tmp_path: Path) -> None:
    code = "import sys, time; print('captured', flush=True); f = open(sys.argv[1], 'w'); time.sleep(600)"
    argv = [
        sys.executable,
        "-m",
        "proctui",
        "run",
        "--no-tui",
        "--",
        *python(code, str(tmp_path / "own.log")),
    ]
    with running(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as front:
        assert front.stdout is not None and front.stdout.readline() == b"captured\n"
        wait_for(lambda: _running_with(str(tmp_path / "own.log"), front.pid))
        leader = _running_with(str(tmp_path / "own.log"), front.pid)[0]
        wait_for(lambda: (tmp_path / "own.log").exists())
        result = discover(leader)
        assert "captured by proctui run" in result["logs"][0]["why"]
        assert b"captured\n" in Path(result["logs"][0]["open"]).read_bytes()
        assert [one["path"] for one in result["logs"]][-1] == str(tmp_path / "own.log")
        os.killpg(leader, 9)
        assert front.wait(30) == 137


def test_who_is_asked_must_exist() -> None:
    with pytest.raises(NoSuchProcess):
        discover(2**22 - 3)
    for wrong in (0, -1, True, "12"):
        with pytest.raises(BadArgument):
            discover(wrong)  # type: ignore[arg-type]
