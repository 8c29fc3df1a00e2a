"""Who stands above us and above every session's controllers: verified, alive, by identity."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from proctui.awareness import registry
from proctui.awareness.session import Controller, Session
from proctui.awareness.tree import verified_parent
from proctui.machine import identity as kernel
from proctui.model import Identity, Proc, Role

__all__ = ["Controllers", "chain", "special"]

Special = dict[int, tuple[Role, str]]


def chain(procs: Mapping[int, Proc], start: Proc) -> list[Proc]:
    """The ancestors of ``start``, nearest first, each older than its child; cycle-proof."""
    found: list[Proc] = []
    seen = {start.pid}
    at = verified_parent(procs, start)
    while at is not None and at.pid not in seen:
        found.append(at)
        seen.add(at.pid)
        at = verified_parent(procs, at)
    return found


class Controllers:
    """The controllers of all sessions, read from the registries only when these moved."""

    def __init__(self) -> None:
        self._signature: object = None
        self._roots = registry.session_roots()
        self.sessions: tuple[Session, ...] = ()
        self.problems: tuple[registry.Problem, ...] = ()
        self._age = 0

    def refresh(self, *, force: bool = False) -> bool:
        """True if the registries were read again."""
        self._age += 1
        signature = self._sign()
        if not force and signature == self._signature and self._age < 60:
            return False
        self._age = 0
        self._roots = registry.session_roots()
        found = registry.scan(ended=False)
        self.sessions = found.sessions
        self.problems = (*found.problems, *found.recovered)
        self._signature = self._sign()
        return True

    def _sign(self) -> object:
        marks = [_mark(root) for root in self._roots]
        marks += [
            _mark(f"{one.place}/session.json")
            for one in self.sessions
            if one.state != "ended" and one.place is not None
        ]
        return marks

    def all(self) -> list[tuple[Session, Controller]]:
        """Every controller of a session of this boot and pid namespace: owner, keeper, others."""
        boot, namespace = kernel.boot_id(), kernel.pidns()
        found = []
        for session in self.sessions:
            if session.boot_id != boot or session.pidns != namespace:
                continue
            found += [(session, one) for one in controllers_of(session)]
        return found


def controllers_of(session: Session) -> list[Controller]:
    """The processes that steer a session, those of its fixed roles included."""
    named = list(session.controllers)
    if session.runner is not None:
        named.append(Controller("owner", session.runner))
    if session.keeper is not None:
        named.append(Controller("keeper", session.keeper))
    return named


def _mark(path: str | os.PathLike[str]) -> object:
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_mode, info.st_uid)


def special(
    procs: Mapping[int, Proc],
    own: Identity,
    session: Session | None,
    others: Iterable[tuple[Session, Controller]],
    from_job: Callable[[Proc], bool],
    requester: Identity | None = None,
) -> Special:
    """Pid → role and reason for self, ancestors and controllers.

    ``from_job`` tells what descends from the watched job.  A controller that
    does, and its chain as far as it does, is one of the job's processes and
    not special, unless it is the caller or above the caller.  ``requester``
    is whom the caller looks for: as untouchable as the caller.
    """
    found: Special = {}
    me = procs.get(own.pid)
    if me is None or not me.identity.same(own):
        found[own.pid] = (Role.SELF, "this is proctui itself")
        me = None
    else:
        found[own.pid] = (Role.SELF, "this is proctui itself")
        for above in chain(procs, me):
            found[above.pid] = (Role.ANCESTOR, f"an ancestor of this process ({own.pid})")
    asker = None if requester is None else procs.get(requester.pid)
    if requester is not None and asker is not None and asker.identity.same(requester):
        words = f"it asked, or it is an ancestor of the process that asked ({asker.pid})"
        for above in (asker, *chain(procs, asker)):
            found.setdefault(above.pid, (Role.ANCESTOR, words))
    mine = frozenset(found)
    protected: Special = {}
    for owner, one in others:
        proc = procs.get(one.identity.pid)
        if proc is None or not proc.identity.same(one.identity):
            continue
        of_ours = session is not None and owner.id == session.id
        inside = not of_ours and from_job(proc)
        if not inside:
            protected.setdefault(proc.pid, (Role.PROTECTED, _whose(one, owner)))
        for above in chain(procs, proc):
            if above.pid in mine or (not of_ours and from_job(above)):
                continue
            found.setdefault(
                above.pid,
                (
                    Role.ANCESTOR,
                    f"an ancestor of {proc.pid}, the {one.role} of session {owner.label}",
                ),
            )
    for pid, entry in protected.items():
        found.setdefault(pid, entry)
    return found


def _whose(one: Controller, owner: Session) -> str:
    return f"the {one.role} of session {owner.label} ({owner.id[:8]})"


def readable_problem(problems: Iterable[registry.Problem]) -> str | None:
    """The sentence about what in the registries can't be believed, ``None`` if all can."""
    words = [f"{one.path}: {one.reason}" for one in problems]
    return "; ".join(words[:3]) or None
