"""``ProcessProtection`` and ``ProcessGroupProtection`` of requirements.md, behind the one guard.

They take numbers, as their callers have them, and turn each into an identity
as soon as somebody has that number: what is protected is the process, and a
number that was given out again shields nobody.
"""

from __future__ import annotations

import contextlib
import os
import signal as system_signals
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from proctui.awareness import protect, registry
from proctui.awareness.opening import frugal_source, truth_of_the_caller
from proctui.awareness.select import containing
from proctui.awareness.truth import learn
from proctui.awareness.view import View
from proctui.awareness.watch import Watch
from proctui.errors import AccessDenied, NoSuchProcess, ProctuiError, RefusedError, check_pid
from proctui.ident import Identity
from proctui.killing import signals
from proctui.killing.execute import execute
from proctui.killing.plan import Plan, make_group_plan, make_plan, require_targets
from proctui.killing.report import Report
from proctui.machine import identity as identities

__all__ = ["ProcessGroupProtection", "ProcessProtection", "own_look"]

_WATCHED = 0.1
"""Seconds in which a directly sent signal's effect is watched for the audit line."""


@contextlib.contextmanager
def own_look() -> Iterator[Callable[[], View]]:
    """A fresh look in the eyes of the innermost session that holds this process, else of none.

    Either way this process's own living children count as spawned.  Another
    session that merely lives on the machine has no say here.
    """
    found = registry.scan(ended=False)
    sessions = [one for one in found.sessions if one.state == "live" and not one.foreign]
    inside = containing(sessions)
    if found.problems and not (inside and inside[0].owner_alive):
        first = found.problems[0]
        raise RefusedError(
            f"the registry of sessions is corrupt or unreadable: {first.path}: {first.reason}",
            "nothing is signalled while it can't be known what is protected; mend or remove it",
        )
    truth = learn(inside[0]) if inside else truth_of_the_caller()
    watch = Watch(frugal_source(), truth=truth, own_children=True, history=0)
    try:
        yield watch.look
    finally:
        watch.close()


class _Pids(set[int]):
    """A set of pids that looks up who has a number at the moment it is added."""

    def add(self, pid: int) -> None:
        super().add(pid)
        _identity_of(pid)

    def update(self, *others: Iterable[int]) -> None:
        for other in others:
            for pid in other:
                self.add(pid)

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self


_known: dict[int, Identity] = {}
_lock = threading.Lock()


def _identity_of(pid: object) -> Identity | None:
    """Who had the number when it was first seen in the set; ``None`` while nobody has it."""
    if type(pid) is not int or pid < 1:
        return None
    with _lock:
        known = _known.get(pid)
        if known is None:
            try:
                known = _known[pid] = identities.identify(pid)
            except ProctuiError:
                return None
        return known


class ProcessProtection:
    """Prevents killing critical processes; the class itself is the registry.

    What is protected has the role ``protected`` for the guard in this
    process, whichever way a kill is asked for.
    """

    PROTECTED_PIDS: ClassVar[set[int]] = _Pids()

    @classmethod
    def protect(cls, pid: int) -> None:
        """Protect the process that has ``pid`` now (or, where nobody has it, who gets it next)."""
        check_pid(pid)
        with _lock:
            _known.pop(pid, None)
        cls.PROTECTED_PIDS.add(pid)
        _identity_of(pid)

    @classmethod
    def is_protected(cls, pid: int) -> bool:
        """Whether the process ``pid`` is protected; this program and its ancestors always are.

        False for a number whose protected process has ended and that somebody else has now.
        """
        check_pid(pid)
        if pid in signals.never():
            return True
        if pid not in cls.PROTECTED_PIDS:
            return False
        known = _identity_of(pid)
        if known is None:
            return True
        try:
            return identities.identify(pid).same(known)
        except NoSuchProcess:
            return True
        except ProctuiError:
            return True

    @classmethod
    def safe_kill(cls, pid: int, signal: int = system_signals.SIGTERM) -> None:
        """Send ``signal`` once to ``pid``, if it is surely ours: like ``os.kill``, but guarded.

        Raises :class:`RefusedError` (a ``ValueError``) for whatever is not
        spawned, :class:`NoSuchProcess` (a ``ProcessLookupError``),
        :class:`AccessDenied` (a ``PermissionError``) and :class:`BadArgument`.
        """
        check_pid(pid, signalling=True)
        signum = signals.check_signal(signal)
        if cls.is_protected(pid):
            raise RefusedError(f"Cannot kill protected process {pid}")
        with own_look() as look:
            _send_once(make_plan(look, [pid]), look, signum)

    @classmethod
    def _identities(cls) -> list[Identity]:
        pids = list(cls.PROTECTED_PIDS)
        with _lock:
            for pid in [one for one in _known if one not in cls.PROTECTED_PIDS]:
                del _known[pid]
        return [known for pid in pids if (known := _identity_of(pid)) is not None]


def _protected_here() -> list[Identity]:
    return ProcessProtection._identities()


protect.register(_protected_here, "protected by ProcessProtection")


class ProcessGroupProtection:
    """Prevents killing one's own process group, and those in ``protected_pgids``."""

    def __init__(self) -> None:
        self.own_pgid = os.getpgid(os.getpid())
        self.protected_pgids = {self.own_pgid}

    def safe_killpg(self, pgid: int, signal: int = system_signals.SIGTERM) -> None:
        """Send ``signal`` once to each member of group ``pgid``, if every one is surely ours.

        Raises as :meth:`ProcessProtection.safe_kill` does.
        """
        check_pid(pgid, signalling=True, name="pgid")
        signum = signals.check_signal(signal)
        if pgid in self.protected_pgids or pgid in (self.own_pgid, os.getpgrp()):
            raise RefusedError(f"Cannot kill protected process group {pgid}")
        with own_look() as look:
            _send_once(make_group_plan(look, pgid), look, signum)


def _send_once(plan: Plan, look: Callable[[], View], signum: int) -> Report:
    """Carry the plan out without any escalation; what was not sent is raised."""
    report = execute(plan, look, signal=signum, grace=_WATCHED, escalate=False)
    require_targets(plan)
    for one in report.results:
        if one.outcome != "denied":
            continue
        if one.errno is not None:
            raise AccessDenied(f"process {one.identity} could not be signalled: {one.reason}")
        raise RefusedError(f"process {one.identity} was not signalled: {one.reason}")
    if report.results and all(one.outcome == "gone" for one in report.results):
        raise NoSuchProcess(f"process {report.results[0].identity} is gone")
    return report
