"""What may not be read is null and named, never an empty list; what is hidden is not what is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui import get_memory_profile, inspect_process, show_process_tree
from tests.contract.outside import PROCTUI
from tests.killing.namespace import isolated
from tests.support import python, running, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give something up")

DEAD_MAIN_THREAD = """
import ctypes, sys, threading
kept = open(sys.argv[1], "a")
held = bytearray(48 << 20)
for at in range(0, len(held), 4096): held[at] = 1
def stay():
    print(flush=True)
    sys.stdin.read()
threading.Thread(target=stay).start()
SYS_EXIT = {"x86_64": 60, "aarch64": 93}[sys.argv[2]]
ctypes.CDLL(None).syscall(SYS_EXIT, 0)
"""


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="system call numbers")
def test_a_main_thread_that_ended_hides_nothing(tmp_path: Path) -> None:
    log = tmp_path / "kept.log"
    argv = python(DEAD_MAIN_THREAD, str(log), os.uname().machine)
    with running(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline()
        wait_for(lambda: inspect_process(child.pid)["status"] == "Z", what="the main thread's end")
        result = inspect_process(child.pid, include_threads=True, include_files=True)
        tree, memory = show_process_tree(child.pid), get_memory_profile(child.pid)
    assert str(log) in {one["path"] for one in result["files"] or ()}
    assert result["fds"] == len(result["files"] or ())
    assert result["exe"] and result["cmdline"] and result["environ"] and not result["denied"]
    assert result["memory"]["rss"] > 48 << 20
    assert result["memory"]["pss"] > 48 << 20
    living = [one["tid"] for one in result["threads"] if one["state"] != "Z"]
    assert "main thread has ended" in (result["wait"] or "")
    assert str(living[0]) in (result["wait"] or "")
    assert memory["total"] is not None and memory["total"] > 48 << 20
    assert tree["root"]["rss"] is None and "rss" in tree["denied"]


@needs_root
def test_root_without_ptrace_is_told_what_it_may_not_see(tmp_path: Path) -> None:
    other = ["setpriv", "--reuid", "65534", "--clear-groups", "sleep", "600"]
    with running(other) as child:
        wait_for(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n")
        line = ["setpriv", "--bounding-set=-sys_ptrace", *PROCTUI, "inspect", str(child.pid)]
        done = subprocess.run(
            [*line, "--files", "--json"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 4, done
    result = json.loads(done.stdout)
    assert result["files"] is None and result["connections"] is None
    assert {"files", "connections"} <= set(result["denied"])
    assert "CAP_SYS_PTRACE" in result["error"]["hint"]


HIDDEN = """
line = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
        sys.executable, "-m", "proctui"]
def told(*argv):
    done = subprocess.run([*line, *argv, "--json"], capture_output=True, text=True)
    print(json.dumps([argv[0], done.returncode, json.loads(done.stdout)["error"]["kind"]]))
with running(["sleep", "600"]) as child:
    subprocess.run(["mount", "-o", "remount,hidepid=" + sys.argv[1], "/proc"], check=True)
    for command in ("inspect", "memory", "tree", "cpu"):
        told(command, str(child.pid))
    told("hangs", "30000")
"""


@needs_root
@pytest.mark.namespace
@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_a_hidden_process_is_forbidden_and_a_missing_one_is_not(hidepid: str) -> None:
    told: list[Any] = [json.loads(line) for line in isolated(HIDDEN, hidepid).splitlines()]
    assert told.pop() == ["hangs", 3, "no-such-process"]
    assert {one[0] for one in told} == {"inspect", "memory", "tree", "cpu"}
    assert {tuple(one[1:]) for one in told} == {(4, "permission-denied")}


def test_a_long_command_line_and_environment_are_whole() -> None:
    words = ["x" * 100_000] * 12 + ["--password=hunter2", "last"]
    environ = {
        **os.environ,
        "FIRST": "1",
        **{f"V{n}": "y" * 100_000 for n in range(4)},
        "ZZ": "end",
    }
    argv = python("import sys; print(flush=True); sys.stdin.read()", *words)
    with running(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    ) as child:
        assert child.stdout is not None and child.stdout.readline()
        result = inspect_process(child.pid)
    assert result["cmdline"] == [
        sys.executable,
        "-I",
        *argv[2:4],
        *words[:-2],
        "--password=[redacted]",
        "last",
    ]
    assert result["environ"] is not None and result["environ"]["ZZ"] == "end"
