"""The classifier: a verdict for every process, kept until something about it moves.

The order is the contract's: self, ancestor, protected, baseline, spawned,
unknown.  A tick looks only at rows whose parent, group, session, terminal,
name or owner changed, at what was born, and at what those touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from proctui.awareness import chains, evidence, protect
from proctui.awareness.baseline import Key
from proctui.awareness.connector import Fork
from proctui.awareness.gather import Gatherer
from proctui.awareness.lineage import Lineage, Record
from proctui.awareness.session import Controller, Session
from proctui.awareness.tree import Tree
from proctui.awareness.truth import Truth
from proctui.config import Protect
from proctui.model import Certainty, Identity, Proc, ProcInfo, Role, Snapshot, Verdict

__all__ = ["Classifier"]


class Classifier:
    """Verdicts of one session (or of none) from tick to tick.

    ``own`` is the process that asks; ``lookup`` gives argv and executable
    where the configuration needs them; ``root`` is where ``/proc`` stands, or
    ``None`` if no file of a process may be read (a replay).  ``confirm`` asks
    the kernel whether a process has its number still.
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
        confirm: Callable[[Identity], bool] | None = None,
    ) -> None:
        self._requester = requester
        self.tree = Tree()
        self._gatherer = Gatherer(own, root=root, own_children=own_children, confirm=confirm)
        self._own = own
        self._rules = rules or protect.Rules.of(Protect())
        self._lookup = lookup
        # The rows that the verdicts were made of.
        self._facts: dict[int, Proc] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._special: chains.Special = {}
        self._guarded: dict[Key, str] = {}
        self._truth = truth
        self._all_due = True
        self._there: tuple[float, Verdict] | None = None
        self._claimed_anew: set[int] = set()
        self._bound: frozenset[Key] | None = None

    @property
    def truth(self) -> Truth | None:
        return self._truth

    @property
    def lineage(self) -> Lineage:
        """Who came from the job, latched."""
        return self._gatherer.lineage

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
        self._gatherer.name_as_job(procs, wall)
        self._all_due = True

    def adopt(self, identity: Identity, words: str) -> Record:
        """A person said that this one is the job's; its baseline entry is gone."""
        if self._truth is not None and self._truth.baseline is not None:
            self._truth.baseline.release(identity)
        self._all_due = True
        return self.lineage.latch(identity, "adopted", (words,))

    def take_forks(self, events: Iterable[Fork], *, lost: bool, snapshot: Snapshot) -> None:
        """Use what the kernel reported until ``snapshot``; call it before :meth:`update`."""
        if self._truth is None or lost:
            self._gatherer.lose_forks()
            return
        session = self._truth.session
        heads = [head.pid for head in (session.leader, session.runner) if head is not None]
        before = {pid: self._facts[pid].identity for pid in heads if pid in self._facts}
        self._gatherer.take_forks(self._truth, events, snapshot, before)

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
            self._gatherer.forget(proc.identity)
        missing &= self._facts.keys()
        for pid in missing:
            self._gatherer.forget(self._facts.pop(pid).identity)
        self.tree.update(procs, touched, missing)
        due = set(procs) if self._all_due else set(touched)
        self._all_due = False
        due |= self._claimed_anew & procs.keys()
        self._claimed_anew = set()
        if self._truth is not None:
            gatherer, truth = self._gatherer, self._truth
            due |= gatherer.begin(truth, procs, snapshot.boottime, cgroup)
            due |= gatherer.gather(truth, procs, due, snapshot.wall, self.tree.kernel_children)
        due |= self._set_special(procs, others)
        self.tree.place(self.lineage.moved(self.tree.ppids))
        self._judge(procs, due, missing)
        return self._verdicts

    def _moved(self, procs: Mapping[int, Proc], missing: set[int], snapshot: Snapshot) -> list[int]:
        """Pids of whose row something changed that a verdict can depend on."""
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
                    self._gatherer.forget(old.identity)
                    self._verdicts.pop(pid, None)
            facts[pid] = proc
            moved.append(pid)
        return moved

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
            return self._was_there(truth.session.created.wall)
        unchecked = self._gatherer.marks.unchecked_of(proc.identity)
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

    def _was_there(self, wall: float) -> Verdict:
        """One verdict for the whole baseline: most processes of a machine are in it."""
        if self._there is None or self._there[0] != wall:
            words = f"existed before the session began ({evidence.clock(wall)})"
            self._there = (wall, Verdict(Role.BASELINE, Certainty.CERTAIN, (words,)))
        return self._there[1]

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
        reason = protect.of_the_system(proc)
        if reason is None and self._guarded:
            reason = self._guarded.get(proc.identity.key)
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
