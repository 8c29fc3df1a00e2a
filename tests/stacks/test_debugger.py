"""Debugger plans, their refusals, and the attach itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from proctui.errors import BadArgument, Changed, NotSupported, RefusedError, ToolMissing
from proctui.killing import attach as attaching
from proctui.machine.identity import identify
from proctui.stacks import debugger, kernel
from tests.stacks.stage import cast, condition_of
from tests.support import python, running, wait_for

needs_gdb = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")


@needs_gdb
def test_a_plan_shows_the_exact_command_and_its_risks() -> None:
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        plan = debugger.plan(child.pid)
        assert plan["how"] == "gdb" and plan["command"][1:] == ["-nx", "-p", str(child.pid)]
        assert plan["risks"] and plan["identity"] == str(identify(child.pid))
        with pytest.raises(NotSupported):
            debugger.plan(child.pid, "pdb")
        with pytest.raises(NotSupported):
            debugger.plan(child.pid, "debugpy")
        with pytest.raises(BadArgument):
            debugger.plan(child.pid, "strace")
        with pytest.raises(BadArgument):
            debugger.plan(child.pid, "gdb", 5000)
        with pytest.raises(BadArgument):
            debugger.plan(child.pid, "debugpy", 80)


def test_debugpy_listens_on_the_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugger, "_need_debugpy", lambda version: None)
    with cast("sleeper") as actors:
        plan = debugger.plan(actors["sleeper"].pid, "debugpy")
        listen = plan["command"][plan["command"].index("--listen") + 1]
        assert listen == f"127.0.0.1:{plan['port']}"
        assert not plan["interactive"]


def test_what_is_missing_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debugger, "find_tool", lambda name: None)
    monkeypatch.setattr(debugger.importlib.util, "find_spec", lambda name: None)
    with cast("sleeper") as actors:
        with pytest.raises(ToolMissing) as caught:
            debugger.plan(actors["sleeper"].pid)
        assert caught.value.hint == f"{sys.executable} -m pip install debugpy"


@pytest.mark.parametrize("play", ["stopped", "vfork_d_state", "zombie"])
def test_no_debugger_in_state_t_d_or_z(play: str) -> None:
    with cast(play) as actors:
        pid = actors[play].family()[-1] if play == "zombie" else actors[play].pid
        wait_for(lambda: kernel.glance(pid).state in "TDZ")
        with pytest.raises(RefusedError):
            debugger.plan(pid)


def test_no_debugger_for_self_ancestors_and_the_first_process() -> None:
    for pid in (os.getpid(), os.getppid()):
        with pytest.raises(RefusedError):
            debugger.plan(pid)
    with pytest.raises((RefusedError, BadArgument)):
        debugger.plan(1)
    with pytest.raises(BadArgument):
        debugger.plan(True)


@needs_gdb
def test_without_a_terminal_an_interactive_debugger_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debugger, "_has_terminal", lambda: False)
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        with pytest.raises(RefusedError, match="needs a terminal"):
            debugger.attach(child.pid)
        assert condition_of(child.pid)["tracer"] == 0


def test_an_attach_proves_the_identity_once_more() -> None:
    with running(["sleep", "99"]) as child:
        planned = identify(child.pid)
        done = attaching.attach(planned, ["sh", "-c", "echo hello"], interactive=False)
        assert (done.status, done.output) == (0, "hello\n")
        with pytest.raises(Changed):
            attaching.attach(planned._replace(inode=1, start_ticks=1), ["true"], interactive=False)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        with pytest.raises(Changed):
            attaching.attach(planned, ["true"], interactive=False)


def test_the_version_of_a_python() -> None:
    with running(
        python("import time; print('ready', flush=True); time.sleep(99)"), stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline()
        assert debugger.python_version(child.pid) == sys.version_info[:2]
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        assert debugger.python_version(child.pid) is None
