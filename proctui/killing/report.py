"""What came of a plan, process by process."""

from __future__ import annotations

import signal as signals_of_system
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proctui.ident import Identity
from proctui.killing.plan import Plan

__all__ = ["OUTCOMES", "Report", "Result"]

OUTCOMES: Final = ("exited", "zombie", "survivor", "uninterruptible", "denied", "gone")
"""``exited``: dead and reaped. ``zombie``: dead, its parent has yet to reap it.
``survivor``: alive.  ``uninterruptible``: alive in state D, KILL takes it when
the kernel lets go.  ``denied``: not signalled, the kernel or the guard said
no.  ``gone``: it was dead before we sent anything."""

_ENDED = frozenset({"exited", "zombie", "gone"})


@dataclass(frozen=True, slots=True)
class Result:
    """``errno`` is the error number of the refused system call, ``signal_sent`` the last signal
    without ``SIG``, ``joined`` whether it was born of a target after the plan was made."""

    pid: int
    identity: Identity
    name: str
    outcome: str
    errno: int | None
    signal_sent: str | None
    reason: str | None
    joined: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "identity": str(self.identity),
            "name": self.name,
            "outcome": self.outcome,
            "errno": self.errno,
            "signal_sent": self.signal_sent,
            "reason": self.reason,
            "joined": self.joined,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one plan.

    After TERM and KILL, ``done`` means that every target has ended; after any
    other signal (STOP, CONT, HUP, USR1, …), which asks for no end, that it
    was delivered: a target that lives on is an honest ``survivor`` then.  A
    refused process, skipped or not, is never done.
    """

    plan: Plan
    signal: int
    results: tuple[Result, ...]
    audit: Path | None
    warnings: tuple[str, ...] = ()
    unfinished: bool = False
    """Some that were born meanwhile may have got away."""

    @property
    def done(self) -> bool:
        if self.unfinished or self.plan.refused or self.plan.stopped is not None:
            return False
        if self.signal in (signals_of_system.SIGTERM, signals_of_system.SIGKILL):
            return all(one.outcome in _ENDED for one in self.results)
        return all(one.outcome in _ENDED or one.signal_sent is not None for one in self.results)

    def to_dict(self) -> dict[str, Any]:
        """The document of ``kill`` and ``execute_kill``; with ``error`` where nobody was signalled."""
        document: dict[str, Any] = {
            "plan": self.plan.to_dict(),
            "results": [one.to_dict() for one in self.results],
            "done": self.done,
            "audit": None if self.audit is None else str(self.audit),
            "warnings": list(self.warnings),
        }
        if not self.done and all(one.outcome == "denied" for one in self.results):
            each = [(one.identity, one.reason) for one in self.results]
            each += [(one.identity, one.reason) for one in self.plan.refused]
            reason = self.plan.stopped or "; ".join(
                f"process {identity} is refused: {why}" for identity, why in each[:3]
            )
            document["error"] = {
                "kind": "refused",
                "message": reason,
                "hint": "only what the session started may be signalled",
            }
        return document
