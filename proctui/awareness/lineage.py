"""Who came from the job: latched, so that nobody gets out by changing parents.

Once seen as the job's, a process is its for good, whatever it is reparented
to.  What weakens the claim is kept with it: a terminal that isn't the job's,
or a parent that is only likely.  A record's parent is always a *living*
record: when one dies its children pass to its own parent, which is where the
tree shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proctui.ident import Identity
from proctui.role import Certainty

__all__ = ["Lineage", "Record"]

Key = tuple[str, int, str, int | None]

CERTAIN_KINDS = frozenset({"leader", "child", "reaper", "cgroup", "claim", "adopted", "connector"})
"""How a record came about, where that by itself is certain; the others are ``likely``."""
INHERITED = frozenset({"child", "connector"})
"""Kinds that are only as sure as the parent is."""
NAMED = "named"
FINAL = frozenset({NAMED, "adopted"})
"""What a person said; nothing seen later makes it surer or less sure."""


class Record:
    """One process of the job.

    ``kind`` is how it was recognised, ``words`` the evidence a person reads.
    ``weak``: likely by the evidence itself.  ``foreign``: it has, or had, a
    controlling terminal that is not the job's.  ``tainted``: it descends
    from something that is only likely, ``stuck`` that this something is dead
    and can't become certain any more.  ``line`` are the keys of the records it
    descended from when it was latched, farthest first; deaths leave it as it is.
    ``below`` is the line of whatever descends from it directly.
    """

    __slots__ = (
        "_below", "foreign", "identity", "kids", "kind", "line", "parent", "stuck", "tainted",
        "weak", "words",
    )  # fmt: skip

    def __init__(
        self, identity: Identity, kind: str, words: tuple[str, ...], *, weak: bool
    ) -> None:
        self.identity = identity
        self.kind = kind
        self.words = words
        self.weak = weak
        self.foreign = False
        self.tainted = False
        self.stuck = False
        self.parent: Record | None = None
        self.line: tuple[Key, ...] = ()
        self._below: tuple[Key, ...] | None = None
        self.kids: set[Record] = set()

    def stand_under(self, parent: Record) -> None:
        """Descend from ``parent`` from now on."""
        if self.parent is not None:
            self.parent.kids.discard(self)
        self.parent = parent
        self.line = parent.below
        self._below = None
        parent.kids.add(self)

    @property
    def below(self) -> tuple[Key, ...]:
        # One for all the children: a crowd has a common parent.
        if self._below is None:
            self._below = (*self.line, self.identity.key)[-64:]
        return self._below

    @property
    def certainty(self) -> Certainty:
        if self.weak or self.foreign or self.tainted:
            return Certainty.LIKELY
        return Certainty.CERTAIN

    @property
    def passes_doubt(self) -> bool:
        """Whether what descends from it is only likely too.

        Not so for what ``watch`` named: whoever is born under it while we
        look is seen as its child.
        """
        return self.tainted or self.foreign or (self.weak and self.kind != NAMED)


class Lineage:
    """All latched records of living processes, by identity and by pid."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Record] = {}
        self._by_pid: dict[int, Record] = {}
        self.version = 0
        """Moves whenever a record is added, dies or changes."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_key.values())

    def get(self, identity: Identity) -> Record | None:
        # Nearly always the pid tells already: keys are dear where there are thousands.
        known = self._by_pid.get(identity.pid)
        if known is None or known.identity is identity:
            return known
        return self._by_key.get(identity.key)

    def at(self, pid: int) -> Record | None:
        """The record of the process that last had ``pid``."""
        return self._by_pid.get(pid)

    def latch(
        self,
        identity: Identity,
        kind: str,
        words: tuple[str, ...],
        *,
        parent: Record | None = None,
        weak: bool | None = None,
    ) -> Record:
        """Record a process as the job's; a stronger claim replaces a weaker one."""
        sure = kind in CERTAIN_KINDS if weak is None else not weak
        key = identity.key
        self.version += 1
        record = self._by_key.get(key)
        if record is None:
            record = self._by_key[key] = Record(identity, kind, words, weak=not sure)
            self._by_pid[identity.pid] = record
            if parent is not None:  # nothing descends from the new one, so that's all
                record.stand_under(parent)
                record.tainted = parent.passes_doubt
            return record
        record.kind, record.words, record.weak = kind, words, not sure
        if parent is not None and parent is not record and not self._is_above(record, parent):
            record.stand_under(parent)
        self._settle(record)
        return record

    @staticmethod
    def _is_above(record: Record, other: Record) -> bool:
        at: Record | None = other
        while at is not None:
            if at is record:
                return True
            at = at.parent
        return False

    def mark_foreign(self, record: Record) -> None:
        """It has a terminal that is not the job's: it and what descends from it is likely."""
        if not record.foreign:
            record.foreign = True
            self._settle(record)
            self.version += 1

    def _settle(self, record: Record) -> None:
        if record.parent is not None and not record.stuck:
            record.tainted = record.parent.passes_doubt
        stack = [record]
        while stack:
            at = stack.pop()
            for kid in at.kids:
                doubt = at.passes_doubt
                # What was found by its own evidence does not depend on its parent.
                if kid.kind in INHERITED and not kid.stuck and kid.tainted != doubt:
                    kid.tainted = doubt
                    stack.append(kid)

    def bury(self, identity: Identity) -> Record | None:
        """A process ended: its children pass to its own parent, doubts included."""
        record = self._by_key.pop(identity.key, None)
        if record is None:
            return None
        if self._by_pid.get(identity.pid) is record:
            del self._by_pid[identity.pid]
        above = record.parent
        if above is not None:
            above.kids.discard(record)
        for kid in record.kids:
            kid.parent = above
            kid.stuck = kid.stuck or kid.tainted
            if above is not None:
                above.kids.add(kid)
        record.kids = set()
        record.parent = None
        self.version += 1
        return record

    def dissolve(self) -> None:
        """Unlink all records: they hold each other, so that else only the collector frees them."""
        for record in self._by_key.values():
            record.parent = None
            record.kids.clear()

    def moved(self, ppids: Mapping[int, int]) -> dict[int, int]:
        """Pid → the pid it is shown under, for those whose kernel parent is another one."""
        return {
            record.identity.pid: record.parent.identity.pid
            for record in self._by_key.values()
            if record.parent is not None
            and ppids.get(record.identity.pid, -1) != record.parent.identity.pid
        }
