"""Evidence beyond ancestry: markers, groups, claims, and what files may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctui.awareness.classify import Classifier
from proctui.awareness.truth import Truth
from proctui.model import Certainty, Role
from tests.awareness.scene import Scene, claim, is_certain, is_likely, roles
from tests.awareness.world import World, session


def environ(root: Path, pid: int, **values: str) -> None:
    folder = root / str(pid)
    folder.mkdir(exist_ok=True)
    content = b"\0".join(f"{name}={value}".encode() for name, value in values.items())
    (folder / "environ").write_bytes(content)


def test_a_marker_alone_is_likely_and_so_is_what_descends_from_it(tmp_path: Path) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path))
    scene.see()
    scene.world.add(700, 1, name="gradled", sid=700, pgid=700)
    scene.world.add(701, 700)
    scene.world.add(702, 1, sid=702, pgid=702)
    environ(tmp_path, 700, PROCTUI_SESSION="b" * 32 + ":" + "a" * 32)
    environ(tmp_path, 701)
    environ(tmp_path, 702, PROCTUI_SESSION="b" * 32)
    verdicts = scene.see()
    assert is_likely(verdicts[700]) and is_likely(verdicts[701])
    assert verdicts[702].role is Role.UNKNOWN


def test_a_marker_counts_only_for_the_same_user_and_after_the_session(tmp_path: Path) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path))
    scene.world.add(700, 1, uid=1000)
    scene.world.add(701, 1, ticks=10)
    for pid in (700, 701):
        environ(tmp_path, pid, PROCTUI_SESSION="a" * 32)
    verdicts = scene.see()
    assert verdicts[700].role is Role.UNKNOWN
    assert verdicts[700].unchecked == ("environ: the process runs as uid 1000",)
    assert verdicts[701].role is Role.UNKNOWN


def test_an_unreadable_environment_is_told(tmp_path: Path) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path))
    scene.world.add(700, 1)
    (tmp_path / "700" / "environ").mkdir(parents=True)
    assert scene.see(700).unchecked == ("environ: is a directory",)


def test_an_environment_is_asked_again_after_the_exec(tmp_path: Path) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path))
    for pid in (700, 701):
        scene.world.add(pid, 1, name="python")
        environ(tmp_path, pid)
        assert scene.see(pid).role is Role.UNKNOWN
        environ(tmp_path, pid, PROCTUI_SESSION="a" * 32)
    scene.world.change(701, name="train")
    assert is_likely(scene.see(701))
    scene.world.now += 200
    assert is_likely(scene.see(700))


def test_a_managed_group_or_session_alone_is_likely() -> None:
    scene = Scene()
    scene.world.add(710, 1, sid=302, pgid=710)
    scene.world.add(711, 1, sid=711, pgid=302)
    verdicts = scene.see()
    assert is_likely(verdicts[710]) and is_likely(verdicts[711])


def test_a_group_number_that_is_not_the_leaders_says_nothing() -> None:
    scene = Scene()
    scene.session = session(scene.world, scene.leader.identity, pgid=710, sid=101)
    scene.classifier = scene.make()
    scene.world.add(710, 1, sid=101, pgid=710)
    assert scene.see(710).role is Role.UNKNOWN


def test_likely_becomes_certain_when_the_kernel_confirms_it(tmp_path: Path) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path))
    scene.world.add(700, 500, sid=700, pgid=700)
    environ(tmp_path, 700, PROCTUI_SESSION="a" * 32)
    scene.world.add(701, 700)
    assert is_likely(scene.see(701))
    scene.world.change(700, ppid=301)
    verdicts = scene.see()
    assert is_certain(verdicts[700]) and is_certain(verdicts[701])


@pytest.mark.parametrize(
    ("proof", "expected"),
    [("memory", Certainty.CERTAIN), ("socket", Certainty.CERTAIN), (None, Certainty.LIKELY)],
)
def test_what_the_living_owner_knows_is_certain_what_a_file_says_likely(
    proof: str | None, expected: Certainty
) -> None:
    scene = Scene()
    stray = scene.world.add(720, 1, sid=720, pgid=720)
    scene.classifier = scene.make(truth=Truth(scene.session, scene.baseline, claim(stray), proof))
    verdict = scene.see(720)
    assert (verdict.role, verdict.certainty) == (Role.SPAWNED, expected)


def test_files_alone_make_not_even_the_leaders_tree_certain() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    scene.classifier = scene.make(truth=Truth(scene.session, scene.baseline, {}, None))
    verdicts = scene.see()
    assert is_likely(verdicts[302]) and is_likely(verdicts[303])


def test_a_file_does_not_condemn_what_is_older_than_the_session() -> None:
    scene = Scene()
    old = scene.world.procs[500]
    scene.classifier = scene.make(truth=Truth(scene.session, None, claim(old), None))
    assert scene.see(500).role is Role.UNKNOWN


def test_a_claim_never_turns_the_baseline() -> None:
    scene = Scene()
    cron = scene.world.procs[500]
    truth = Truth(scene.session, scene.baseline, claim(cron), "memory")
    scene.classifier = scene.make(truth=truth)
    assert scene.see(500).role is Role.BASELINE


def test_a_claim_about_another_process_of_that_number_is_nothing() -> None:
    scene = Scene()
    row = scene.world.add(720, 1)
    other = row._replace(identity=row.identity._replace(inode=1))
    truth = Truth(scene.session, scene.baseline, claim(other), "memory")
    scene.classifier = scene.make(truth=truth)
    assert scene.see(720).role is Role.UNKNOWN


def test_a_registry_that_cannot_be_believed_leaves_nothing_to_kill() -> None:
    scene = Scene()
    scene.world.add(303, 302)
    truth = Truth(scene.session, blocked="the registry is corrupt", proof=None)
    scene.classifier = scene.make(truth=truth)
    verdicts = scene.see()
    assert Role.SPAWNED not in roles(verdicts).values()
    assert verdicts[303].evidence[0] == "the registry is corrupt"


def test_a_parents_number_that_went_on_while_we_looked_makes_nobody_certain() -> None:
    """The row still shows the job's process, the number is a stranger's by now."""
    scene = Scene()
    lost: set[int] = set()
    scene.classifier = scene.make(confirm=lambda identity: identity.pid not in lost)
    scene.world.add(303, 302)
    assert is_certain(scene.see(303))
    lost.add(303)
    scene.world.add(304, 303)
    verdict = scene.see(304)
    assert is_likely(verdict) and "its parent ended while we looked" in verdict.evidence
    scene.world.add(305, 302)
    assert is_certain(scene.see(305))


@pytest.mark.parametrize("evidence", ["cgroup", "marker"])
def test_what_was_read_of_another_owner_of_the_number_is_nothing(
    tmp_path: Path, evidence: str
) -> None:
    scene = Scene(marker="a" * 32)
    scene.classifier = scene.make(root=str(tmp_path), confirm=lambda identity: False)
    scene.world.add(740, 1, sid=740, pgid=740)
    environ(tmp_path, 740, PROCTUI_SESSION="a" * 32 if evidence == "marker" else "")
    inside = frozenset({740} if evidence == "cgroup" else ())
    verdicts = scene.classifier.update(scene.world.sample(), scene.others(), inside)
    assert verdicts[740].role is Role.UNKNOWN


def program(leader: int) -> tuple[World, Classifier]:
    """A program with a baseline of its own, as the first process of a container or not."""
    world = World()
    if leader != 1:
        world.add(leader, 1, name="app", sid=leader)
    world.add(50, 0, name="exec", sid=50, tty=0)
    row = world.procs[leader]
    told = session(world, row.identity, kind="library", runner=row.identity)
    truth = Truth(told, world.baseline(), {}, "own")
    classifier = Classifier(truth, own=row.identity, root=None)
    classifier.update(world.sample())
    return world, classifier


def test_orphans_that_come_to_the_first_process_of_a_container_are_not_its_own() -> None:
    world, classifier = program(1)
    world.add(60, 50, sid=60)
    world.add(61, 60)
    assert classifier.update(world.sample())[61].role is Role.UNKNOWN
    world.end(60, reaper=1)
    assert classifier.update(world.sample())[61].role is Role.UNKNOWN
    world.add(62, 1, sid=62)
    world.add(63, 1)
    verdicts = classifier.update(world.sample())
    assert is_likely(verdicts[62]) and is_certain(verdicts[63])


def test_children_of_any_other_program_are_its_own() -> None:
    world, classifier = program(100)
    world.add(62, 100, sid=62)
    assert is_certain(classifier.update(world.sample())[62])
