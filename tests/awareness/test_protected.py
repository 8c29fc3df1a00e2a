"""Who is protected: controllers, ancestors, what is configured or registered; who is adopted or named."""

from __future__ import annotations

from typing import Any

from proctui.awareness import protect
from proctui.awareness.classify import Classifier
from proctui.awareness.session import Controller
from proctui.awareness.truth import Truth
from proctui.config import Protect
from proctui.model import Identity, ProcInfo, Role
from tests.awareness.scene import Scene, claim, is_certain, is_likely, roles
from tests.awareness.world import World, session


def test_a_controller_inside_the_job_is_judged_as_the_jobs() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    inner = scene.world.add(304, 303, name="pytest")
    scene.world.add(305, 304)
    nested = session(
        scene.world, inner.identity, id="c" * 32, kind="library", runner=inner.identity
    )
    others = [*scene.others(), (nested, Controller("owner", inner.identity))]
    verdicts = scene.see(others=others)
    assert all(is_certain(verdicts[pid]) for pid in (302, 303, 304, 305))
    assert verdicts[301].role is Role.ANCESTOR


def test_the_caller_inside_the_job_and_its_chain_are_untouchable() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    caller = scene.world.add(304, 303)
    scene.world.add(305, 302)
    scene.classifier = scene.make(own=caller.identity)
    verdicts = scene.see()
    assert verdicts[304].role is Role.SELF
    assert verdicts[303].role is verdicts[302].role is verdicts[301].role is Role.ANCESTOR
    assert is_certain(verdicts[305])


def test_whom_we_look_for_is_as_untouchable_as_we_are() -> None:
    scene = Scene()
    agent = scene.world.add(303, 302)
    asker = scene.world.add(304, 303)
    scene.classifier = scene.make(requester=asker.identity)
    verdicts = scene.see()
    assert verdicts[304].role is verdicts[303].role is verdicts[302].role is Role.ANCESTOR
    assert agent.pid == 303


def test_other_sessions_controllers_are_protected_and_what_is_above_them() -> None:
    scene = Scene()
    scene.world.add(800, 1, name="tmux", sid=800, pgid=800)
    other = scene.world.add(801, 800, name="proctui")
    elsewhere = session(scene.world, None, id="d" * 32, runner=other.identity)
    verdicts = scene.see(others=[*scene.others(), (elsewhere, Controller("owner", other.identity))])
    assert verdicts[801].role is Role.PROTECTED
    assert verdicts[800].role is Role.ANCESTOR


def test_a_controllers_number_that_was_given_out_again_protects_nobody() -> None:
    scene = Scene()
    other = scene.world.add(801, 500)
    scene.world.reuse(801, 302)
    elsewhere = session(scene.world, None, id="d" * 32, runner=other.identity)
    verdict = scene.see(801, [*scene.others(), (elsewhere, Controller("owner", other.identity))])
    assert is_certain(verdict)


def test_a_session_whose_owner_belongs_to_another_job_speaks_for_that_job_alone() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    stranger = scene.world.add(900, 1, sid=900, pgid=900)
    truth = Truth(scene.session, scene.baseline, claim(stranger), "memory")
    scene.classifier = scene.make(truth=truth)
    scene.classifier.bind(frozenset({scene.world.procs[301].identity.key}))
    verdicts = scene.see()
    assert is_certain(verdicts[303])
    assert is_likely(verdicts[900])


def rules(**values: Any) -> protect.Rules:
    return protect.Rules.of(Protect(**values))


def test_the_configuration_protects_by_name_and_command() -> None:
    scene = Scene()
    scene.world.add(303, 302, name="postgres")
    row = scene.world.add(304, 302, name="python3")
    scene.world.add(305, 302, name="python3")
    scene.world.infos[304] = ProcInfo(row.identity, ("python3", "-m", "db"), "/usr/bin/py", None)
    scene.classifier = scene.make(
        rules=rules(names=("postgres",), commands=(r"-m db\b",)), lookup=scene.world.info
    )
    verdicts = scene.see()
    assert verdicts[303].role is verdicts[304].role is Role.PROTECTED
    assert "postgres" in verdicts[303].evidence[0]
    assert is_certain(verdicts[305])


def test_what_code_registers_is_protected_by_identity() -> None:
    scene = Scene()
    row = scene.world.add(303, 302)
    found: list[Identity] = [row.identity]

    def hook() -> list[Identity]:
        return found

    protect.register(hook, "somebody said so")
    try:
        assert scene.see(303).role is Role.PROTECTED
        assert scene.see(303).evidence == ("somebody said so",)
        found.clear()
        assert is_certain(scene.see(303))
    finally:
        protect._hooks.remove((hook, "somebody said so"))


def test_a_users_service_manager_is_protected_but_not_whoever_takes_its_name() -> None:
    scene = Scene()
    scene.world.add(850, 1, name="systemd", uid=1000)
    scene.world.add(303, 302, name="work")
    scene.see()
    scene.world.change(303, name="systemd")
    scene.world.end(302, reaper=1)
    verdicts = scene.see()
    assert verdicts[850].role is Role.PROTECTED
    assert is_certain(verdicts[303])


def test_adoption_turns_baseline_and_unknown_into_spawned() -> None:
    scene = Scene()
    scene.see()
    for pid in (400, 500):
        scene.classifier.adopt(scene.world.procs[pid].identity, "adopted by ann at 10:00:00")
    verdicts = scene.see()
    assert is_certain(verdicts[500]) and verdicts[500].evidence == ("adopted by ann at 10:00:00",)


def test_adoption_does_not_reach_above_the_rules() -> None:
    scene = Scene()
    scene.see()
    scene.classifier.adopt(scene.world.procs[101].identity, "adopted by ann at 10:00:00")
    assert scene.see(101).role is Role.ANCESTOR


def test_what_watch_names_is_likely_and_what_it_starts_later_certain() -> None:
    world = World()
    world.add(100, 1, name="shell")
    world.add(101, 100, name="proctui")
    server = world.add(300, 1, name="server", sid=300, pgid=300)
    world.add(301, 300)
    world.add(302, 1, name="other")
    baseline = world.baseline(without=(300, 301))
    own = world.procs[101].identity
    told = session(world, server.identity, kind="watch", runner=own)
    classifier = Classifier(Truth(told, baseline, {}, "own"), own=own, root=None)
    classifier.name_as_job([world.procs[300], world.procs[301]], 0.0)
    verdicts = classifier.update(world.sample())
    assert is_likely(verdicts[300]) and is_likely(verdicts[301])
    assert "named as the job" in verdicts[300].evidence[0]
    assert verdicts[302].role is Role.BASELINE
    world.add(303, 301)
    assert is_certain(classifier.update(world.sample())[303])


def test_without_a_session_nobody_is_the_jobs() -> None:
    scene = Scene()
    classifier = Classifier(None, own=scene.own, root=None)
    verdicts = classifier.update(scene.world.sample())
    assert set(roles(verdicts).values()) == {
        Role.SELF, Role.ANCESTOR, Role.PROTECTED, Role.UNKNOWN
    }  # fmt: skip


def test_verdicts_are_the_same_object_while_nothing_moves() -> None:
    scene = Scene()
    first = scene.see()
    scene.world.change(400, cpu=50.0)
    scene.world.change(302, cpu=50.0)
    assert scene.see() is first


def test_evidence_is_kept_while_everything_else_changes() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    first = scene.see(303)
    scene.world.change(303, name="renamed", pgid=303)
    assert scene.see(303) == first
