"""Looks for positive evidence that a process came from the job, and latches it.

Strongest first: the session's own control group, ancestry, being taken in by
the session's reaper, what the living owner saw, the marker, group and
session.  What speaks for a process in the files alone is ``likely`` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from proctui.awareness import evidence
from proctui.awareness.baseline import Key
from proctui.awareness.connector import Fork
from proctui.awareness.entry import Entry
from proctui.awareness.evidence import is_subreaper, started_here
from proctui.awareness.lineage import FINAL, Lineage, Record
from proctui.awareness.links import Links
from proctui.awareness.marks import Marks
from proctui.awareness.session import Session
from proctui.awareness.tree import verified_parent
from proctui.awareness.truth import ADOPTED, NAMED, Truth
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Certainty, Identity, Proc, Snapshot

__all__ = ["Gatherer"]

_PARENT_KINDS = ("library", "mcp")
"""Sessions whose leader is no process of the job itself, but the parent of it."""
_REAPER_KINDS = ("run", "demo")
"""Sessions whose owner is a subreaper."""


class Gatherer:
    """The latched evidence of one session; :meth:`gather` is told whom to look at."""

    def __init__(
        self,
        own: Identity,
        *,
        root: str | None = "/proc",
        own_children: bool = False,
        confirm: Callable[[Identity], bool] | None = None,
    ) -> None:
        self.lineage = Lineage()
        self.marks = Marks(root)
        self._own = own
        self._own_children = own_children
        self._terminals: set[int] = set()
        self._number_lost = False
        self._cgroup: frozenset[int] = frozenset()
        self._links = Links()
        self._strangers: set[Key] = set()
        self._ask = confirm
        self._confirmed: dict[int, tuple[Identity, bool]] = {}
        self._words: tuple[object, tuple[str, ...]] = (None, ())

    def forget(self, identity: Identity) -> None:
        """It has ended."""
        self.lineage.bury(identity)
        self.marks.forget(identity)
        self._strangers.discard(identity.key)

    def _holds(self, identity: Identity) -> bool:
        """Whether this process has its number still: then it had it when a row named the number.

        Asked after the rows were read.  Without this a number that is given
        out again between two reads of one look would make a stranger's child
        the job's, for good.
        """
        if self._ask is None:
            return True
        known = self._confirmed.get(identity.pid)
        if known is None or (known[0] is not identity and not known[0].same(identity)):
            known = self._confirmed[identity.pid] = (identity, self._ask(identity))
        return known[1]

    def name_as_job(self, procs: Iterable[Proc], wall: float) -> None:
        """These are the job because a person named them: likely, their later children certain."""
        words = (f"{NAMED} at {evidence.clock(wall)}",)
        for proc in procs:
            self.lineage.latch(proc.identity, "named", words)

    def take_forks(
        self,
        truth: Truth,
        events: Iterable[Fork],
        snapshot: Snapshot,
        before: Mapping[int, Identity],
    ) -> None:
        """Use what the kernel reported until ``snapshot``; ``before``: who had a pid a look ago."""
        self._confirmed.clear()
        roots = set()
        for head in (truth.session.leader, truth.session.runner):
            if head is None or truth.session.kind not in _PARENT_KINDS:
                continue
            row, former = snapshot.procs.get(head.pid), before.get(head.pid)
            if (row is not None and row.identity.same(head)) or (former and former.same(head)):
                roots.add(head.pid)
        self._links.take(events, self.lineage.at, roots.__contains__)
        for proc, link in self._links.settle(snapshot.procs, self._holds):
            if self._steers(truth.session, proc.identity):
                continue
            if truth.baseline is not None and proc.identity in truth.baseline:
                continue
            above = link.above
            if above is not None and self.lineage.get(above.identity) is not above:
                continue
            known = self.lineage.get(proc.identity)
            self._stronger(known, proc, "connector", (link.words,), above)

    def lose_forks(self) -> None:
        """Reports were lost; what is open can't be trusted."""
        self._links.clear()

    def begin(
        self, truth: Truth, procs: Mapping[int, Proc], boottime: float, cgroup: frozenset[int]
    ) -> set[int]:
        """A new look: pids about which there may be news that their rows don't tell."""
        self._confirmed.clear()
        due = self.marks.begin(procs, boottime)
        due |= (cgroup ^ self._cgroup) & procs.keys()
        self._cgroup = cgroup
        self._note_leader(truth.session, procs)
        return due

    def _note_leader(self, session: Session, procs: Mapping[int, Proc]) -> None:
        """The job's terminals, the recorded one and those its leader has had; and whether the
        leader's number is somebody else's, whose group and session then bear it."""
        if session.tty:
            self._terminals.add(session.tty)
        leader = session.leader
        row = None if leader is None else procs.get(leader.pid)
        if leader is None or row is None:
            return
        if not row.identity.same(leader):
            self._number_lost = True
        elif row.tty:
            self._terminals.add(row.tty)

    def gather(
        self,
        truth: Truth,
        procs: Mapping[int, Proc],
        due: set[int],
        wall: float,
        children: Callable[[int], Iterable[int]],
    ) -> set[int]:
        """Look for evidence about ``due``, and about the children of whom became the job's.

        Returns the pids beyond ``due`` whose verdict may have changed.
        """
        more: set[int] = set()
        version = self.lineage.version
        asked = self._promising(truth, procs, due & procs.keys(), children)
        # Parents first: they are older.
        queue = sorted(asked, key=lambda pid: (procs[pid].identity.start_ticks or 0, pid))
        for pid in queue:
            proc = procs[pid]
            before = self.lineage.get(proc.identity)
            state = None if before is None else (before.kind, before.certainty)
            record = self._find(truth, procs, proc, before, wall)
            if record is not None and (before is None or (record.kind, record.certainty) != state):
                kids = [kid for kid in children(pid) if kid not in due]
                if kids:
                    more.update(kids)
                    queue.extend(kid for kid in kids if kid in procs)
        if self.lineage.version != version:
            # A doubt, once there, spreads to everything below.
            more.update(record.identity.pid for record in self.lineage)
        return more

    def _promising(
        self,
        truth: Truth,
        procs: Mapping[int, Proc],
        due: set[int],
        children: Callable[[int], Iterable[int]],
    ) -> set[int]:
        """Those of ``due`` about whom there may be evidence.

        Where nothing but descent speaks (a program without a session) these
        are the descendants, a few among thousands.
        """
        session = truth.session
        if session.marker or session.sid or session.pgid or truth.claims or self._cgroup:
            return due
        heads = (session.leader, session.runner, session.keeper, self._own)
        queue = [head.pid for head in heads if head is not None]
        queue += [record.identity.pid for record in self.lineage]
        found = set(queue)
        for pid in queue:
            new = [kid for kid in children(pid) if kid not in found]
            found.update(new)
            queue += new
        if session.kind in _PARENT_KINDS:
            self._strangers.update(procs[pid].identity.key for pid in due - found)
        return due & found

    def _find(
        self,
        truth: Truth,
        procs: Mapping[int, Proc],
        proc: Proc,
        record: Record | None,
        wall: float,
    ) -> Record | None:
        """The record of a process of the job, made or strengthened where there is reason to."""
        session = truth.session
        baseline = truth.baseline
        if record is None and baseline is not None and proc.identity in baseline:
            return None
        if record is None or record.weak or record.tainted:
            record = self._ancestry(truth, procs, proc, record, wall) or record
        if record is None or record.weak:
            record = self._other(truth, proc, record, wall) or record
        if record is not None and not record.foreign and self._foreign(session, proc):
            self.lineage.mark_foreign(record)
        if record is None and session.kind in _PARENT_KINDS:
            self._strangers.add(proc.identity.key)
        return record

    def _ancestry(
        self,
        truth: Truth,
        procs: Mapping[int, Proc],
        proc: Proc,
        known: Record | None,
        wall: float,
    ) -> Record | None:
        """Evidence 2 and 3: the leader itself, a child of the job, a child of its reaper."""
        session, sure = truth.session, truth.proof is not None
        leader = session.leader
        if leader is not None and leader.same(proc.identity):
            if session.kind in _PARENT_KINDS or session.kind == "watch":
                return None
            words = ("the job's leader",) if sure else ("recorded as the job's leader",)
            return self._stronger(known, proc, "leader", words, None, weak=not sure)
        parent = verified_parent(procs, proc)
        if parent is None or self._steers(session, proc.identity):
            return None
        above = self.lineage.get(parent.identity)
        if above is not None:
            return self._child(proc, parent, known, wall, above)
        if session.kind in _PARENT_KINDS and any(
            head is not None and head.same(parent.identity) for head in (leader, session.runner)
        ):
            baseline = truth.baseline
            if baseline is not None and (baseline.born_during(proc) or baseline.born_before(proc)):
                return None
            return self._child_of_root(proc, parent, known, wall, sure=sure)
        if self._own_children and parent.identity.same(self._own):
            return self._child_of_root(proc, parent, known, wall, sure=True)
        for reaper in (session.runner, session.keeper):
            if (
                reaper is not None
                and session.kind in ("run", "demo")
                and reaper.same(parent.identity)
                and proc.sid != parent.sid
            ):
                words = (
                    f"child of {parent.pid}, the session's reaper, seen {evidence.clock(wall)}",
                )
                weak = not sure or not self._holds(parent.identity)
                return self._stronger(known, proc, "reaper", words, None, weak=weak)
        return None

    def _child(
        self,
        proc: Proc,
        parent: Proc,
        known: Record | None,
        wall: float,
        above: Record | None,
        *,
        sure: bool = True,
    ) -> Record | None:
        if self._words[0] != (about := (parent.pid, parent.name, wall)):
            self._words = (
                about,
                (f"child of {about[0]} ({about[1]}), seen {evidence.clock(wall)}",),
            )
        words = self._words[1]
        if not self._holds(parent.identity):
            words += ("its parent ended while we looked",)
            sure = False
        return self._stronger(known, proc, "child", words, above, weak=not sure)

    def _child_of_root(
        self, proc: Proc, parent: Proc, known: Record | None, wall: float, *, sure: bool
    ) -> Record | None:
        """A child of what the job descends from, which itself is no part of it.

        Others' orphans come to a subreaper and to pid 1 (in a container the
        program itself may be that): who was seen elsewhere before is one of
        them, and who has another session may be.
        """
        if proc.identity.key in self._strangers:
            return None
        if self._takes_orphans(parent) and proc.sid != parent.sid:
            own = self._ask is not None and parent.identity.same(self._own)
            sure = sure and own and started_here(proc.pid)
        return self._child(proc, parent, known, wall, None, sure=sure)

    def _takes_orphans(self, parent: Proc) -> bool:
        return parent.pid == 1 or (
            self._ask is not None and parent.identity.same(self._own) and is_subreaper()
        )

    def _stronger(
        self,
        known: Record | None,
        proc: Proc,
        kind: str,
        words: tuple[str, ...],
        above: Record | None,
        *,
        weak: bool | None = None,
    ) -> Record | None:
        """Latch it, unless what is known already is as good."""
        doubtful = bool(weak) or (above is not None and above.passes_doubt)
        if known is not None:
            # A doubt that came from a dead parent stays: what somebody started in a window of
            # the job's tmux is taken in by our reaper as well.
            if doubtful or known.stuck or known.foreign or known.kind in FINAL:
                return None
            if known.certainty is Certainty.CERTAIN:
                return None
        return self.lineage.latch(proc.identity, kind, words, parent=above, weak=weak)

    def _other(self, truth: Truth, proc: Proc, known: Record | None, wall: float) -> Record | None:
        """Evidence 1, what the owner or the files say, then marker and group."""
        session = truth.session
        if self._steers(session, proc.identity):
            return None
        if proc.pid in self._cgroup and self._holds(proc.identity):
            words = ("in the session's own cgroup",)
            return self._stronger(known, proc, "cgroup", words, None)
        claim = truth.claims.get(proc.identity.key)
        if claim is not None:
            return self._claimed(truth, proc, known, claim)
        if known is not None:
            return None
        since = int(session.created.boottime * CLOCK_TICKS)
        if not evidence.born_since(proc.identity, since):
            return None
        if self.marks.carries(session, proc) and self._holds(proc.identity):
            words = ("carries the session's marker in its environment",)
            return self.lineage.latch(proc.identity, "marker", words)
        group = None if self._number_lost else evidence.in_managed_group(session, proc)
        if group is not None:
            return self.lineage.latch(proc.identity, "group", (group,))
        return None

    def _claimed(
        self, truth: Truth, proc: Proc, known: Record | None, claim: Entry
    ) -> Record | None:
        """What the living owner says counts as it says it; a file's word is likely at most."""
        session = truth.session
        if truth.proof is not None:
            sure = claim.certainty is Certainty.CERTAIN
            words = (*claim.evidence, "the session's living owner knows it")
            if known is not None and not sure:
                return None
            kind = "claim"
            if claim.evidence[:1] and claim.evidence[0].startswith(NAMED):
                kind = "named"
            elif sure and _is_said(claim):
                kind = "adopted"
            return self._stronger(known, proc, kind, words, None, weak=not sure)
        if known is not None:
            return None
        since = int(session.created.boottime * CLOCK_TICKS)
        said = session.kind == "watch" or _is_said(claim)
        if not said and not evidence.born_since(proc.identity, since):
            return None
        words = (*claim.evidence, "recorded in spawned.jsonl only: its owner is gone")
        return self.lineage.latch(proc.identity, "claim", words, weak=True)

    @staticmethod
    def _steers(session: Session, identity: Identity) -> bool:
        for head in (session.runner, session.keeper):
            if head is not None and head.pid == identity.pid and head.same(identity):
                return True
        if not session.controllers:
            return False
        return any(one.identity.same(identity) for one in session.controllers)

    def _foreign(self, session: Session, proc: Proc) -> bool:
        """Whether it has a controlling terminal, and not the job's."""
        if proc.tty == 0 or proc.tty in self._terminals:
            return False
        return session.leader is None or not session.leader.same(proc.identity)


def _is_said(claim: Entry) -> bool:
    """Whether a person said it: by adopting, or by naming a tree."""
    return any(words.startswith((ADOPTED, NAMED)) for words in claim.evidence[:1])
