"""The baseline: which processes existed before the session began.

A scan takes time, so it has a beginning and an end.  What stood in ``/proc``
when it began, and had started by then, is baseline.  What was born while it
ran is neither: it may or may not come from the job, and stays ``unknown``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from proctui.awareness.entry import boottime
from proctui.awareness.session import BaselineSpan, identity_from_list, identity_to_list
from proctui.ident import Identity
from proctui.machine.stat import CLOCK_TICKS
from proctui.text import sanitize

if TYPE_CHECKING:
    from proctui.model import Proc, Snapshot, Source

__all__ = ["Baseline", "Member", "member_line", "span_line", "started_at"]

Key = tuple[str, int, str, int | None]


class Member(NamedTuple):
    """One process of the baseline."""

    identity: Identity
    name: str


def started_at(identity: Identity) -> int | None:
    """Clock ticks since boot of the process's start; ``None`` where the clock is another one.

    Only Linux counts from boot; there a pid namespace is always known.
    """
    return identity.start_ticks if identity.pidns is not None else None


def _ticks(seconds: float) -> int:
    return math.floor(seconds * CLOCK_TICKS)


class Baseline:
    """Identities by key, with the span of the scan in seconds since boot."""

    def __init__(
        self, members: Iterable[Member], span: BaselineSpan, during: Iterable[Identity] = ()
    ) -> None:
        self._members: dict[Key, Member] = {one.identity.key: one for one in members}
        self._during = {identity.key: identity for identity in during}
        self.span = span
        self._first, self._last = _ticks(span.t0), _ticks(span.t1)

    @classmethod
    def capture(cls, source: Source) -> tuple[Baseline, Snapshot]:
        """Scan now; returns the snapshot too, so that nobody scans twice."""
        t0 = boottime()
        listed = _listed()
        snapshot = source.sample()
        t1 = boottime()
        return cls.of(snapshot, t0, t1, listed), snapshot

    @classmethod
    def of(
        cls, snapshot: Snapshot, t0: float, t1: float, listed: frozenset[int] | None = None
    ) -> Baseline:
        """The baseline of a scan made within ``[t0, t1]``.

        ``listed`` are the pids that stood in ``/proc`` at ``t0``; start times
        are too coarse (10 ms) to tell what was born just after it.
        """
        first = _ticks(t0)
        members, during = [], []
        for pid, proc in snapshot.procs.items():
            started = started_at(proc.identity)
            if (started is not None and started > first) or (
                listed is not None and pid not in listed
            ):
                during.append(proc.identity)
                continue
            members.append(Member(proc.identity, proc.name))
        unreadable = 0 if listed is None else len(listed - snapshot.procs.keys())
        # Who vanished in between was listed too; only what still stands could not be read.
        if unreadable and listed is not None:
            unreadable = len((_listed() or frozenset()) & listed - snapshot.procs.keys())
        span = BaselineSpan(t0, t1, len(members), unreadable == 0, unreadable)
        return cls(members, span, during)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, identity: Identity) -> bool:
        return identity.key in self._members

    @property
    def members(self) -> Mapping[Key, Member]:
        return self._members

    def born_during(self, proc: Proc) -> bool:
        """Whether it started while the scan ran.

        In the clock tick in which the scan ended (10 ms) only who the scan
        saw counts: others came later.
        """
        key = proc.identity.key
        if key in self._during:
            return True
        started = started_at(proc.identity)
        return (
            started is not None and self._first <= started < self._last and key not in self._members
        )

    def born_before(self, proc: Proc) -> bool:
        """Whether it started before the scan began, whether the scan saw it or not."""
        started = started_at(proc.identity)
        return started is not None and started < self._first

    def release(self, identity: Identity) -> bool:
        """Take a process out: it was named as the job, or adopted."""
        self._during.pop(identity.key, None)
        if self._members.pop(identity.key, None) is None:
            return False
        self.span = self.span._replace(size=len(self._members))
        return True

    def to_bytes(self) -> bytes:
        """What ``baseline.jsonl`` holds: the span, who was born in it, then everybody, a line each."""
        during = [_line(["during", *identity_to_list(one)]) for one in self._during.values()]
        return b"".join([span_line(self.span), *during, *map(member_line, self._members.values())])

    @classmethod
    def from_bytes(cls, raw: bytes) -> Baseline:
        """The reverse of :meth:`to_bytes`; :class:`ValueError` if it is not whole."""
        if not raw.endswith(b"\n"):
            raise ValueError("the baseline is cut off")
        rows = [json.loads(one) for one in raw.splitlines()]
        head = rows[0]
        if (
            not isinstance(head, list)
            or len(head) != 6
            or head[0] != "span"
            or not all(type(value) in (int, float) for value in head[1:3])
            or type(head[3]) is not int
            or type(head[4]) is not bool
            or type(head[5]) is not int
        ):
            raise ValueError("the baseline has no span")
        members, during = [], []
        for row in rows[1:]:
            if isinstance(row, list) and len(row) == 6 and row[0] == "during":
                during.append(identity_from_list(row[1:]))
                continue
            if not isinstance(row, list) or len(row) != 2 or not isinstance(row[1], str):
                raise ValueError("a row of the baseline is no [identity, name]")
            members.append(Member(identity_from_list(row[0]), sanitize(row[1])))
        if len(members) != head[3]:
            raise ValueError(f"the baseline holds {len(members)} of {head[3]} processes")
        return cls(members, BaselineSpan(*head[1:]), during)


def _line(row: object) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def span_line(span: BaselineSpan) -> bytes:
    """The first line of a baseline."""
    return _line(["span", *span])


def member_line(member: Member) -> bytes:
    """The line of one process."""
    return _line(member)


def _listed() -> frozenset[int] | None:
    try:
        return frozenset(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return None
