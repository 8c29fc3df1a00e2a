"""What the graphs draw, read from the history that the watch keeps."""

from __future__ import annotations

from collections.abc import Sequence

from proctui.awareness.view import View
from proctui.machine.history import History
from proctui.machine.series import Ring
from proctui.model import Identity

__all__ = ["Trends", "job_sums"]

_EMPTY = History(1)


class Trends:
    """A history seen from one index: the newest, or where the time cursor stands.

    ``zoom`` is how many ticks one dot of a graph stands for, ``events`` are
    indices at which something happened, with its level.
    """

    def __init__(
        self,
        history: History | None = None,
        *,
        at: int | None = None,
        zoom: int = 1,
        events: Sequence[tuple[int, str]] = (),
    ) -> None:
        self.events = events
        self.history = history if history is not None else _EMPTY
        self.at = self.history.last if at is None else at
        self.zoom = zoom

    def highest(self, figures: Ring, width: int) -> float:
        """The largest figure that ``width`` cells of a graph show, 0 where none is known."""
        span = 2 * self.zoom * width
        known = figures.window(max(figures.first, self.at - span), self.at)
        return max((value for value in known if value is not None), default=0.0)

    def marks(self, width: int) -> dict[int, str]:
        """Cells of a graph, counted from its right end, in which something happened: its level."""
        span = 2 * self.zoom
        last = self.at // span
        found: dict[int, str] = {}
        for index, level in reversed(self.events):
            cell = last - index // span
            if 0 <= cell < width and index <= self.at:
                found.setdefault(cell, level)
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
