"""ProcessBaseline as requirements.md describes it, and what it must not do to its caller."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from proctui.awareness import registry, sweeping
from proctui.awareness.library import ProcessBaseline
from proctui.awareness.opening import open_watch
from proctui.awareness.select import resolve_session
from proctui.errors import BadArgument, NoSuchProcess
from proctui.machine import identity as kernel
from proctui.model import Certainty, Role
from tests.support import running, wait_for

SLEEP = ["sleep", "300"]


@pytest.fixture
def baseline() -> Iterator[ProcessBaseline]:
    with ProcessBaseline(register=False) as made:
        yield made


def test_the_attributes_of_the_requirements(baseline: ProcessBaseline) -> None:
    assert baseline.own_pid == os.getpid()
    assert baseline.own_pgid == os.getpgid(0)
    assert baseline.parent_pid == os.getppid()
    assert isinstance(baseline.baseline_processes, dict)
    assert baseline.baseline_processes[os.getppid()]["pid"] == os.getppid()
    assert {os.getpid(), os.getppid(), 1} <= baseline.baseline_processes.keys()
    assert baseline.spawned_processes == set() == baseline.get_safe_to_kill()


def test_only_what_was_started_since_is_spawned() -> None:
    with running(SLEEP) as before, ProcessBaseline(register=False) as baseline:
        with running(SLEEP) as since:
            assert baseline.is_spawned_process(since.pid)
            assert not baseline.is_spawned_process(before.pid)
            assert baseline.is_own_process(since.pid)
            assert baseline.get_safe_to_kill() == {since.pid} == baseline.spawned_processes
            assert before.pid in baseline.baseline_processes
            assert since.pid in baseline._capture_processes()
            assert since.pid not in baseline.baseline_processes
        assert baseline.get_safe_to_kill() == set()


def test_neither_itself_nor_its_parent_is_ever_safe_to_kill(baseline: ProcessBaseline) -> None:
    view = baseline.look()
    assert view.role(os.getpid()) is Role.SELF
    assert view.role(os.getppid()) is Role.ANCESTOR
    assert baseline.is_own_process(os.getpid()) and not baseline.is_own_process(os.getppid())
    assert not baseline.is_spawned_process(os.getpid())
    assert not baseline.get_safe_to_kill() & {os.getpid(), os.getppid(), 1}


@pytest.mark.parametrize("pid", [True, False, 0, -1, 1.0, "12", None, mock.MagicMock(), [1]])
def test_what_is_no_pid_is_refused_before_anything_is_asked(
    baseline: ProcessBaseline, pid: Any
) -> None:
    with mock.patch.object(baseline._watch, "look", side_effect=AssertionError):
        for method in (baseline.is_own_process, baseline.is_spawned_process):
            with pytest.raises(BadArgument):
                method(pid)
            with pytest.raises(NoSuchProcess):
                method(2**40)


def test_it_registers_a_session_that_others_find() -> None:
    with ProcessBaseline() as baseline:
        session = baseline.session
        assert session is not None and session.kind == "library"
        code = """
import sys
from proctui.awareness.opening import open_watch
watch = open_watch(sys.argv[1])
view = watch.look()
verdict = view.verdict(int(sys.argv[2]))
print(watch.truth.proof, watch.session.owner_alive, verdict.role, verdict.certainty)
print(view.role(int(sys.argv[3])))
"""
        with running(SLEEP) as child:
            assert baseline.is_spawned_process(child.pid)
            numbers = [session.id, str(child.pid), str(os.getpid())]
            out = subprocess.run(
                [sys.executable, "-c", code, *numbers], capture_output=True, text=True, check=True
            )
        assert out.stdout.split() == ["memory", "True", "spawned", "certain", "ancestor"]
    assert registry.list_sessions(ended=True) == []


def test_its_session_ends_with_the_program(tmp_path: Path) -> None:
    code = (
        "from proctui import ProcessBaseline; b = ProcessBaseline(); print(b.session.id);"
        "import os, sys; sys.stdout.flush(); sys.argv[1:] and os._exit(0)"
    )
    for argument, left in (([], 0), (["abruptly"], 1)):
        subprocess.run([sys.executable, "-c", code, *argument], check=True, capture_output=True)
        sessions = registry.list_sessions(ended=True)
        assert [one.state for one in sessions] == ["ended"] * left
    assert len(sweeping.sweep()) == 1


def test_what_outlives_the_program_makes_its_session_orphaned() -> None:
    code = (
        "from proctui import ProcessBaseline; import subprocess; b = ProcessBaseline();"
        "c = subprocess.Popen(['sleep', '300'], stdout=-3, stderr=-3, stdin=-3); b.is_spawned_process(c.pid);"
        "print(c.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    pid = int(done.stdout)
    try:
        session = resolve_session(signalling=True)
        assert session is not None and session.state == "orphaned"
        with open_watch(signalling=True) as watch:
            verdict = watch.look().verdict(pid)
        assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.LIKELY)
    finally:
        os.kill(pid, 9)
    wait_for(lambda: registry.list_sessions() == [], what="the session's end")


def test_a_registry_that_cannot_be_written_costs_the_registration_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proctui.paths.state_places", lambda: ["/proc/nowhere"])
    with ProcessBaseline() as baseline, running(SLEEP) as child:
        assert baseline.session is None
        assert baseline.get_safe_to_kill() == {child.pid}


def test_a_forked_child_knows_that_it_is_another_process() -> None:
    with ProcessBaseline() as baseline, running(SLEEP) as sibling:
        assert baseline.is_spawned_process(sibling.pid)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                with running(SLEEP) as mine:
                    answers = [
                        baseline.own_pid == os.getpid(),
                        baseline.parent_pid == os.getppid(),
                        baseline.session is None,
                        not baseline.is_spawned_process(sibling.pid),
                        baseline.is_spawned_process(mine.pid),
                        baseline.get_safe_to_kill() == {mine.pid},
                        baseline.look().role(os.getppid()) is Role.ANCESTOR,
                    ]
                status = 0 if all(answers) else 10 + answers.index(False)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert baseline.session is not None and baseline.own_pid == os.getpid()
        assert baseline.is_spawned_process(sibling.pid)
        found = registry.load_session(baseline.session.id)
        assert found.state == "live"


def test_it_leaves_its_caller_as_it_was() -> None:
    code = """
import ctypes, os, resource
before = (resource.getrlimit(resource.RLIMIT_NOFILE), dict(os.environ), len(os.listdir("/proc/self/fd")))
from proctui import ProcessBaseline
baseline = ProcessBaseline()
baseline.get_safe_to_kill()
after = (resource.getrlimit(resource.RLIMIT_NOFILE), dict(os.environ), len(os.listdir("/proc/self/fd")))
reaper = ctypes.c_int(7)
ctypes.CDLL(None).prctl(37, ctypes.byref(reaper))
print(before[:2] == after[:2], reaper.value, after[2] - before[2] < 16, len(os.listdir("/proc/self/task")))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", "0", "True", "1"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def test_threads_may_share_one() -> None:
    with ProcessBaseline(register=False) as baseline, running(SLEEP) as child:
        answers: list[bool] = []

        def ask() -> None:
            answers.extend(baseline.is_spawned_process(child.pid) for _ in range(5))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [True] * 20


def test_a_child_of_an_older_child_is_not_ours_to_kill() -> None:
    shell = ["sh", "-c", "read go; sleep 300 & echo $!; wait"]
    with (
        running(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as before,
        ProcessBaseline(register=False) as baseline,
    ):
        assert before.stdin is not None and before.stdout is not None
        before.stdin.write(b"go\n")
        before.stdin.flush()
        pid = int(before.stdout.readline())
        assert baseline.is_own_process(pid)
        assert not baseline.is_spawned_process(pid)
        assert baseline.look().role(pid) is Role.UNKNOWN


def test_it_knows_a_dead_child_from_its_numbers_next_owner(baseline: ProcessBaseline) -> None:
    with running(SLEEP) as child:
        identity = kernel.identify(child.pid)
        assert baseline.is_spawned_process(child.pid)
    assert not kernel.alive(identity)
    assert not baseline.is_spawned_process(child.pid)
    assert child.pid not in wait_for(lambda: baseline.look().verdicts)


def test_a_private_baseline_counts_where_the_program_has_no_session() -> None:
    with running(SLEEP) as before:
        with open_watch(own_children=True) as watch:
            assert watch.look().role(before.pid) is Role.SPAWNED
        with ProcessBaseline(register=False) as baseline, running(SLEEP) as since:
            assert baseline.is_spawned_process(since.pid)
            with open_watch(own_children=True) as watch:
                view = watch.look()
            assert view.role(before.pid) is Role.BASELINE
            assert view.role(since.pid) is Role.SPAWNED
        with open_watch(own_children=True) as watch:
            assert watch.look().role(before.pid) is Role.SPAWNED
