"""What the graphs draw, read from the history that the watch keeps."""

from __future__ import annotations

from proctui.awareness.view import View
from proctui.machine.history import History
from proctui.machine.series import Windowed
from proctui.model import Identity
from proctui.tui.marks import RANK, Chronicle
from proctui.tui.plot import Scale
from proctui.tui.subtree import Subtree

__all__ = ["Trends", "job_sums"]

_EMPTY = History(1)


class Trends:
    """A history and which part of it is drawn.

    ``end`` is its newest look, ``at`` the one that is shown: another one where
    the time cursor stands in the past.  ``looks`` is how many the graphs show
    at least, ``subtree`` the process they show instead of the job.
    """

    def __init__(
        self,
        history: History | None = None,
        *,
        at: int | None = None,
        looks: float = 120.0,
        chronicle: Chronicle | None = None,
        subtree: Subtree | None = None,
    ) -> None:
        self.history = history if history is not None else _EMPTY
        self.end = self.history.last
        self.at = self.end if at is None else at
        self.looks = looks
        self.chronicle = chronicle or Chronicle()
        self.subtree = subtree

    @property
    def past(self) -> bool:
        """Whether the time cursor stands in the past."""
        return self.at < self.end

    def highest(self, figures: Windowed, first: int, last: int) -> float:
        """The largest figure of some looks, 0 where none is known."""
        known = figures.window(max(self.history.first, first), min(self.end, last))
        return max((value for value in known if value is not None), default=0.0)

    def marks(self, scale: Scale, first: int, last: int) -> dict[int, str]:
        """What matters most of what happened in each of the cells ``first`` to ``last``."""
        found: dict[int, str] = {}
        for index, kind in self.chronicle.between(scale.dots(first)[0][0], self.end):
            cell = scale.cell(index)
            if first <= cell <= last and (cell not in found or RANK[kind] < RANK[found[cell]]):
                found[cell] = kind
        return found

    def cpu_of(self, identity: Identity, dots: int) -> list[float | None]:
        """CPU figures of one process; of one that never did anything there is none."""
        found = self.history.process(identity)
        if found is None:
            return []
        return found.cpu.window(max(found.born, self.at - dots + 1), self.at)


def job_sums(view: View) -> tuple[float | None, int | None]:
    """CPU % of one core and RSS bytes of all the job's processes; ``None`` without a job."""
    if view.session is None:
        return None, None
    procs = view.snapshot.procs
    mine = [procs[pid] for pid in view.job if pid in procs]
    return sum(p.cpu or 0.0 for p in mine), sum(p.rss or 0 for p in mine)
