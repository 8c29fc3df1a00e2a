"""Running tools: started on little, a few at once, ended with what they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proctui.stacks import starting, tooling
from proctui.stacks.tooling import Outcome
from tests.stacks.stage import cast
from tests.support import alive, wait_for


def test_tools_run_a_few_at_once_and_tell_as_they_end() -> None:
    came: list[tuple[object, int | None, bytes]] = []
    jobs = [(i, [sys.executable, "-I", "-c", f"print({i})"]) for i in range(5)]
    tooling.run_many(jobs, lambda key, out: came.append((key, out.status, out.out)), timeout=120)
    assert sorted(came, key=str) == [(i, 0, f"{i}\n".encode()) for i in range(5)]


def test_a_tool_that_is_not_there_is_status_127() -> None:
    assert tooling.run_tool(["/nowhere/x"], 1).status == 127


def test_a_tool_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    argv = ["sh", "-c", f"sleep 99 & echo $! > {pid_file}; wait"]
    began = time.monotonic()
    found = tooling.run_tool(argv, 0.5)
    assert found.status is None and time.monotonic() - began < 60
    wait_for(lambda: not alive(int(pid_file.read_text())))


def test_an_interrupt_ends_what_still_runs(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    jobs = [("slow", ["sh", "-c", f"echo $$ > {pid_file}; exec sleep 99"]), ("quick", ["true"])]

    def done(key: object, outcome: Outcome) -> None:
        wait_for(pid_file.exists)
        wait_for(lambda: pid_file.read_text().strip())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tooling.run_many(jobs, done, timeout=120, at_once=2)
    wait_for(lambda: not alive(int(pid_file.read_text())))


def test_tools_are_found_beside_the_interpreter_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("venv", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text("#!/bin/sh\n")
        (tmp_path / folder / "tool").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert starting.find_tool("tool") == str(tmp_path / "venv" / "tool")
    (tmp_path / "venv" / "tool").unlink()
    assert starting.find_tool("tool") == str(tmp_path / "path" / "tool")
    (tmp_path / "path" / "tool").chmod(0o644)
    assert os.geteuid() == 0 or starting.find_tool("tool") is None


def test_a_tool_has_a_session_of_its_own_and_no_descriptor_of_ours() -> None:
    kept, other = os.pipe()
    os.set_inheritable(kept, True)
    try:
        found = tooling.run_tool(["sh", "-c", f"ls /proc/self/fd; [ -e /proc/self/fd/{kept} ]"], 60)
        assert found.status == 1
        # The listing has the directory it reads open.
        assert found.out.split() == [b"0", b"1", b"2", b"3"]
        stat = tooling.run_tool(["cat", "/proc/self/stat"], 60).out.split()
        assert stat[0] == stat[4] == stat[5]
    finally:
        os.close(kept)
        os.close(other)


def test_a_tool_does_not_ignore_what_python_ignores() -> None:
    found = tooling.run_tool(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"], 60)
    masks = [int(line.split()[1], 16) for line in found.out.splitlines()]
    # The C library keeps two real-time signals for itself.
    assert [mask & 0x7FFFFFFF for mask in masks] == [0, 0]


def test_a_tool_starts_where_our_own_streams_are_closed() -> None:
    code = (
        "import os\n"
        "from proctui.stacks import tooling\n"
        "kept = os.dup(1)\n"
        "os.closerange(0, 3)\n"
        "found = tooling.run_tool(['sh', '-c', 'echo out; echo err >&2; cat'], 60)\n"
        "os.write(kept, repr((found.status, found.out, found.err)).encode())"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=120)
    assert done.stdout == repr((0, b"out\n", "err\n")).encode()


def imported(*arguments: str) -> set[str]:
    """The modules that a command of ours imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


def test_one_stack_loads_nothing_that_takes_longer_than_its_look() -> None:
    with cast("sleeper") as actors:
        ours = imported("-m", "proctui", "stack", str(actors["sleeper"].pid))
    dear = {"typing", "re", "enum", "json", "subprocess", "argparse", "threading", "dataclasses"}
    assert "proctui.stacks.assemble" in ours
    assert not dear & (ours - imported("-c", "pass"))
