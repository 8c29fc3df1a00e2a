"""Who is who, on made-up machines: the contract's words, sentence by sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proctui.awareness import protect
from proctui.awareness.classify import Classifier
from proctui.awareness.session import Controller
from proctui.awareness.truth import Truth
from proctui.awareness.writer import Entry
from proctui.config import Protect
from proctui.model import Certainty, Identity, ProcInfo, Role, Verdict
from tests.awareness.world import World, session

PTS_1, PTS_2 = 34817, 34818


class Scene:
    """A user's machine with a running job: shell → proctui (self) → keeper → runner → leader."""

    def __init__(self, kind: str = "run", **fields: Any) -> None:
        world = self.world = World()
        world.add(100, 1, name="sshd", sid=100, pgid=100)
        world.add(101, 100, name="bash", sid=101, pgid=101, tty=PTS_1)
        world.add(200, 101, name="proctui", pgid=200)
        world.add(400, 101, name="vim", pgid=400)
        world.add(500, 1, name="cron", sid=500, pgid=500, tty=0)
        self.baseline = world.baseline()
        world.add(300, 200, name="keeper", sid=300, pgid=300, tty=0)
        world.add(301, 300, name="runner", sid=301, pgid=301, tty=0)
        self.leader = world.add(302, 301, name="job", sid=302, pgid=302, tty=0)
        self.own = world.procs[200].identity
        self.session = session(
            world, self.leader.identity, kind=kind, runner=world.procs[301].identity,
            keeper=world.procs[300].identity, pgid=302, sid=302, tty=0,
            controllers=(Controller("front", self.own),), **fields,
        )  # fmt: skip
        self.classifier = self.make()

    def make(self, **options: Any) -> Classifier:
        truth = options.pop("truth", None) or Truth(self.session, self.baseline, {}, "memory")
        options.setdefault("own", self.own)
        options.setdefault("root", None)
        return Classifier(truth, **options)

    def others(self) -> list[Any]:
        from proctui.awareness.chains import controllers_of

        return [(self.session, one) for one in controllers_of(self.session)]

    def see(self, pid: int | None = None, others: list[Any] | None = None) -> Any:
        verdicts = self.classifier.update(
            self.world.sample(), self.others() if others is None else others
        )
        return verdicts if pid is None else verdicts[pid]


def roles(verdicts: Any) -> dict[int, Role]:
    return {pid: verdict.role for pid, verdict in verdicts.items()}


def is_certain(verdict: Verdict) -> bool:
    return verdict.role is Role.SPAWNED and verdict.certainty is Certainty.CERTAIN


def is_likely(verdict: Verdict) -> bool:
    return verdict.role is Role.SPAWNED and verdict.certainty is Certainty.LIKELY


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
    scene.world.add(700, 1, name="python")
    environ(tmp_path, 700)
    assert scene.see(700).role is Role.UNKNOWN
    environ(tmp_path, 700, PROCTUI_SESSION="a" * 32)
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


def claim(row: Any, words: str = "seen") -> dict[Any, Entry]:
    return {row.identity.key: Entry(row.identity, (words,), Certainty.CERTAIN)}


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
