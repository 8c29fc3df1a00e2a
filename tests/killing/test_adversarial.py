"""The adversarial cases of the guard against real processes: who lives, who dies.

The numbers are those of the design notes' list.  Each looks through a real
baseline, and ends with a neighbour that must have lived through it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proctui.awareness.library import ProcessBaseline
from proctui.errors import NoSuchProcess
from proctui.killing import signals
from proctui.killing.execute import execute
from proctui.killing.plan import make_group_plan, make_plan
from proctui.killing.protection import ProcessProtection
from proctui.killing.report import Report
from tests.support import alive, python, running, wait_for
from tests.zoo import hard_to_kill as zoo

SLEEP = ["sleep", "1000"]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def baseline() -> Iterator[ProcessBaseline]:
    with ProcessBaseline(register=False) as captured:
        yield captured


@pytest.fixture
def start(baseline: ProcessBaseline) -> Iterator[Start]:
    """Starts a program of the zoo in a session of its own and waits until it says ``ready``."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(source: str, *arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            python(source, *arguments), stdout=subprocess.PIPE, start_new_session=True
        )
        made.append(child)
        assert child.stdout is not None
        said = child.stdout.readline().split()
        assert said[0] == b"ready"
        child.stdout.close()
        child.said = [int(word) for word in said[1:]]  # type: ignore[attr-defined]
        return child

    yield begin
    for child in made:
        signals.end_helper(child, 0.0)


@pytest.fixture(autouse=True)
def neighbour() -> Iterator[None]:
    """Somebody who was there before, and must be there afterwards."""
    with running(SLEEP) as process:
        yield
        assert alive(process.pid), "a neighbour died"


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def end(baseline: ProcessBaseline, pid: int, scope: str = "single", **options: object) -> Report:
    plan = make_plan(baseline.look, [pid], scope=scope)  # type: ignore[arg-type]
    return execute(plan, baseline.look, **options)  # type: ignore[arg-type]


def outcomes(report: Report) -> dict[int, tuple[str, str | None]]:
    return {one.pid: (one.outcome, one.signal_sent) for one in report.results}


@pytest.mark.parametrize("deaf", [False, True])
def test_8_a_zombie_leader_whose_threads_live_is_alive(
    baseline: ProcessBaseline, start: Start, deaf: bool
) -> None:
    target = start(zoo.ZOMBIE_LEADER, *(["deaf"] if deaf else []))
    wait_for(lambda: state(target.pid) == "Z", what="a zombie leader")
    assert os.listdir(f"/proc/{target.pid}/task") != [str(target.pid)]
    report = end(baseline, target.pid, grace=0.2)
    assert outcomes(report) == {target.pid: ("zombie", "KILL" if deaf else "TERM")}
    assert target.wait(5) == -(signal.SIGKILL if deaf else signal.SIGTERM)


def test_9_a_zombie_whose_parent_never_reaps_is_told_as_one(
    baseline: ProcessBaseline, start: Start
) -> None:
    parent = start(zoo.NEVER_REAPS)
    (child,) = parent.said  # type: ignore[attr-defined]
    first = end(baseline, child)
    assert outcomes(first) == {child: ("zombie", "TERM")} and first.done
    assert str(parent.pid) in (first.results[0].reason or "")
    second = end(baseline, child)
    assert outcomes(second) == {child: ("zombie", None)} and second.done
    assert alive(parent.pid)


def test_10_a_threads_id_is_no_process(baseline: ProcessBaseline, start: Start) -> None:
    target = start(zoo.ZOMBIE_LEADER)
    wait_for(lambda: state(target.pid) == "Z")
    tid = next(int(t) for t in os.listdir(f"/proc/{target.pid}/task") if int(t) != target.pid)
    for scope in ("single", "tree", "group"):
        with pytest.raises(NoSuchProcess):
            end(baseline, tid, scope)
    with pytest.raises(NoSuchProcess):
        ProcessProtection.safe_kill(tid)
    assert Path(f"/proc/{target.pid}/task/{tid}").exists()


def test_11_a_stopped_target_gets_to_hear_term(baseline: ProcessBaseline) -> None:
    with running(SLEEP) as target:
        end(baseline, target.pid, signal=signal.SIGSTOP)
        assert state(target.pid) == "T"
        assert outcomes(end(baseline, target.pid))[target.pid] == ("zombie", "TERM")


def test_12_a_traced_and_stopped_target_is_killed(baseline: ProcessBaseline, start: Start) -> None:
    tracer = start(zoo._LIFE + TRACER)
    (traced,) = tracer.said  # type: ignore[attr-defined]
    wait_for(lambda: state(traced) == "t", what="a traced process")
    report = end(baseline, traced, grace=0.1)
    assert report.results[0].signal_sent == "KILL"
    assert report.results[0].outcome in ("exited", "zombie")
    assert not alive(traced) and alive(tracer.pid)


TRACER = """
libc = ctypes.CDLL(None, use_errno=True)
target = subprocess.Popen(["sleep", "60"])
assert libc.ptrace(16, target.pid, None, None) == 0  # PTRACE_ATTACH
ready(target.pid)
stay()
"""


def test_13_term_ignored_and_inherited(baseline: ProcessBaseline, start: Start) -> None:
    root = start(zoo.DEAF_TREE)
    wait_for(lambda: len(make_plan(baseline.look, [root.pid], scope="tree").targets) == 7)
    report = end(baseline, root.pid, "tree", grace=0.2)
    assert report.done and len(report.results) == 7
    assert {one.signal_sent for one in report.results} == {"KILL"}
    assert not any(alive(one.pid) for one in report.results)


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_14_a_respawning_supervisor_leaves_no_worker(
    baseline: ProcessBaseline, start: Start, deaf: bool, signum: int
) -> None:
    root = start(zoo.RESPAWNER, *(["deaf"] if deaf else []))
    report = end(baseline, root.pid, "tree", signal=signum, grace=0.3)
    assert report.done, report.to_dict()
    view = baseline.look()
    assert not [pid for pid in view.job if alive(pid)], "somebody of the job lives"


def test_17_who_joins_the_group_after_the_plan_stops_it(baseline: ProcessBaseline) -> None:
    leader = subprocess.Popen(SLEEP, process_group=0)
    joined: subprocess.Popen[bytes] | None = None
    try:
        plan = make_plan(baseline.look, [leader.pid], scope="group")
        assert [one.pid for one in plan.targets] == [leader.pid]
        joined = subprocess.Popen(SLEEP, process_group=leader.pid)
        ProcessProtection.protect(joined.pid)
        report = execute(plan, baseline.look)
        assert outcomes(report) == {leader.pid: ("denied", None)} and not report.done
        assert "protected" in (report.results[0].reason or "")
        assert alive(leader.pid) and alive(joined.pid)
    finally:
        ProcessProtection.PROTECTED_PIDS.clear()
        for child in filter(None, (leader, joined)):
            signals.end_helper(child)


def test_17_also_within_the_grace(baseline: ProcessBaseline) -> None:
    deaf = "import signal,time;signal.signal(15,signal.SIG_IGN);print(1,flush=True);time.sleep(60)"
    leader = subprocess.Popen(python(deaf), process_group=0, stdout=subprocess.PIPE)
    joined: list[subprocess.Popen[bytes]] = []

    def meanwhile(stage: str, left: int, total: int) -> None:
        if stage == "term":
            joined.append(subprocess.Popen(SLEEP, process_group=leader.pid))
            ProcessProtection.protect(joined[0].pid)

    try:
        assert leader.stdout is not None and leader.stdout.readline()
        plan = make_plan(baseline.look, [leader.pid], scope="group")
        report = execute(plan, baseline.look, grace=0.1, on_progress=meanwhile)
        assert outcomes(report) == {leader.pid: ("survivor", "TERM")}
        assert alive(leader.pid) and alive(joined[0].pid)
    finally:
        ProcessProtection.PROTECTED_PIDS.clear()
        for child in (leader, *joined):
            signals.end_helper(child, 0.0)
            if child.stdout:
                child.stdout.close()


def test_18_a_child_that_has_no_group_yet_shares_ours(baseline: ProcessBaseline) -> None:
    child = subprocess.Popen(SLEEP)
    try:
        assert os.getpgid(child.pid) == os.getpgrp()
        plan = make_plan(baseline.look, [child.pid], scope="group")
        assert plan.targets == () and plan.stopped
        assert os.getpid() in {one.pid for one in plan.refused if one.role == "self"}
        report = execute(plan, baseline.look, signal=signal.SIGKILL)
        assert report.results == () and not report.done
        assert not make_group_plan(baseline.look, os.getpgrp()).targets
        assert alive(child.pid)
    finally:
        signals.end_helper(child)


def test_20_self_and_ancestors_by_every_way(baseline: ProcessBaseline) -> None:
    chain = [os.getpid()]
    while chain[-1] > 1:
        stat = Path(f"/proc/{chain[-1]}/stat").read_text()
        chain.append(int(stat.rpartition(")")[2].split()[1]))
    groups = {os.getpgid(pid) for pid in chain if pid > 1} - {0, 1}
    for pid in chain:
        if pid <= 1:
            continue
        for scope in ("single", "tree", "group"):
            plan = make_plan(baseline.look, [pid], scope=scope)  # type: ignore[arg-type]
            assert plan.targets == () and plan.stopped, (pid, scope)
    for pgid in groups:
        assert make_group_plan(baseline.look, pgid).targets == ()


INSIDE = """
import os, sys
from proctui.awareness.library import ProcessBaseline
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan
baseline = ProcessBaseline(register=False)
for scope in ("single", "tree", "group"):
    for pid in (os.getppid(), int(sys.argv[1]), os.getpid()):
        plan = make_plan(baseline.look, [pid], scope=scope)
        assert not plan.targets, (scope, pid, plan)
        assert not execute(plan, baseline.look, signal=9).results
print("nobody", flush=True)
"""


def test_20_who_is_inside_the_job_kills_neither_it_nor_himself(baseline: ProcessBaseline) -> None:
    shell = f"{sys.executable} -c '{INSIDE}' $$; echo shell lives"
    with running(["sh", "-c", shell], stdout=subprocess.PIPE) as job:
        out, _ = job.communicate(timeout=120)
        assert out.decode().split("\n")[:2] == ["nobody", "shell lives"]


def test_25_death_between_confirmation_and_signal(baseline: ProcessBaseline) -> None:
    with running(SLEEP) as target, running(SLEEP) as other:
        plan = make_plan(baseline.look, [target.pid, other.pid])
        os.kill(target.pid, signal.SIGKILL)
        target.wait()
        report = execute(plan, baseline.look)
        assert outcomes(report) == {target.pid: ("gone", None), other.pid: ("zombie", "TERM")}
        assert report.done


def test_25_a_refresh_that_changes_a_role_stops_the_signal(baseline: ProcessBaseline) -> None:
    with running(SLEEP) as target:
        plan = make_plan(baseline.look, [target.pid])
        ProcessProtection.protect(target.pid)
        try:
            report = execute(plan, baseline.look, signal=signal.SIGKILL)
        finally:
            ProcessProtection.PROTECTED_PIDS.clear()
        assert outcomes(report) == {target.pid: ("denied", None)}
        assert "protected" in (report.results[0].reason or "") and alive(target.pid)


def test_25_an_exec_in_between_is_still_the_same_process(baseline: ProcessBaseline) -> None:
    wait = ["sh", "-c", "read line; exec sleep 1000"]
    with running(wait, stdin=subprocess.PIPE) as target:
        plan = make_plan(baseline.look, [target.pid])
        assert target.stdin is not None
        target.stdin.write(b"go\n")
        target.stdin.flush()
        wait_for(lambda: Path(f"/proc/{target.pid}/comm").read_text() == "sleep\n")
        assert execute(plan, baseline.look).done
        assert target.wait(5) == -signal.SIGTERM


def test_escalation_outlives_the_leader(baseline: ProcessBaseline, start: Start) -> None:
    """The leader obeys TERM, its child doesn't: KILL still reaches the orphan."""
    code = zoo._LIFE + (
        "if os.fork() == 0:\n"
        "    signal.signal(15, signal.SIG_IGN); ready(os.getpid()); stay(); os._exit(0)\n"
        "stay()\n"
    )
    root = start(code)
    (child,) = root.said  # type: ignore[attr-defined]
    report = end(baseline, root.pid, "tree", grace=0.2)
    found = outcomes(report)
    assert found[root.pid][1] == "TERM" and found[child][1] == "KILL"
    assert not alive(child) and report.done


def test_what_sleeps_uninterruptibly_is_told_as_such(baseline: ProcessBaseline) -> None:
    """A version 1 freezer holds a process in state D, where KILL waits for the thaw."""
    place = Path(f"/sys/fs/cgroup/freezer/proctui-test-{os.getpid()}")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("no version 1 freezer may be used here")
    with running(SLEEP) as target:
        try:
            (place / "cgroup.procs").write_text(str(target.pid))
            (place / "freezer.state").write_text("FROZEN")
            wait_for(lambda: (place / "freezer.state").read_text() == "FROZEN\n")
            report = end(baseline, target.pid, grace=0.05)
            assert outcomes(report) == {target.pid: ("uninterruptible", "KILL")}
            assert not report.done and "KILL takes it" in (report.results[0].reason or "")
        finally:
            (place / "freezer.state").write_text("THAWED")
        assert target.wait(10) == -signal.SIGTERM or target.returncode == -signal.SIGKILL
    place.rmdir()


RENAMED = (
    zoo._LIFE
    + """
ctypes.CDLL(None).prctl(15, b") Z 1 1 (", 0, 0, 0)  # PR_SET_NAME
ready()
stay()
"""
)


def test_7_a_name_that_looks_like_a_stat_line(baseline: ProcessBaseline, start: Start) -> None:
    target = start(RENAMED)
    plan = make_plan(baseline.look, [target.pid], scope="tree")
    assert [(one.pid, one.name) for one in plan.targets] == [(target.pid, ") Z 1 1 (")]
    assert execute(plan, baseline.look, signal=signal.SIGKILL).done
    assert target.wait(5) == -signal.SIGKILL


FEW_DESCRIPTORS = """
import os, resource, subprocess, sys, time
from proctui.awareness.library import ProcessBaseline
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
code = "import os,signal\\nfor _ in range(60):\\n    if os.fork() == 0:\\n        while True: signal.pause()\\nprint(1, flush=True)\\nwhile True: signal.pause()"
for signum in (15, 9):
    baseline = ProcessBaseline(register=False)
    root = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    root.stdout.readline()
    plan = make_plan(baseline.look, [root.pid], scope="tree")
    assert len(plan.targets) == 61, len(plan.targets)
    report = execute(plan, baseline.look, signal=signum)
    assert report.done and len(report.results) == 61, report.to_dict()
    assert root.wait(5) == -signum
    root.stdout.close()
    baseline.close()
print("ended")
"""


def test_24_with_hardly_a_descriptor_left_a_tree_still_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "ended\n", done.stderr
