"""The session's control group is killed only where nobody but targets is in it."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator

import pytest

from proctui.awareness import cgroup as groups
from proctui.awareness.view import View
from proctui.killing import cgroup
from proctui.killing.execute import execute
from proctui.killing.plan import make_job_plan, make_plan
from tests.killing.scene import Scene
from tests.support import alive, running, wait_for

SLEEP = ["sleep", "1000"]


@pytest.fixture
def session() -> Iterator[tuple[str, str]]:
    """A session's id and the name of a control group made for it."""
    number = secrets.token_hex(16)
    name = groups.create(number)
    if name is None:
        pytest.skip("no control group may be made here")
    yield number, name
    wait_for(lambda: groups.remove(name), what="an empty control group")


def scene_of(session: tuple[str, str], *spawned: subprocess.Popen[bytes]) -> Scene:
    scene = Scene([child.pid for child in spawned])
    scene.session = scene.session._replace(id=session[0], cgroup=session[1])
    return scene


def enter(session: tuple[str, str], *children: subprocess.Popen[bytes]) -> None:
    for child in children:
        assert groups.join(session[1], session[0], child.pid)


def test_a_stranger_in_the_group_keeps_it_from_being_killed(session: tuple[str, str]) -> None:
    with running(SLEEP) as target, running(SLEEP) as stranger:
        enter(session, target, stranger)
        scene = scene_of(session, target)
        view = scene.look()
        assert (
            cgroup.kill_all(view, {target.pid: view.snapshot.procs[target.pid].identity}) == set()
        )
        assert alive(target.pid) and alive(stranger.pid)
        report = execute(make_job_plan(scene.look), scene.look, signal=9)
        assert [one.pid for one in report.results] == [target.pid] and report.done
        assert alive(stranger.pid) and not alive(target.pid)


def test_somebody_elses_group_is_not_taken_for_the_sessions(session: tuple[str, str]) -> None:
    """The name stands in a file: one that does not bear the session's id counts for nothing."""
    with running(SLEEP) as target:
        enter(session, target)
        scene = scene_of(("0" * 32, session[1]), target)
        view = scene.look()
        assert not cgroup.populated(view)
        assert (
            cgroup.kill_all(view, {target.pid: view.snapshot.procs[target.pid].identity}) == set()
        )
        assert alive(target.pid)


def test_a_group_of_targets_alone_is_killed_at_once(session: tuple[str, str]) -> None:
    with running(SLEEP) as one, running(SLEEP) as two:
        enter(session, one, two)
        scene = scene_of(session, one, two)
        view = scene.look()
        who = {child.pid: view.snapshot.procs[child.pid].identity for child in (one, two)}
        assert cgroup.kill_all(view, who) == set(who)
        assert one.wait(5) == two.wait(5) == -9


def test_one_of_the_job_that_is_no_target_keeps_it_from_being_killed(
    session: tuple[str, str],
) -> None:
    with running(SLEEP) as target, running(SLEEP) as spared:
        enter(session, target, spared)
        view = scene_of(session, target, spared).look()
        identity = view.snapshot.procs[target.pid].identity
        assert cgroup.kill_all(view, {target.pid: identity}) == set()
        reused = {target.pid: identity, spared.pid: identity._replace(pid=spared.pid)}
        assert cgroup.kill_all(view, reused) == set()
        assert alive(target.pid) and alive(spared.pid)


@pytest.mark.parametrize("signum", [15, 9])
def test_who_stands_between_the_lines_of_every_look_is_ended_too(
    session: tuple[str, str], signum: int
) -> None:
    """The target had ended when it was pinned; its successor is in the group, but in no listing."""
    with running(SLEEP) as target, running(SLEEP) as hidden:
        scene = scene_of(session, target)
        plan = make_job_plan(scene.look)
        enter(session, target, hidden)
        target.kill()
        target.wait(5)

        def look() -> View:
            view = scene.look()
            procs = {pid: row for pid, row in view.snapshot.procs.items() if pid != hidden.pid}
            return view._replace(snapshot=view.snapshot._replace(procs=procs))

        report = execute(plan, look, signal=signum, grace=0.0)
        assert [(one.pid, one.outcome) for one in report.results] == [(target.pid, "gone")]
        assert hidden.wait(5) == -9
        assert any(str(hidden.pid) in warning for warning in report.warnings)


def test_a_plan_for_a_part_of_the_job_ends_nobody_unseen(session: tuple[str, str]) -> None:
    with running(SLEEP) as target, running(SLEEP) as other, running(SLEEP) as hidden:
        scene = scene_of(session, target, other)
        plan = make_plan(scene.look, [target.pid], scope="tree")
        enter(session, target, other, hidden)
        other.kill()
        other.wait(5)
        assert execute(plan, scene.look, signal=9).done
        assert alive(hidden.pid) and not alive(target.pid)
