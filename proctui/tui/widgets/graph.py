"""The CPU and memory graphs: a legend line and braille in two tones."""

from __future__ import annotations

from collections.abc import Mapping

from textual import events

from proctui.awareness.view import View
from proctui.tui.braille import ceiling
from proctui.tui.machine_lines import core_lines, machine_lines
from proctui.tui.plot import Figure, Plot, mean_of
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import LineView, Run, Runs
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["CpuGraph", "MemoryGraph"]


ROOMY = 14
"""Rows from which on a graph's pane also tells the machine's other figures."""


class Graph(LineView):
    """A legend and rows of braille; subclasses say what they draw."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.show_cursor = False
        self._plot = Plot()
        self._last: tuple[View, Trends] | None = None
        self._lines: list[Runs] = []

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        if self._last is not None:
            self.update_view(*self._last)

    def length(self) -> int:
        return len(self._lines)

    def runs(self, index: int) -> Runs:
        return self._lines[index]

    def update_view(self, view: View, trends: Trends) -> None:
        """Take a tick."""
        self._last = (view, trends)
        width, height = self.size.width - 1, self.size.height
        if width > 4 and height > 0:
            interval = max(0.1, round(view.snapshot.interval or 1.0, 1))
            shown = round(2 * trends.zoom * (width - 6) * interval, -1)
            self.set_title(str(self.BORDER_TITLE), f"last {human_seconds(shown)}")
            self._lines = self.draw(view, trends, width, height)
            self.paint()

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        raise NotImplementedError

    def plotted(
        self,
        trends: Trends,
        whole: Figure,
        share: Figure | None,
        size: tuple[int, int],
        top: float,
        label: str,
    ) -> list[Runs]:
        """Rows of the graph with the top of its scale written at the left."""
        width, height = size
        if height < 1:
            return []
        margin = max(6, len(label) + 1)
        rows = self._plot.rows(
            whole,
            share,
            at=trends.at,
            zoom=trends.zoom,
            width=width - margin,
            height=height,
            top=top,
            about=trends.history,
        )
        out: list[Runs] = []
        for at, row in enumerate(rows):
            mark = label if at == 0 else "0" if at == height - 1 and height > 1 else ""
            runs: list[Run] = [(mark.rjust(margin - 1) + " ", "dim")]
            runs += [(text, "share" if mine else "whole") for text, mine in row]
            out.append(tuple(runs))
        marks = trends.marks(width - margin)
        if marks and height > 3:
            out[0] = (out[0][0], *_marked(out[0][1:], marks, width - margin))
        return out


_MARKS = {"error": "bad", "warning": "stray"}


def _marked(runs: Runs, marks: Mapping[int, str], width: int) -> Runs:
    """The top row with a mark over each cell in which something happened."""
    out: list[Run] = []
    at = 0
    for text, style in runs:
        start = 0
        for offset in range(len(text)):
            level = marks.get(width - 1 - at - offset)
            if level is not None:
                out += [(text[start:offset], style), ("▾", _MARKS.get(level, "accent"))]
                start = offset + 1
        out.append((text[start:], style))
        at += len(text)
    return tuple(run for run in out if run[0])


class CpuGraph(Graph):
    """The job's CPU in front of the machine's; 100 % is one core."""

    BORDER_TITLE = "CPU"

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        cores = view.snapshot.system.cores
        machine, job = trends.history.machine["cpu"], trends.history.job["cpu"]
        mine = view.session is not None
        highest = max(trends.highest(machine, width) * cores, trends.highest(job, width))
        top = max(10.0, min(ceiling(highest), 100.0 * cores))
        now, own = machine.at(trends.at), job.at(trends.at)
        legend: list[Run] = []
        if mine:
            legend += [("● ", "share"), ("job ", "dim"), (f"{human_percent(own):>5} %", "figure")]
            legend.append(("   ", ""))
        used = None if now is None else now * cores
        legend += [("● ", "whole"), ("machine ", "dim"), (f"{human_percent(used):>5} %", "figure")]
        legend.append((f" of {cores} {'core' if cores == 1 else 'cores'}", "dim"))
        load = view.snapshot.system.load
        if load is not None and width > 56:
            legend.append((f"   load {load[0]:.2f}", "dim"))
        share = mean_of(job) if mine else None
        below = core_lines(view, width) if height >= ROOMY else []
        size = (width, height - 1 - len(below))
        label = f"{top:.0f} %"
        return [
            tuple(legend),
            *self.plotted(trends, mean_of(machine, cores), share, size, top, label),
            *below,
        ]


class MemoryGraph(Graph):
    """The job's resident memory in front of what the machine uses."""

    BORDER_TITLE = "Memory"

    def draw(self, view: View, trends: Trends, width: int, height: int) -> list[Runs]:
        memory = view.snapshot.system.memory
        used, job = trends.history.machine["memory"], trends.history.job["rss"]
        mine = view.session is not None
        legend: list[Run] = []
        if mine:
            own = job.at(trends.at)
            legend += [("● ", "share"), ("job ", "dim"), (f"{human_bytes(own):>6}", "figure")]
            legend.append(("   ", ""))
        legend += [("● ", "whole"), ("machine ", "dim")]
        legend += [(f"{human_bytes(memory.used):>6}", "figure")]
        legend.append((f" of {human_bytes(memory.total)}", "dim"))
        if memory.swap_used and width > 56:
            legend.append((f"   swap {human_bytes(memory.swap_used)}", "dim"))
        top = byte_ceiling(max(trends.highest(used, width), trends.highest(job, width)))
        share = mean_of(job) if mine else None
        below = machine_lines(view, trends, width) if height >= ROOMY else []
        size = (width, height - 1 - len(below))
        label = human_bytes(top)
        return [
            tuple(legend),
            *self.plotted(trends, mean_of(used), share, size, top, label),
            *below,
        ]


def byte_ceiling(size: float) -> float:
    """A round number of binary units above ``size``."""
    unit = 1.0
    while unit * 1024 <= size:
        unit *= 1024
    for step in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768):
        if size <= step * unit:
            return step * unit
    return 1024 * unit
