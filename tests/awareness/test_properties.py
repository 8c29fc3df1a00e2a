"""Over random machines: nobody is ever taken for the job's who did not come from it."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proctui.awareness.classify import Classifier
from proctui.awareness.entry import Entry
from proctui.awareness.session import Controller
from proctui.awareness.tree import Tree
from proctui.awareness.truth import Truth
from proctui.model import Certainty, Proc, Role
from tests.awareness.world import World, session

ORDER = (Role.SELF, Role.ANCESTOR, Role.PROTECTED, Role.BASELINE, Role.SPAWNED, Role.UNKNOWN)
TTY = 34817
quick = settings(
    max_examples=int(os.environ.get("PROCTUI_EXAMPLES", "60")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

operations = st.lists(
    st.tuples(
        st.sampled_from(["fork", "end", "reuse", "setsid", "tty", "exec", "tick"]),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    max_size=60,
)


class Story:
    """A machine with a job, and the truth about who came from it, kept by the test itself."""

    def __init__(self, kind: str) -> None:
        world = self.world = World()
        world.add(10, 1, name="sshd")
        world.add(11, 10, name="bash")
        world.add(12, 11, name="proctui")
        world.add(13, 11, name="vim")
        world.add(14, 13)
        world.add(15, 1, name="cron")
        self.baseline = world.baseline()
        self.members = {row.identity.key for row in world.procs.values()}
        world.add(20, 12, name="keeper", sid=20)
        world.add(21, 20, name="runner", sid=21)
        leader = world.add(22, 21, name="job", sid=22)
        self.own = world.procs[12].identity
        head = leader.identity if kind == "run" else self.own
        self.session = session(
            world, head, kind=kind, pgid=22, sid=22, runner=world.procs[21].identity
            if kind == "run" else self.own,
        )  # fmt: skip
        self.ours = {leader.identity.key}
        if kind == "library":
            self.ours |= {world.procs[pid].identity.key for pid in (20, 21)}
        self.fixed = {1, 2, 10, 11, 12, 20, 21}
        self.subreaper = 21 if kind == "run" else 1
        self.classifier = Classifier(
            Truth(self.session, self.baseline, {}, "own"), own=self.own, root=None
        )
        self.others = [(self.session, Controller("owner", self.session.runner or self.own))]

    def apply(self, operation: str, first: int, second: int) -> None:
        world = self.world
        pids = sorted(world.procs)
        pid = pids[first % len(pids)]
        if operation == "fork":
            number = 1000 + second if second % 3 else 30 + second % 20
            if number not in world.procs and pid not in (1, 2, 20, 21):
                self.born(world.add(number, pid), pid)
        elif pid in self.fixed:
            return
        elif operation == "end":
            world.end(pid, self.reaper(pid))
        elif operation == "reuse":
            parent = pids[second % len(pids)]
            if parent not in (pid, 1, 2, 20, 21):
                world.end(pid, self.reaper(pid))
                self.born(world.add(pid, parent), parent)
        elif operation == "setsid":
            world.change(pid, sid=pid, pgid=pid)
        elif operation == "tty":
            world.change(pid, tty=TTY if second % 2 else 0)
        elif operation == "exec":
            world.change(pid, name=f"name{second}")
        elif operation == "tick":
            self.tick()

    def reaper(self, pid: int) -> int:
        """Orphans of the job go to its subreaper, others to init."""
        return self.subreaper if self.is_ours(self.world.procs[pid]) else 1

    def born(self, row: Proc, parent: int) -> None:
        above = self.world.procs[parent].identity
        if above.key in self.ours or (self.session.kind == "library" and above == self.own):
            self.ours.add(row.identity.key)

    def is_ours(self, row: Proc) -> bool:
        return row.identity.key in self.ours

    def tick(self) -> Any:
        self.snapshot = self.world.sample()
        self.verdicts = self.classifier.update(self.snapshot, self.others)
        return self.verdicts

    def check(self) -> None:
        procs = self.snapshot.procs
        assert set(self.verdicts) == set(procs)
        for pid, verdict in self.verdicts.items():
            row = procs[pid]
            assert (verdict.certainty is Certainty.LIKELY) <= (verdict.role is Role.SPAWNED)
            assert verdict.evidence
            if verdict.role is Role.SPAWNED:
                assert self.is_ours(row), (pid, verdict)
                assert row.identity.key not in self.members
            if row.identity.key in self.members:
                assert ORDER.index(verdict.role) <= ORDER.index(Role.BASELINE)
        assert self.verdicts[12].role is Role.SELF
        at = procs[12].ppid
        while at in procs and at != 12:
            assert self.verdicts[at].role is Role.ANCESTOR
            at = procs[at].ppid


@quick
@given(st.sampled_from(["run", "library"]), operations)
def test_nobody_else_is_ever_spawned(kind: str, moves: list[tuple[str, int, int]]) -> None:
    story = Story(kind)
    story.tick()
    for move in moves:
        story.apply(*move)
    story.tick()
    story.check()


@quick
@given(st.sampled_from(["run", "library"]), operations)
def test_everybody_seen_with_his_parent_is_spawned(
    kind: str, moves: list[tuple[str, int, int]]
) -> None:
    story = Story(kind)
    story.tick()
    for move in moves:
        story.apply(*move)
        story.tick()
        story.check()
    for pid, row in story.snapshot.procs.items():
        if story.is_ours(row):
            assert story.verdicts[pid].role in (Role.SPAWNED, Role.PROTECTED), pid


@quick
@given(st.sampled_from(["run", "library"]), operations)
def test_keeping_verdicts_is_the_same_as_judging_all_anew(
    kind: str, moves: list[tuple[str, int, int]]
) -> None:
    story = Story(kind)
    story.tick()
    for move in moves:
        story.apply(*move)
    kept = dict(story.tick())
    anew = {pid: story.classifier.decide(story.snapshot.procs, row)
            for pid, row in story.snapshot.procs.items()}  # fmt: skip
    assert kept == anew


@quick
@given(st.sampled_from(["run", "library"]), operations)
def test_the_tree_kept_is_the_tree_built_anew(kind: str, moves: list[tuple[str, int, int]]) -> None:
    story = Story(kind)
    for move in moves:
        story.apply(*move)
    story.tick()
    kept = story.classifier.tree
    anew = Tree()
    procs = story.snapshot.procs
    anew.update(procs, procs, ())
    anew.place(kept.moved)
    assert {pid: kids for pid, kids in kept.children.items() if kids} == anew.children
    shown = [kid for kids in kept.children.values() for kid in kids]
    assert len(shown) == len(set(shown))
    assert all(parent in procs for parent in kept.moved.values())


@quick
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(list(Certainty))), max_size=8),
    st.sampled_from([None, "memory", "socket"]),
    operations,
)
def test_whatever_is_claimed_the_order_holds(
    claims: list[tuple[int, Certainty]], proof: str | None, moves: list[tuple[str, int, int]]
) -> None:
    """A registry that says anything can't turn self, ancestors, the protected or the baseline,
    and files alone make nothing certain."""
    story = Story("run")
    for move in moves:
        story.apply(*move)
    rows = list(story.world.procs.values())
    said = {}
    for number, certainty in claims:
        identity = rows[number % len(rows)].identity
        said[identity.key] = Entry(identity, ("claimed",), certainty)
    truth = Truth(story.session, story.baseline, said, proof)
    story.classifier = Classifier(truth, own=story.own, root=None)
    for pid, verdict in story.tick().items():
        key = story.snapshot.procs[pid].identity.key
        if key in story.members or pid in story.fixed:
            assert verdict.role is not Role.SPAWNED
        if proof is None:
            assert verdict.role is not Role.SPAWNED or verdict.certainty is Certainty.LIKELY
