"""A watch: one source, one session, a view each time somebody looks.

``tick`` is for whoever looks regularly, ``look`` for whoever decides: it
reads everything anew, the registries and what the session's owner knows
included.
"""

from __future__ import annotations

import threading
from typing import Any

from proctui.awareness import behalf, cgroup, chains, protect
from proctui.awareness.classify import Classifier
from proctui.awareness.connector import open_connector
from proctui.awareness.graves import Graves
from proctui.awareness.session import Session
from proctui.awareness.truth import ADOPTED, Follower, Truth, learn
from proctui.awareness.view import View
from proctui.awareness.writer import SessionWriter
from proctui.config import Config
from proctui.config import load as load_config
from proctui.errors import ProctuiError
from proctui.machine import identity as kernel
from proctui.machine.history import History
from proctui.model import Certainty, Identity, Proc, Role, Snapshot, Source

__all__ = ["Watch"]


class Watch:
    """Looks at the machine in the eyes of one session, or of none.

    ``truth`` is what is known about the session; with ``writer`` this
    process is its owner and records what it sees.  ``own_children``: the
    caller's own children count as spawned without any session (the library).
    ``live`` is False for a recording, whose pids mean nothing to this kernel.
    ``narrow``: the source shows only whom it is asked for, so it is asked for
    everybody on whom a role hangs.  ``controllers``: shared by watches that look together.
    Safe to be used by several threads; one looks at a time.
    """

    def __init__(
        self,
        source: Source,
        session: Session | None = None,
        *,
        truth: Truth | None = None,
        writer: SessionWriter | None = None,
        config: Config | None = None,
        own: Identity | None = None,
        own_children: bool = False,
        history: int | None = None,
        exits: bool = False,
        live: bool = True,
        narrow: bool = False,
        controllers: chains.Controllers | None = None,
    ) -> None:
        self.source = source
        self.writer = writer
        self.config = config or load_config()
        if truth is None and writer is not None:
            truth = Truth(writer.session, writer.baseline, {}, "own")
        if truth is None and session is not None:
            truth = learn(session)
        self._live = live
        self._own = own or kernel.own()
        self._follower = Follower(truth) if truth is not None and writer is None and live else None
        self._controllers = controllers or chains.Controllers()
        self._requester = behalf.requester() if live else None
        self._classifier = Classifier(
            truth,
            own=self._own,
            rules=protect.Rules.of(self.config.protect),
            lookup=source.info,
            root="/proc" if live else None,
            own_children=own_children,
            confirm=_has_its_number if live else None,
            requester=self._requester,
        )
        self._graves = Graves(exits=exits and live)
        self._history = None if history == 0 else History(history or self.config.dashboard.history)
        self._lock = threading.RLock()
        self._view: View | None = None
        self._job: frozenset[int] = frozenset()
        self._narrow = narrow
        self._connector = None
        if live and truth is not None and _needs_reports(truth):
            self._connector = open_connector()
        self._closed = False

    @property
    def session(self) -> Session | None:
        truth = self._classifier.truth
        return None if truth is None else truth.session

    @property
    def truth(self) -> Truth | None:
        return self._classifier.truth

    @property
    def view(self) -> View | None:
        """The last view, ``None`` before the first look."""
        return self._view

    @property
    def classifier(self) -> Classifier:
        return self._classifier

    def tick(self) -> View:
        """The next view; cheap where little changed."""
        with self._lock:
            self._refresh(force=False)
            return self._see(self.source.sample(self._wanted()), record=True)

    def look(self) -> View:
        """A view in which everything was read just now, for whoever is about to signal."""
        with self._lock:
            self._refresh(force=True)
            return self._see(self._sample_fresh(), record=False)

    def _sample_fresh(self) -> Snapshot:
        return self.source.sample(self._wanted(), fresh=True)

    def _wanted(self) -> frozenset[int]:
        """Who is read at every look: the job and what it hangs from, whose rows must not be old."""
        session = self.session
        wanted = set(self._job)
        if session is not None:
            heads = (session.leader, session.runner, session.keeper)
            wanted.update(head.pid for head in heads if head is not None)
        if self._narrow:
            wanted.update(one.identity.pid for _, one in self._others())
            if self._requester is not None:
                wanted.add(self._requester.pid)
        return frozenset(wanted)

    def close(self) -> None:
        """Let go of the source; a session that this watch owns is not ended by it."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._graves.close()
                if self._connector is not None:
                    self._connector.close()
                self.source.close()
                self._classifier.lineage.dissolve()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adopt(self, identity: Identity, user: str) -> View:
        """Record that a person claims this process; the caller has checked that he may.

        Kept in this watch's memory, and in the session's where we own it.
        """
        from proctui.awareness.evidence import clock

        with self._lock:
            words = f"{ADOPTED}{user} at {clock()}"
            self._classifier.adopt(identity, words)
            if self.writer is not None:
                baseline = self.writer.baseline
                if baseline is not None and baseline.release(identity):
                    self.writer.write_baseline(baseline)
                self.writer.record_spawned(identity, (words,), Certainty.CERTAIN)
                self.writer.flush()
            return self.look()

    def _refresh(self, *, force: bool) -> None:
        if not self._live:
            return
        self._controllers.refresh(force=force)
        classifier = self._classifier
        if self.writer is not None and classifier.truth is not None:
            if classifier.truth.session is not self.writer.session:
                classifier.learn(classifier.truth._replace(session=self.writer.session))
        elif self._follower is not None:
            newer = self._follower.refresh(force=force)
            if newer is not None:
                classifier.learn(newer)

    def _others(self) -> list[Any]:
        """All controllers; of our own session what its owner says, not what a file says."""
        truth = self._classifier.truth
        if not self._live:
            return []
        if truth is None:
            return self._controllers.all()
        session = truth.session
        proven = truth.proof is not None
        found = [
            entry for entry in self._controllers.all() if not (proven and entry[0].id == session.id)
        ]
        if proven:
            found += [(session, one) for one in chains.controllers_of(session)]
        return found

    def _see(self, snapshot: Snapshot, *, record: bool) -> View:
        classifier = self._classifier
        truth = classifier.truth
        session = None if truth is None else truth.session
        inside: frozenset[int] = frozenset()
        if session is not None and session.cgroup and self._live:
            inside = cgroup.members(session.cgroup, session.id)
        if truth is not None and truth.proof not in (None, "own"):
            classifier.bind(self._bound(snapshot, truth.session))
        if self._connector is not None:
            events = self._connector.poll()
            classifier.take_forks(events, lost=self._connector.lost, snapshot=snapshot)
        before = None if self._view is None else self._view.verdicts
        verdicts = classifier.update(snapshot, self._others(), inside)
        if verdicts is not before:
            self._job = frozenset(
                record.identity.pid
                for record in classifier.lineage
                if (verdict := verdicts.get(record.identity.pid)) is not None
                and verdict.role is Role.SPAWNED
            )
        tombs = self._graves.update(snapshot, self._view, self._job)
        leader_alive, strays = self._find_strays(snapshot, session)
        if record and self._history is not None:
            self._history.record(snapshot, self._job)
        if self.writer is not None:
            self._record(snapshot, verdicts)
        self._view = View(
            snapshot=snapshot,
            session=session if session is None or session.place or self.writer else None,
            verdicts=verdicts,
            children=classifier.tree.children,
            parents=classifier.tree.moved,
            strays=strays,
            job=self._job,
            tombs=tombs,
            history=self._history,
            lineage=classifier.lineage,
            leader_alive=leader_alive,
            warnings=self._warnings(snapshot),
            blocked=None if truth is None else truth.blocked,
            lookup=self.source.info,
        )
        return self._view

    def _bound(self, snapshot: Snapshot, session: Session) -> frozenset[Any] | None:
        """If the session's owner is itself a process of another session's job: that job's reapers."""
        owner = session.runner
        row = None if owner is None else snapshot.procs.get(owner.pid)
        if owner is None or row is None or not row.identity.same(owner):
            return None
        line = {above.identity.key for above in chains.chain(snapshot.procs, row)}
        for other in self._controllers.sessions:
            if other.id == session.id or not other.owner_alive or other.kind not in ("run", "demo"):
                continue
            heads = {
                one.key for one in (other.runner, other.keeper, other.leader) if one is not None
            }
            if heads & line:
                return frozenset(heads)
        return None

    def _find_strays(
        self, snapshot: Snapshot, session: Session | None
    ) -> tuple[bool, frozenset[int]]:
        leader = None if session is None else session.leader
        row = None if leader is None else snapshot.procs.get(leader.pid)
        alive = (
            leader is not None
            and row is not None
            and row.identity.same(leader)
            and not _is_zombie(row)
        )
        running = frozenset(pid for pid in self._job if not _is_zombie(snapshot.procs[pid]))
        if not alive or leader is None:
            return alive, running
        below = self._classifier.tree.below(leader.pid)
        strays = running - below - {leader.pid}
        if self._view is not None and strays == self._view.strays:
            strays = self._view.strays
        return alive, strays

    def _record(self, snapshot: Snapshot, verdicts: Any) -> None:
        """The owner's duty: what it saw outlives its looking."""
        writer = self.writer
        assert writer is not None
        for pid in self._job:
            verdict = verdicts[pid]
            writer.record_spawned(snapshot.procs[pid].identity, verdict.evidence, verdict.certainty)
        living = {snapshot.procs[pid].identity.key for pid in self._job}
        writer.forget(
            [one.identity.key for one in writer.spawned() if one.identity.key not in living]
        )
        writer.flush()

    def _warnings(self, snapshot: Snapshot) -> tuple[str, ...]:
        words = list(snapshot.warnings)
        if self._follower is not None:
            words += self._follower.warnings
        elif self._classifier.truth is not None:
            words += self._classifier.truth.warnings
        problem = chains.readable_problem(self._controllers.problems)
        if problem is not None:
            words.append(f"a registry can't be believed: {problem}")
        if self._connector is not None and self._connector.lost:
            words.append(
                "fork reports were lost: links that lived shorter than a look may be missed"
            )
        if self.writer is not None and self.writer.trouble:
            words.append(f"the session's files fell behind: {self.writer.trouble}")
        return tuple(words)


def _needs_reports(truth: Truth) -> bool:
    """Below a runner nothing gets lost, it is a subreaper; other owners may miss a link."""
    own = truth.proof == "own" and truth.baseline is not None
    return own and truth.session.kind not in ("run", "demo")


def _has_its_number(identity: Identity) -> bool:
    try:
        return kernel.identify(identity.pid).same(identity)
    except (ProctuiError, OSError):
        return False


def _is_zombie(proc: Proc) -> bool:
    """A zombie leader whose threads live is no dead process."""
    return proc.state in ("Z", "X") and (proc.threads or 0) <= 1
