"""The dashboard's way to the guard: plans from fresh looks, carried out in a thread."""

from __future__ import annotations

import signal as system_signals
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from proctui.awareness.view import View
from proctui.model import Certainty, Identity, Role
from proctui.tui.background import in_thread

if TYPE_CHECKING:
    from proctui.killing.plan import Plan, Scope
    from proctui.killing.report import Report
    from proctui.tui.feed import Watching

__all__ = ["SIGNALS", "Guard"]

SIGNALS = ("TERM", "INT", "HUP", "QUIT", "KILL", "STOP", "CONT", "USR1", "USR2")
"""What the dialogue offers; it always opens on the first."""


class Guard:
    """Plans, executes and adopts; everything that looks or waits runs off the event loop."""

    def __init__(self, watch: Watching) -> None:
        self.watch = watch

    async def plan(self, targets: Sequence[Identity], scope: Scope) -> Plan:
        """Plan from a fresh look.

        Who is named here was picked by a person, who confirms the list in
        the dialogue: likely ones among them count, as ``likely_ok``.
        """
        from proctui.killing.plan import make_plan

        confirmed = frozenset(identity.key for identity in targets)
        return await in_thread(
            make_plan, self.watch.look, list(targets), scope=scope, likely_ok=confirmed
        )

    async def execute(
        self, plan: Plan, signal: str, progress: Callable[[str, int, int], None] | None = None
    ) -> Report:
        """Carry a plan out; returns when everything has ended or been given up."""
        from proctui.killing.execute import execute

        number = system_signals.Signals[f"SIG{signal}"]
        return await in_thread(execute, plan, self.watch.look, signal=number, on_progress=progress)

    def adoption_problem(self, view: View, identity: Identity) -> str | None:
        """Why a process can't be adopted, ``None`` where it can."""
        from proctui.awareness.naming import may_be_adopted

        return may_be_adopted(view, identity)

    async def adopt(self, identity: Identity) -> str:
        """Adopt a process whose pid a person has just typed; the words of the new evidence."""
        from proctui.awareness.naming import adopt
        from proctui.awareness.watch import Watch

        view = await in_thread(self.watch.look)
        assert view.session is not None
        watch = self.watch if isinstance(self.watch, Watch) else None
        result = await in_thread(adopt, view.session, identity, watch=watch)
        return "; ".join(result["evidence"])


def certain_strays(view: View) -> list[Identity]:
    """The strays that may be ended together: likely ones are never swept along."""
    found = []
    for pid in sorted(view.strays):
        verdict = view.verdict(pid)
        proc = view.proc(pid)
        certain = verdict.certainty is Certainty.CERTAIN and verdict.role is Role.SPAWNED
        if proc is not None and certain:
            found.append(proc.identity)
    return found
