"""Plans carried out against real processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from proctui.errors import BadArgument, Changed, NoSuchProcess, RefusedError
from proctui.killing import signals
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan
from proctui.machine import identity as identities
from proctui.model import Role
from tests.killing.scene import Scene
from tests.support import alive, python, running, wait_for

SLEEP = ["sleep", "1000"]

TREE = """
import os, sys, time
depth = int(sys.argv[1])
if depth:
    for _ in range(2):
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", sys.argv[2], str(depth - 1), sys.argv[2]])
print(depth, flush=True)
time.sleep(1000)
"""


def descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def test_term_ends_one_process_and_its_neighbour_lives() -> None:
    with running(SLEEP) as target, running(SLEEP) as neighbour:
        scene = Scene([target.pid])
        plan = make_plan(scene.look, [target.pid])
        report = execute(plan, scene.look)
        assert [one.signal_sent for one in report.results] == ["TERM"]
        assert report.results[0].outcome in ("zombie", "exited")
        assert report.done
        assert target.wait(5) == -signal.SIGTERM
        assert alive(neighbour.pid)


def test_a_tree_ends_and_the_audit_line_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir(mode=0o700)
    with running(python(TREE, "3", TREE), stdout=subprocess.PIPE) as root:
        wait_for(lambda: len(descendants(root.pid)) == 15, what="the tree")
        tree = descendants(root.pid)
        scene = Scene([root.pid], directory=folder)
        plan = make_plan(scene.look, [root.pid], scope="tree")
        assert {one.pid for one in plan.targets} == set(tree)
        assert not plan.refused
        report = execute(plan, scene.look)
        assert report.done, report.to_dict()
        assert not any(alive(pid) for pid in tree)
    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert len(lines) == 1
    assert lines[0]["plan"] == plan.id
    assert lines[0]["state"] == "done"
    assert len(lines[0]["results"]) == 15


def test_what_ignores_term_is_killed_after_the_grace() -> None:
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(1000)"
    with running(python(code), stdout=subprocess.PIPE) as target:
        assert target.stdout is not None
        target.stdout.readline()
        scene = Scene([target.pid])
        report = execute(make_plan(scene.look, [target.pid]), scene.look, grace=0.1)
        assert report.results[0].signal_sent == "KILL"
        assert target.wait(5) == -signal.SIGKILL


def test_ancestors_self_and_strangers_are_refused() -> None:
    with running(SLEEP) as stranger, running(SLEEP) as target:
        scene = Scene([target.pid])
        for pid in (os.getpid(), os.getppid(), stranger.pid):
            plan = make_plan(scene.look, [pid])
            assert not plan.targets and plan.stopped
            report = execute(plan, scene.look)
            assert not report.done and report.to_dict()["error"]["kind"] == "refused"
        both = make_plan(scene.look, [target.pid, stranger.pid])
        assert both.targets == ()
        assert {one.pid for one in both.refused} == {target.pid, stranger.pid}
        execute(both, scene.look)
        assert alive(stranger.pid) and alive(target.pid)


@pytest.mark.parametrize("bad", [True, False, 0, 1, -1, 1.0, "12", None, b"1", object()])
def test_bad_arguments_are_refused_before_a_look(bad: object) -> None:
    scene = Scene([])
    with pytest.raises(BadArgument):
        make_plan(scene.look, [bad])  # type: ignore[list-item]
    assert scene.looks == 0


def test_a_pid_named_with_another_inode_has_changed() -> None:
    with running(SLEEP) as target:
        scene = Scene([target.pid])
        who = identities.identify(target.pid)
        with pytest.raises(Changed):
            make_plan(scene.look, [who._replace(inode=(who.inode or 0) + 1)])
        with pytest.raises(Changed):
            make_plan(scene.look, [who._replace(inode=None, start_ticks=1)])
        assert make_plan(scene.look, [who]).targets
        assert make_plan(scene.look, [who._replace(inode=None)]).targets
        assert make_plan(scene.look, [who._replace(start_ticks=None)]).targets


def test_a_thread_is_not_a_process() -> None:
    code = "import threading,time; threading.Thread(target=time.sleep,args=(1000,)).start(); print(1,flush=True)"
    with running(python(code), stdout=subprocess.PIPE) as target:
        assert target.stdout is not None
        target.stdout.readline()
        tasks = Path(f"/proc/{target.pid}/task")
        wait_for(lambda: len(os.listdir(tasks)) > 1)
        tids = os.listdir(tasks)
        tid = next(int(one) for one in tids if int(one) != target.pid)
        scene = Scene([target.pid])
        with pytest.raises(NoSuchProcess):
            make_plan(scene.look, [tid])
        assert alive(target.pid)


def test_other_signals_are_sent_once() -> None:
    with running(SLEEP) as target:
        scene = Scene([target.pid])
        plan = make_plan(scene.look, [target.pid])
        stopped = execute(plan, scene.look, signal=signal.SIGSTOP)
        assert stopped.done and stopped.results[0].outcome == "survivor"
        assert stopped.results[0].signal_sent == "STOP"
        assert Path(f"/proc/{target.pid}/stat").read_text().split()[2] == "T"
        assert execute(plan, scene.look, signal=signal.SIGCONT).done
        wait_for(lambda: Path(f"/proc/{target.pid}/stat").read_text().split()[2] == "S")
        ended = execute(plan, scene.look, signal=signal.SIGHUP)
        assert ended.results[0].outcome == "zombie" and ended.done


def test_a_stopped_target_hears_term() -> None:
    with running(SLEEP) as target:
        scene = Scene([target.pid])
        plan = make_plan(scene.look, [target.pid])
        execute(plan, scene.look, signal=signal.SIGSTOP)
        report = execute(plan, scene.look)
        assert report.results[0].signal_sent == "TERM"
        assert target.wait(5) == -signal.SIGTERM


def test_kill_of_a_tree_freezes_and_nobody_stays_stopped() -> None:
    with running(python(TREE, "3", TREE), stdout=subprocess.PIPE) as root:
        wait_for(lambda: len(descendants(root.pid)) == 15, what="the tree")
        tree = descendants(root.pid)
        scene = Scene([root.pid])
        started = time.monotonic()
        report = execute(
            make_plan(scene.look, [root.pid], scope="tree"), scene.look, signal=signal.SIGKILL
        )
        print("KILL took", time.monotonic() - started, scene.looks)
        assert report.done, report.to_dict()
        assert not any(alive(pid) for pid in tree)


def test_everybody_is_stopped_before_the_first_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    send = signals.send

    def recorded(pin: signals.Pin, signum: int) -> None:
        sent.append((pin.identity.pid, signum))
        send(pin, signum)

    monkeypatch.setattr(signals, "send", recorded)
    with running(python(TREE, "2", TREE), stdout=subprocess.PIPE) as root:
        wait_for(lambda: len(descendants(root.pid)) == 7, what="the tree")
        tree = descendants(root.pid)
        scene = Scene([root.pid])
        plan = make_plan(scene.look, [root.pid], scope="tree")
        assert execute(plan, scene.look, signal=signal.SIGKILL).done
    assert [signum for _, signum in sent] == [signal.SIGSTOP] * 7 + [signal.SIGKILL] * 7
    assert sent[0][0] == root.pid and {pid for pid, _ in sent} == set(tree)


def test_who_shows_up_after_the_kill_is_killed_too() -> None:
    with running(SLEEP) as root, contextlib.ExitStack() as stack:
        scene = Scene([root.pid])
        late: list[subprocess.Popen[bytes]] = []

        def appear() -> None:
            if not late and not alive(root.pid):
                late.append(stack.enter_context(running(SLEEP)))
                scene.spawned.add(identities.identify(late[0].pid).key)

        plan = make_plan(scene.look, [root.pid], scope="tree")
        scene.before = appear
        report = execute(plan, scene.look, signal=signal.SIGKILL)
        assert report.done, report.to_dict()
        assert [(one.pid, one.joined) for one in report.results] == [
            (root.pid, False),
            (late[0].pid, True),
        ]
        assert late[0].wait(5) == -signal.SIGKILL


def test_the_refused_of_a_tree_are_skipped() -> None:
    with running(python(TREE, "1", TREE), stdout=subprocess.PIPE) as root:
        wait_for(lambda: len(descendants(root.pid)) == 3, what="the tree")
        spared = descendants(root.pid)[1]
        scene = Scene([root.pid], protected=[spared])
        plan = make_plan(scene.look, [root.pid], scope="tree")
        assert [one.pid for one in plan.refused] == [spared]
        assert plan.refused[0].role is Role.PROTECTED
        report = execute(plan, scene.look)
        assert not report.done
        assert alive(spared) and not alive(root.pid)


def test_a_changed_copy_of_a_plan_is_refused() -> None:
    with running(SLEEP) as target, running(SLEEP) as other:
        scene = Scene([target.pid, other.pid])
        plan = make_plan(scene.look, [target.pid])
        elsewhere = make_plan(scene.look, [other.pid])
        for forged in (
            replace(plan, targets=elsewhere.targets),
            replace(plan, likely_ok=frozenset({elsewhere.targets[0].identity.key})),
            replace(plan, scope="tree"),
            replace(plan, whole_job=not plan.whole_job),
        ):
            with pytest.raises(RefusedError, match="changed"):
                execute(forged, scene.look)
        assert alive(target.pid) and alive(other.pid)
        assert make_plan(scene.look, [target.pid]).id == plan.id != elsewhere.id


def test_a_plan_is_not_carried_out_in_the_eyes_of_another_session() -> None:
    with running(SLEEP) as target:
        scene, other = Scene([target.pid]), Scene([target.pid])
        other.session = other.session._replace(id="1" * 32)
        report = execute(make_plan(scene.look, [target.pid]), other.look)
        assert [one.outcome for one in report.results] == ["denied"] and not report.done
        assert report.to_dict()["error"]["kind"] == "refused"
        assert alive(target.pid)


def test_the_last_wall_behind_the_roles() -> None:
    for pid in (os.getpid(), os.getppid()):
        held = signals.pin(identities.identify(pid))
        with pytest.raises(RefusedError):
            signals.send(held, signal.SIGTERM)
        held.close()


def test_without_a_place_for_the_audit_line_nothing_is_signalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proctui.paths.state_places", lambda: ["/proc/nowhere"])
    with running(SLEEP) as target:
        scene = Scene([target.pid])
        with pytest.raises(RefusedError, match="audit"):
            execute(make_plan(scene.look, [target.pid]), scene.look)
        assert alive(target.pid)


def test_degraded_mode_works_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pidfds: start times are compared, whole trees still end, every document tells."""

    def blocked(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", blocked)
    with running(python(TREE, "2", TREE), stdout=subprocess.PIPE) as root, running(SLEEP) as other:
        wait_for(lambda: len(descendants(root.pid)) == 7, what="the tree")
        tree = descendants(root.pid)
        scene = Scene([root.pid])
        plan = make_plan(scene.look, [root.pid], scope="tree")
        assert any(one.startswith("degraded:") for one in plan.to_dict()["warnings"])
        stale = plan.targets[0].identity._replace(start_ticks=1)
        with pytest.raises(Changed):
            make_plan(scene.look, [stale])
        for signum in (signal.SIGTERM, signal.SIGKILL):
            report = execute(plan, scene.look, signal=signum)
            assert report.done, report.to_dict()
            assert any("degraded" in one for one in report.to_dict()["warnings"])
        assert not any(alive(pid) for pid in tree)
        assert alive(other.pid)
