"""Reads that Yama leaves to ancestors, done by the runner."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from proctui.awareness import live, registry
from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.stacks import kernel, remote
from tests.support import running, wait_for


def test_only_descendants_are_looked_at_for_others() -> None:
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        wait_for(lambda: kernel.glance(child.pid).state == "S")
        answer = remote.serve_request({"ask": "stacks", "pid": child.pid})
        assert remote.parse(json.loads(json.dumps(answer["look"]))) == kernel.look(child.pid)
    for pid in (os.getpid(), 1):
        with pytest.raises(RefusedError):
            remote.serve_request({"ask": "stacks", "pid": pid})
    for bad in (None, "1", -1, True):
        with pytest.raises(BadArgument):
            remote.serve_request({"ask": "stacks", "pid": bad})
    with pytest.raises((NoSuchProcess, RefusedError)):
        remote.serve_request({"ask": "stacks", "pid": 2**22 - 1})
    with pytest.raises(BadArgument):
        remote.parse([1, 2])


def test_the_runner_of_a_real_job_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = [sys.executable, "-m", "proctui", "run", "--no-tui", "--", "sleep", "99"]
    with running(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        session = wait_for(
            lambda: next(
                (one for one in registry.list_sessions() if one.leader and one.state == "live"),
                None,
            )
        )
        leader = session.leader
        assert leader is not None
        try:
            wait_for(lambda: kernel.glance(leader.pid).name == "sleep")
            wait_for(lambda: kernel.glance(leader.pid).state == "S")
            _look_through_runner(session, leader.pid, monkeypatch)
        finally:
            # A job outlives its front; this one is ours.
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader.pid, signal.SIGKILL)


def _look_through_runner(session: Any, pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = kernel.look(pid)
    assert remote.look(pid) == direct

    def refused(pid: int, **options: Any) -> kernel.ProcessLook:
        threads = (one._replace(call=None, denied=True) for one in direct.threads)
        return direct._replace(threads=tuple(threads))

    with monkeypatch.context() as patched:
        patched.setattr(remote, "yama", lambda: 1)
        patched.setattr(kernel, "look", refused)
        through = remote.look(pid)
    assert [one.call for one in through.threads] == [one.call for one in direct.threads]
    answer = live.ask(session, {"ask": "stacks", "pid": os.getpid()})
    assert answer["ok"] is False and answer["error"]["kind"] == "refused"
