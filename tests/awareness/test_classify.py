"""Who is who, on made-up machines: the contract's words, sentence by sentence."""

from __future__ import annotations

from proctui.awareness.classify import Classifier
from proctui.awareness.truth import Truth
from proctui.model import Role
from tests.awareness.scene import PTS_2, Scene, is_certain, is_likely, roles
from tests.awareness.world import World, session


def test_each_role_of_a_running_job() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    assert roles(scene.see()) == {
        1: Role.ANCESTOR, 2: Role.PROTECTED, 100: Role.ANCESTOR, 101: Role.ANCESTOR,
        200: Role.SELF, 300: Role.ANCESTOR, 301: Role.PROTECTED, 302: Role.SPAWNED,
        303: Role.SPAWNED, 400: Role.BASELINE, 500: Role.BASELINE,
    }  # fmt: skip


def test_evidence_says_why() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    verdicts = scene.see()
    assert verdicts[303].evidence[0].startswith("child of 302 (job), seen ")
    assert verdicts[302].evidence == ("the job's leader",)
    assert "existed before the session began" in verdicts[400].evidence[0]


def test_once_a_descendant_always_spawned() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    scene.world.add(304, 303, sid=304, pgid=304)
    assert is_certain(scene.see(304))
    scene.world.end(303, reaper=1)
    verdict = scene.see(304)
    assert is_certain(verdict) and verdict.evidence[0].startswith("child of 303 (job)")


def test_an_orphan_stands_under_its_nearest_living_ancestor() -> None:
    scene = Scene()
    for pid in (303, 304, 305):
        scene.world.add(pid, pid - 1)
    scene.see()
    scene.world.end(304, reaper=301)
    scene.see()
    assert scene.classifier.tree.moved == {305: 303}
    scene.world.end(303, reaper=301)
    scene.see()
    assert scene.classifier.tree.moved == {305: 302}
    assert scene.classifier.tree.children[302] == (305,)
    assert 305 not in scene.classifier.tree.children[301]


def test_what_is_taken_in_by_the_reaper_is_spawned_though_its_parent_was_never_seen() -> None:
    scene = Scene()
    scene.see()
    scene.world.add(310, 301, sid=310, pgid=310)
    assert is_certain(scene.see(310))


def test_a_helper_in_the_runners_own_session_is_not_the_jobs() -> None:
    scene = Scene()
    scene.world.add(311, 301)
    assert scene.see(311).role is Role.UNKNOWN


def test_a_new_child_of_a_baseline_process_stays_unknown() -> None:
    """Adversarial case 22."""
    scene = Scene()
    scene.see()
    scene.world.add(401, 400)
    scene.world.add(402, 401)
    verdicts = scene.see()
    assert verdicts[401].role is verdicts[402].role is Role.UNKNOWN
    assert "nothing shows" in verdicts[401].evidence[0]


def test_a_library_callers_older_child_is_baseline_and_what_that_starts_unknown() -> None:
    world = World()
    world.add(100, 1, name="app")
    world.add(101, 100, name="older")
    baseline = world.baseline()
    app = world.procs[100].identity
    told = session(world, app, kind="library", runner=app)
    classifier = Classifier(Truth(told, baseline, {}, "own"), own=app, root=None)
    world.add(102, 101)
    world.add(103, 100)
    world.add(104, 103)
    verdicts = classifier.update(world.sample())
    assert roles(verdicts) == {
        1: Role.ANCESTOR, 2: Role.PROTECTED, 100: Role.SELF, 101: Role.BASELINE,
        102: Role.UNKNOWN, 103: Role.SPAWNED, 104: Role.SPAWNED,
    }  # fmt: skip


def test_a_reused_number_is_somebody_else() -> None:
    """Adversarial case 5, in one tick."""
    scene = Scene()
    scene.world.add(303, 302)
    assert is_certain(scene.see(303))
    scene.world.reuse(303, 500, name="stranger")
    assert scene.see(303).role is Role.UNKNOWN
    scene.world.reuse(400, 302)
    assert is_certain(scene.see(400))


def test_a_parent_that_is_younger_than_its_child_is_no_evidence() -> None:
    scene = Scene()
    orphan = scene.world.add(410, 9999)
    scene.see()
    scene.world.add(9999, 302)
    # The row still names the number that the job's new process has now.
    assert orphan.ppid == 9999
    verdicts = scene.see()
    assert is_certain(verdicts[9999]) and verdicts[410].role is Role.UNKNOWN


def test_a_cycle_of_parents_ends_every_walk() -> None:
    scene = Scene()
    scene.world.add(600, 601, ticks=50)
    scene.world.add(601, 600, ticks=50)
    scene.world.change(101, ppid=200)
    verdicts = scene.see()
    assert verdicts[600].role is verdicts[601].role is Role.UNKNOWN
    assert verdicts[101].role is Role.ANCESTOR and verdicts[200].role is Role.SELF
    assert scene.classifier.tree.below(600) == {601}


def test_a_window_opened_later_in_the_jobs_tmux_is_only_likely() -> None:
    scene = Scene()
    scene.world.add(303, 302, name="tmux: server", sid=303, pgid=303)
    scene.world.end(302, reaper=301)
    scene.world.add(320, 303, name="bash", sid=320, pgid=320, tty=PTS_2)
    scene.world.add(321, 320, name="make")
    scene.world.add(322, 320, name="daemon", sid=322, pgid=322, tty=0)
    verdicts = scene.see()
    assert is_certain(verdicts[303])
    assert is_likely(verdicts[320]) and "pts/2" in " ".join(verdicts[320].evidence)
    assert is_likely(verdicts[321]) and is_likely(verdicts[322])


def test_a_terminal_taken_after_the_first_look_makes_it_likely_with_all_below() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    scene.world.add(304, 303)
    assert is_certain(scene.see(304))
    scene.world.change(303, tty=PTS_2, sid=303)
    verdicts = scene.see()
    assert is_likely(verdicts[303]) and is_likely(verdicts[304]) and is_certain(verdicts[302])
    scene.world.change(303, tty=0)
    scene.world.end(303, reaper=301)
    assert is_likely(scene.see(304))


def test_the_jobs_own_terminal_is_no_foreign_one() -> None:
    scene = Scene()
    scene.session = session(
        scene.world, scene.leader.identity, runner=scene.world.procs[301].identity, tty=PTS_2
    )
    scene.classifier = scene.make()
    scene.world.change(302, tty=PTS_2)
    scene.world.add(303, 302)
    assert is_certain(scene.see(303))
    scene.world.end(302, reaper=301)
    scene.world.add(304, 303)
    assert is_certain(scene.see(304))
