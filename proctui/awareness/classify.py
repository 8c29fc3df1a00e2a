"""The classifier: a verdict for every process, kept until something about it moves.

The order is the contract's: self, ancestor, protected, baseline, spawned,
unknown.  A tick looks only at rows whose parent, group, session, terminal,
name or owner changed, at what was born, and at what those touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from proctui.awareness import chains, evidence, protect
from proctui.awareness.baseline import Key, started_at
from proctui.awareness.connector import Fork
from proctui.awareness.lineage import FINAL, Lineage, Record
from proctui.awareness.links import Links
from proctui.awareness.session import Controller, Session
from proctui.awareness.tree import Tree, verified_parent
from proctui.awareness.truth import Truth
from proctui.awareness.writer import Entry
from proctui.config import Protect
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Certainty, Identity, Proc, ProcInfo, Role, Snapshot, Verdict

__all__ = ["Classifier"]

_PARENT_KINDS = ("library", "mcp")
"""Sessions whose leader is no process of the job itself, but the parent of it."""
_SETTLED = 2.0
"""Seconds after its start in which a process may still exec and get its own environment."""


class _Facts(NamedTuple):
    """What of a row a verdict can depend on."""

    identity: Identity
    ppid: int
    pgid: int
    sid: int
    tty: int
    name: str
    uid: int | None


class Classifier:
    """Verdicts of one session (or of none) from tick to tick.

    ``own`` is the process that asks; ``lookup`` gives argv and executable
    where the configuration needs them; ``root`` is where ``/proc`` stands, or
    ``None`` if no file of a process may be read (a replay).
    """

    def __init__(
        self,
        truth: Truth | None,
        *,
        own: Identity,
        rules: protect.Rules | None = None,
        lookup: Callable[[Identity], ProcInfo | None] | None = None,
        root: str | None = "/proc",
        own_children: bool = False,
        requester: Identity | None = None,
    ) -> None:
        self._requester = requester
        self.lineage = Lineage()
        self.tree = Tree()
        self._own = own
        self._rules = rules or protect.Rules.of(Protect())
        self._lookup = lookup
        self._root = root
        self._own_children = own_children
        self._facts: dict[int, _Facts] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._special: chains.Special = {}
        self._guarded: dict[Key, str] = {}
        self._unchecked: dict[Key, tuple[str, ...]] = {}
        self._asked: dict[Key, str] = {}
        self._young: dict[Key, tuple[int, float]] = {}
        self._now = 0.0
        self._terminals: set[int] = set()
        self._number_lost = False
        self._cgroup: frozenset[int] = frozenset()
        self._truth = truth
        self._all_due = True
        self._claimed_anew: set[int] = set()
        self._bound: frozenset[Key] | None = None
        self._links = Links()

    @property
    def truth(self) -> Truth | None:
        return self._truth

    def learn(self, truth: Truth) -> None:
        """Take newer knowledge about the session (its owner saw more, or is gone)."""
        previous, self._truth = self._truth, truth
        if previous is None or (
            previous.session != truth.session
            or previous.proof != truth.proof
            or previous.blocked != truth.blocked
            or previous.baseline is not truth.baseline
        ):
            self._all_due = True
        elif previous.claims is not truth.claims:
            old, new = previous.claims, truth.claims
            moved = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
            self._claimed_anew |= {key[1] for key in moved}

    def bind(self, controllers: frozenset[Key] | None) -> None:
        """Another's session inside a watched job speaks for that job's processes alone.

        ``controllers``: what must stand above a process for it to be
        ``certain`` here; ``None`` for no such bound.
        """
        if controllers != self._bound:
            self._bound = controllers
            self._all_due = True

    def name_as_job(self, procs: Iterable[Proc], wall: float) -> None:
        """These are the job because a person named them: likely, their later children certain."""
        for proc in procs:
            self.lineage.latch(
                proc.identity, "named", (f"named as the job at {evidence.clock(wall)}",)
            )
        self._all_due = True

    def adopt(self, identity: Identity, words: str) -> Record:
        """A person said that this one is the job's; its baseline entry is gone."""
        if self._truth is not None and self._truth.baseline is not None:
            self._truth.baseline.release(identity)
        self._all_due = True
        return self.lineage.latch(identity, "adopted", (words,))

    def take_forks(self, events: Iterable[Fork], *, lost: bool, snapshot: Snapshot) -> None:
        """Use what the kernel reported until ``snapshot``; call it before :meth:`update`."""
        truth = self._truth
        if truth is None or lost:
            self._links.clear()
            return
        heads = [truth.session.leader, truth.session.runner]
        roots = {
            head.pid
            for head in heads
            if head is not None and truth.session.kind in _PARENT_KINDS
            for row in (self._facts.get(head.pid), snapshot.procs.get(head.pid))
            if row is not None and row.identity.same(head)
        }
        self._links.take(events, self.lineage.at, roots.__contains__)
        for proc, link in self._links.settle(snapshot.procs):
            if self._steers(truth.session, proc.identity):
                continue
            if truth.baseline is not None and proc.identity in truth.baseline:
                continue
            above = link.above
            if above is not None and self.lineage.get(above.identity) is not above:
                continue
            known = self.lineage.get(proc.identity)
            self._stronger(known, proc, "connector", (link.words,), above)

    def update(
        self,
        snapshot: Snapshot,
        others: Iterable[tuple[Session, Controller]] = (),
        cgroup: frozenset[int] = frozenset(),
    ) -> Mapping[int, Verdict]:
        """The verdicts of this tick; the same object as before where nothing moved."""
        procs = snapshot.procs
        missing = {proc.pid for proc in snapshot.died if proc.pid not in procs}
        touched = self._moved(procs, missing, snapshot)
        if len(self._facts) - len(missing) != len(procs):
            missing = self._facts.keys() - procs.keys()
        for proc in snapshot.died:
            self._forget(proc.identity)
        missing &= self._facts.keys()
        for pid in missing:
            self._forget(self._facts.pop(pid).identity)
        self.tree.update(procs, touched, missing)
        due = set(procs) if self._all_due else set(touched)
        self._all_due = False
        due |= self._ask_again(procs, snapshot.boottime)
        due |= self._claimed_anew & procs.keys()
        self._claimed_anew = set()
        self._note_leader(procs)
        if cgroup != self._cgroup:
            due |= (cgroup ^ self._cgroup) & procs.keys()
            self._cgroup = cgroup
        due |= self._gather(procs, due, snapshot.wall)
        due |= self._set_special(procs, others)
        self.tree.place(self.lineage.moved(self.tree.ppids))
        self._judge(procs, due, missing)
        return self._verdicts

    def _moved(self, procs: Mapping[int, Proc], missing: set[int], snapshot: Snapshot) -> list[int]:
        """Pids whose facts are not those of the tick before, oldest first."""
        facts = self._facts
        pids: Iterable[int] = snapshot.changed
        if not facts or len(facts) - len(missing) + len(snapshot.born) < len(procs):
            pids = procs
        moved = []
        for pid in pids:
            proc = procs.get(pid)
            if proc is None:
                continue
            old = facts.get(pid)
            if old is not None:
                if (
                    old.identity is proc.identity
                    and old.ppid == proc.ppid
                    and old.tty == proc.tty
                    and old.name == proc.name
                    and old.pgid == proc.pgid
                    and old.sid == proc.sid
                    and old.uid == proc.uid
                ):
                    continue
                if old.identity is not proc.identity and not old.identity.same(proc.identity):
                    self._forget(old.identity)
                    self._verdicts.pop(pid, None)
            facts[pid] = _Facts(
                proc.identity, proc.ppid, proc.pgid, proc.sid, proc.tty, proc.name, proc.uid
            )
            moved.append(pid)
        moved.sort(key=lambda pid: (facts[pid].identity.start_ticks or 0, pid))
        return moved

    def _forget(self, identity: Identity) -> None:
        self.lineage.bury(identity)
        self._unchecked.pop(identity.key, None)
        self._asked.pop(identity.key, None)

    def _ask_again(self, procs: Mapping[int, Proc], boottime: float) -> set[int]:
        """Who was met between fork and exec has another environment a moment later."""
        due = set()
        for key, (pid, until) in list(self._young.items()):
            proc = procs.get(pid)
            if proc is None or proc.identity.key != key or boottime > until:
                del self._young[key]
            if proc is not None and proc.identity.key == key:
                self._asked.pop(key, None)
                due.add(pid)
        self._now = boottime
        return due

    def _note_leader(self, procs: Mapping[int, Proc]) -> None:
        """The job's terminals, the recorded one and those its leader has had; and whether the
        leader's number is somebody else's, whose group and session then bear it."""
        if self._truth is None:
            return
        session = self._truth.session
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

    def _gather(self, procs: Mapping[int, Proc], due: set[int], wall: float) -> set[int]:
        """Look for evidence about these, and about the children of whom became the job's."""
        truth = self._truth
        if truth is None:
            return set()
        more: set[int] = set()
        version = self.lineage.version
        queue = sorted(due, key=lambda pid: (procs[pid].identity.start_ticks or 0, pid)
                       if pid in procs else (0, pid))  # fmt: skip
        for pid in queue:
            proc = procs.get(pid)
            if proc is None:
                continue
            before = self.lineage.get(proc.identity)
            state = None if before is None else (before.kind, before.certainty)
            record = self._find(truth, procs, proc, wall)
            if record is not None and (record.kind, record.certainty) != state:
                kids = [kid for kid in self.tree.kernel_children(pid) if kid not in due]
                more.update(kids)
                queue.extend(kid for kid in kids if kid in procs)
        if self.lineage.version != version:
            # A doubt, once there, spreads to everything below.
            more.update(record.identity.pid for record in self.lineage)
        return more

    def _find(
        self, truth: Truth, procs: Mapping[int, Proc], proc: Proc, wall: float
    ) -> Record | None:
        """The record of a process of the job, made or strengthened where there is reason to."""
        record = self.lineage.get(proc.identity)
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
            words = (f"child of {parent.pid} ({parent.name}), seen {evidence.clock(wall)}",)
            return self._stronger(known, proc, "child", words, above)
        if session.kind in _PARENT_KINDS and any(
            head is not None and head.same(parent.identity) for head in (leader, session.runner)
        ):
            return self._child_of_leader(truth, proc, parent, known, wall)
        if self._own_children and parent.identity.same(self._own):
            words = (f"child of this process ({parent.pid}), seen {evidence.clock(wall)}",)
            return self._stronger(known, proc, "child", words, None)
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
                return self._stronger(known, proc, "reaper", words, None, weak=not sure)
        return None

    def _child_of_leader(
        self, truth: Truth, proc: Proc, parent: Proc, known: Record | None, wall: float
    ) -> Record | None:
        baseline = truth.baseline
        if baseline is not None and (baseline.born_during(proc) or baseline.born_before(proc)):
            return None
        words = (f"child of {parent.pid} ({parent.name}), seen {evidence.clock(wall)}",)
        return self._stronger(known, proc, "child", words, None, weak=truth.proof is None)

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
        if proc.pid in self._cgroup:
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
        if self._root is not None and session.kind not in ("watch",):
            record = self._marked(session, proc)
            if record is not None:
                return record
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
            named = claim.evidence[:1] and claim.evidence[0].startswith("named as the job")
            kind = "named" if named else "claim"
            return self._stronger(known, proc, kind, words, None, weak=not sure)
        if known is not None:
            return None
        since = int(session.created.boottime * CLOCK_TICKS)
        adopted = any(one.startswith("adopted by ") for one in claim.evidence)
        if (
            session.kind != "watch"
            and not adopted
            and not evidence.born_since(proc.identity, since)
        ):
            return None
        words = (*claim.evidence, "recorded in spawned.jsonl only: its owner is gone")
        return self.lineage.latch(proc.identity, "claim", words, weak=True)

    def _marked(self, session: Session, proc: Proc) -> Record | None:
        """Evidence 4: the marker, same user, started after the session."""
        assert self._root is not None
        key = proc.identity.key
        if proc.kernel or self._asked.get(key) == proc.name:
            return None
        self._asked[key] = proc.name
        if started_at(proc.identity) is not None and key not in self._young:
            born = (proc.identity.start_ticks or 0) / CLOCK_TICKS
            if self._now - born < _SETTLED:
                self._young[key] = (proc.pid, born + _SETTLED)
        if proc.uid is not None and proc.uid != session.uid:
            self._unchecked[key] = (f"environ: the process runs as uid {proc.uid}",)
            return None
        found = evidence.read_marker(proc.pid, self._root)
        if found.trouble is not None:
            self._unchecked[key] = (found.trouble,)
            return None
        self._unchecked.pop(key, None)
        if session.marker and session.marker in found.ids:
            words = ("carries the session's marker in its environment",)
            return self.lineage.latch(proc.identity, "marker", words)
        return None

    @staticmethod
    def _steers(session: Session, identity: Identity) -> bool:
        return any(one.identity.same(identity) for one in chains.controllers_of(session))

    def _foreign(self, session: Session, proc: Proc) -> bool:
        """Whether it has a controlling terminal, and not the job's."""
        if proc.tty == 0 or proc.tty in self._terminals:
            return False
        return session.leader is None or not session.leader.same(proc.identity)

    def _set_special(
        self, procs: Mapping[int, Proc], others: Iterable[tuple[Session, Controller]]
    ) -> set[int]:
        session = None if self._truth is None else self._truth.session
        new = chains.special(
            procs,
            self._own,
            session,
            others,
            lambda proc: self.lineage.get(proc.identity) is not None,
            self._requester,
        )
        old, self._special = self._special, new
        due = {pid for pid in old.keys() | new.keys() if old.get(pid) != new.get(pid)}
        guarded = {**protect.registered(), **self._rules.identities}
        if guarded != self._guarded:
            moved = {key for key in guarded.keys() | self._guarded.keys()
                     if guarded.get(key) != self._guarded.get(key)}  # fmt: skip
            self._guarded = guarded
            due |= {key[1] for key in moved}
        return due & procs.keys()

    def _judge(self, procs: Mapping[int, Proc], due: set[int], missing: set[int]) -> None:
        fresh: dict[int, Verdict] = {}
        for pid in due:
            proc = procs.get(pid)
            if proc is not None:
                verdict = self.decide(procs, proc)
                if self._verdicts.get(pid) != verdict:
                    fresh[pid] = verdict
        dead = [pid for pid in missing if pid in self._verdicts]
        if fresh or dead:
            verdicts = self._verdicts.copy()
            for pid in dead:
                del verdicts[pid]
            verdicts.update(fresh)
            self._verdicts = verdicts

    def decide(self, procs: Mapping[int, Proc], proc: Proc) -> Verdict:
        """The verdict about one row, in the contract's order."""
        role = self._special.get(proc.pid)
        if role is not None and role[0] is not Role.PROTECTED:
            return Verdict(role[0], Certainty.CERTAIN, (role[1],))
        record = self.lineage.get(proc.identity)
        reason = self._protected(proc, record)
        if reason is None and role is not None:
            reason = role[1]
        if reason is not None:
            return Verdict(Role.PROTECTED, Certainty.CERTAIN, (reason,))
        truth = self._truth
        if truth is None:
            return Verdict(Role.UNKNOWN, Certainty.CERTAIN, ("no job is watched: looking only",))
        if truth.baseline is not None and proc.identity in truth.baseline:
            when = evidence.clock(truth.session.created.wall)
            return Verdict(
                Role.BASELINE, Certainty.CERTAIN, (f"existed before the session began ({when})",)
            )
        unchecked = self._unchecked.get(proc.identity.key, ())
        if record is not None:
            if proc.identity.inode is None:
                unchecked += ("identity: by its start time only, which two processes may share",)
            return self._spawned(truth, procs, proc, record, unchecked)
        if truth.baseline is not None and truth.baseline.span.unreadable:
            count = truth.baseline.span.unreadable
            unchecked += (f"baseline: {count} processes could not be seen when it was taken",)
        return Verdict(
            Role.UNKNOWN, Certainty.CERTAIN, (self._why_unknown(truth, proc),), unchecked
        )

    def _spawned(
        self,
        truth: Truth,
        procs: Mapping[int, Proc],
        proc: Proc,
        record: Record,
        unchecked: tuple[str, ...],
    ) -> Verdict:
        if truth.blocked is not None:
            return Verdict(
                Role.UNKNOWN, Certainty.CERTAIN, (truth.blocked, *record.words), unchecked
            )
        words = record.words
        certainty = record.certainty
        if record.foreign:
            where = evidence.terminal_name(proc.tty) if proc.tty else "a terminal"
            words += (f"it has (or had) {where}, which is not the job's",)
        elif record.tainted:
            words += ("it descends from what is only likely the job's",)
        if self._bound is not None and certainty is Certainty.CERTAIN:
            line = {above.identity.key for above in chains.chain(procs, proc)}
            if not line & self._bound:
                certainty = Certainty.LIKELY
                words += ("the session's owner is itself a process of another job",)
        return Verdict(Role.SPAWNED, certainty, words, unchecked)

    def _protected(self, proc: Proc, record: Record | None) -> str | None:
        reason = protect.of_the_system(proc) or self._guarded.get(proc.identity.key)
        if reason is None and record is None:
            reason = protect.service_manager(proc)
        if reason is None and self._rules.needs_info:
            info = None if self._lookup is None else self._lookup(proc.identity)
            reason = self._rules.reason(proc, info)
        return reason

    @staticmethod
    def _why_unknown(truth: Truth, proc: Proc) -> str:
        baseline = truth.baseline
        if truth.blocked is not None:
            return truth.blocked
        if baseline is not None and baseline.born_during(proc):
            return "born while the baseline was taken"
        if baseline is not None and baseline.born_before(proc):
            return "older than the session, but the baseline could not see it"
        return "not in the baseline, but nothing shows that the job started it"
