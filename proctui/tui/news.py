"""What happened between two looks that a person may want to hear of."""

from __future__ import annotations

from typing import NamedTuple

from proctui.awareness.view import View
from proctui.config import Alerts
from proctui.model import Role
from proctui.tui.cells import ending
from proctui.tui.rows import Key
from proctui.tui.trends import job_sums
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["News", "Newsroom"]

STEADY = 3
"""Looks in a row above the limit before CPU is an alert."""


class News(NamedTuple):
    """``kind`` is one of :data:`MARKS`; without a text it is not worth a line in the log.

    ``loud`` news are alerts: also told by toast, and by bell or desktop if wished.
    """

    moment: float
    text: str
    kind: str
    loud: bool = False


class Newsroom:
    """Compares each view with what it has seen before; pure but for its memory."""

    def __init__(self, alerts: Alerts) -> None:
        self.alerts = alerts
        self._strays: set[Key] = set()
        self._tombs: set[Key] = set()
        self._job: frozenset[int] = frozenset()
        self._first = True
        self._over = 0
        self._cpu_told = False
        self._memory: list[tuple[float, int]] = []
        self._growth_told = False

    def take(self, view: View) -> list[News]:
        """The news of a look; the first one is the ground for all others."""
        now = view.snapshot.wall
        found: list[News] = []
        strays = {
            proc.identity.key: f"{proc.name} {proc.pid}"
            for pid in view.strays
            if (proc := view.proc(pid)) is not None
        }
        tombs = {tomb.identity.key: tomb for tomb in view.tombs if tomb.role is Role.SPAWNED}
        if not self._first:
            for key in strays.keys() - self._strays:
                text = f"{strays[key]} left the job's tree: a stray"
                found.append(News(now, text, "stray", self.alerts.strays and view.leader_alive))
            for key in tombs.keys() - self._tombs:
                tomb = tombs[key]
                if tomb.exit in (0, None):
                    found.append(News(tomb.died, "", "died"))
                    continue
                lived = human_seconds(tomb.lifetime)
                text = f"{tomb.name} {tomb.identity.pid} ended: {ending(tomb)}, {lived}"
                found.append(News(tomb.died, text, "failed"))
            if view.job - self._job:
                found.append(News(now, "", "born"))
        self._strays, self._tombs, self._job = set(strays), set(tombs), view.job
        self._first = False
        return found + self._limits(view, now)

    def _limits(self, view: View, now: float) -> list[News]:
        found: list[News] = []
        cpu, memory = job_sums(view)
        limit = self.alerts.cpu
        self._over = self._over + 1 if limit and cpu is not None and cpu > limit else 0
        if self._over >= STEADY and not self._cpu_told:
            self._cpu_told = True
            text = f"the job uses {human_percent(cpu)} % CPU, more than {limit:g} %"
            found.append(News(now, text, "alert", True))
        elif not self._over:
            self._cpu_told = False
        growth = self.alerts.memory_mb_per_minute
        if growth and memory is not None:
            self._memory = [one for one in self._memory if now - one[0] <= 60] + [(now, memory)]
            since, least = self._memory[0]
            grown = memory - least
            fast = now - since >= 10 and grown > growth * (1 << 20) * (now - since) / 60
            if fast and not self._growth_told:
                text = f"the job grew by {human_bytes(grown)} in {human_seconds(now - since)}"
                found.append(News(now, text, "alert", True))
            self._growth_told = fast
        return found
