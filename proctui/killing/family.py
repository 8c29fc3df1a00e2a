"""Who was born of a plan's targets after the plan was made."""

from __future__ import annotations

from collections.abc import Collection

from proctui.awareness.view import View
from proctui.killing.plan import Key, Plan, PlanEntry, entry_of, objection
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Proc

__all__ = ["Family"]

_TICK_SLACK = 0.05
"""Start times are cut to whole clock ticks, so a newborn may look a little too old."""


class Family:
    """Finds newcomers: surely spawned, and descended from a target.

    A newcomer of a group plan is a new member of the group, of a plan of strays
    or of the job a new one of these.  Where the whole
    job is the target, a spawned process that nobody of the job can have
    started but a target belongs too, even if it cut every tie.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def joined(self, view: View, known: Collection[Key]) -> list[PlanEntry]:
        """The newcomers of this look that ``known`` does not hold, parents first."""
        procs = view.snapshot.procs
        mine: set[Key] = set(known)
        found: list[PlanEntry] = []
        candidates = [
            procs[pid]
            for pid in sorted(view.job, key=lambda pid: procs[pid].identity.start_ticks or 0)
            if pid in procs and procs[pid].identity.key not in mine
        ]
        grown = True
        while grown:
            grown = False
            for proc in list(candidates):
                if not self._belongs(view, proc, mine):
                    continue
                candidates.remove(proc)
                if objection(view.verdict(proc.pid), proc.identity) is not None:
                    continue
                mine.add(proc.identity.key)
                found.append(
                    entry_of(proc, view.verdict(proc.pid), "born of a target after the plan")
                )
                grown = True
        return found

    def _belongs(self, view: View, proc: Proc, mine: set[Key]) -> bool:
        if self._plan.scope == "group":
            return proc.pgid in self._plan.pgids
        if self._plan.scope == "strays":
            return proc.pid in view.strays
        if self._plan.scope == "job":
            return True
        parent = view.parent(proc.pid)
        above = None if parent is None else view.identity(parent)
        if above is not None and above.key in mine:
            return True
        record = None if view.lineage is None else view.lineage.get(proc.identity)
        if record is not None and not mine.isdisjoint(record.line):
            return True
        return self._plan.whole_job and self._born_later(proc)

    def _born_later(self, proc: Proc) -> bool:
        ticks = proc.identity.start_ticks
        return ticks is not None and ticks / CLOCK_TICKS + _TICK_SLACK >= self._plan.boottime
