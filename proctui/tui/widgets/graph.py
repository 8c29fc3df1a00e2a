"""The CPU and memory graphs: a legend line and braille in two tones."""

from __future__ import annotations

from collections.abc import Sequence

from proctui.awareness.view import View
from proctui.tui.braille import area, ceiling
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import LineView, Run, Runs
from proctui.units import human_bytes, human_percent

__all__ = ["CpuGraph", "MemoryGraph", "bar"]


def bar(share: float | None, width: int) -> tuple[str, str]:
    """A gauge: the filled and the empty part."""
    if share is None:
        return "", "·" * width
    filled = max(0, min(width, round(share * width)))
    return "━" * filled, "─" * (width - filled)


class Graph(LineView):
    """A legend and rows of braille; subclasses say what they draw."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.show_cursor = False
        self._lines: list[Runs] = []

    def length(self) -> int:
        return len(self._lines)

    def runs(self, index: int) -> Runs:
        return self._lines[index]

    def update_view(self, view: View, trends: Trends) -> None:
        """Take a tick."""
        width, height = self.size.width - 1, self.size.height
        if width > 4 and height > 0:
            self._lines = self.draw(view, trends, width, height)
            self.paint()

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        raise NotImplementedError


def plot(
    whole: Sequence[float | None],
    share: Sequence[float | None],
    width: int,
    height: int,
    top: float,
    label: str,
) -> list[Runs]:
    """Rows of the graph with the scale's top written at its left."""
    if height < 1:
        return []
    margin = max(5, len(label) + 1)
    rows = area(whole, share, width - margin, height, top)
    out: list[Runs] = []
    for at, row in enumerate(rows):
        mark = label if at == 0 else "0" if at == height - 1 and height > 1 else ""
        runs: list[Run] = [(mark.rjust(margin - 1) + " ", "dim")]
        runs += [(text, "share" if mine else "whole") for text, mine in row]
        out.append(tuple(runs))
    return out


class CpuGraph(Graph):
    """The job's CPU in front of the machine's; 100 % is one core."""

    BORDER_TITLE = "CPU"

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        cores = view.snapshot.system.cores
        machine = trends.machine("cpu", 2 * width, cores)
        job = trends.job("cpu", 2 * width) if view.session is not None else []
        known = [value for value in (*machine, *job) if value is not None]
        top = min(ceiling(max(known, default=100.0)), 100.0 * cores)
        top = max(top, 10.0)
        now = machine[-1] if machine else None
        mine = job[-1] if job else None
        legend: list[Run] = []
        if view.session is not None:
            legend += [("● ", "share"), ("job ", "dim"), (f"{human_percent(mine):>5} %", "figure")]
            legend.append(("   ", ""))
        legend += [("● ", "whole"), ("machine ", "dim"), (f"{human_percent(now):>5} %", "figure")]
        legend.append((f" of {cores} {'core' if cores == 1 else 'cores'}", "dim"))
        load = view.snapshot.system.load
        if load is not None and width > 56:
            legend.append((f"   load {load[0]:.2f}", "dim"))
        return [tuple(legend), *plot(machine, job, width, height - 1, top, f"{top:.0f} %")]


class MemoryGraph(Graph):
    """The job's resident memory in front of what the machine uses."""

    BORDER_TITLE = "Memory"

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        memory = view.snapshot.system.memory
        used = trends.machine("memory", 2 * width)
        job = trends.job("rss", 2 * width) if view.session is not None else []
        legend: list[Run] = []
        if view.session is not None:
            mine = job[-1] if job else None
            legend += [("● ", "share"), ("job ", "dim"), (f"{human_bytes(mine):>6}", "figure")]
            legend.append(("   ", ""))
        legend += [("● ", "whole"), ("machine ", "dim")]
        legend += [(f"{human_bytes(memory.used):>6}", "figure")]
        legend.append((f" of {human_bytes(memory.total)}", "dim"))
        if memory.swap_used and width > 56:
            legend.append((f"   swap {human_bytes(memory.swap_used)}", "dim"))
        known = [value for value in (*used, *job) if value is not None]
        top = _byte_ceiling(max(known, default=1.0))
        label = human_bytes(top)
        return [tuple(legend), *plot(used, job, width, height - 1, top, label)]


def _byte_ceiling(size: float) -> float:
    """A round number of binary units above ``size``."""
    unit = 1.0
    while unit * 1024 <= size:
        unit *= 1024
    return (
        ceiling(size / unit, (1, 2, 4, 8)) * unit if size / unit < 8 else _tens(size / unit) * unit
    )


def _tens(count: float) -> float:
    for step in (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768):
        if count <= step:
            return float(step)
    return 1024.0
