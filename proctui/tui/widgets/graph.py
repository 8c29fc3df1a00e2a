"""The CPU and memory graphs: a legend, braille in two tones, and below it what happened when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from proctui.awareness.view import View
from proctui.machine.series import Windowed
from proctui.tui.braille import ceiling
from proctui.tui.machine_lines import core_lines, machine_lines
from proctui.tui.marks import MARKS
from proctui.tui.plot import Plot, Scale, mean_of
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import LineView, Run, Runs
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["CpuGraph", "Graph", "MemoryGraph", "byte_ceiling"]


ROOMY = 14
"""Rows from which on a graph's pane also tells the machine's other figures."""
MARGIN = 7
"""Cells at the left for the scale."""
AXIS_FROM = 5
"""Rows from which on the last one is the axis of time."""


class Curves(NamedTuple):
    """What one graph draws: ``share`` in front of ``whole``, up to ``top``."""

    whole: Windowed
    share: Windowed | None
    factor: float
    """What a figure of ``whole`` is multiplied by."""


class Graph(LineView):
    """A legend and rows of braille; subclasses say what they draw."""

    class Picked(Message):
        """A moment was clicked: an index of the history."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.show_cursor = False
        self._plot = Plot()
        self._scale = Scale()
        self._final = 0
        self._last: tuple[View, Trends] | None = None
        self._lines: list[Runs] = []

    # What subclasses give

    def curves(self, view: View, trends: Trends) -> Curves:
        raise NotImplementedError

    def legend(self, view: View, trends: Trends, width: int) -> list[Run]:
        """What the tones mean and their figures at the moment shown."""
        raise NotImplementedError

    def scale_top(self, view: View, highest: float) -> float:
        """The top of the scale above the highest figure drawn."""
        raise NotImplementedError

    def label(self, top: float) -> str:
        raise NotImplementedError

    def below(self, view: View, trends: Trends, width: int) -> list[Runs]:
        """What is told below where there is room."""
        raise NotImplementedError

    # Drawing

    def fit(self) -> None:
        super().fit()
        if self._last is not None:
            self.update_view(*self._last)

    def length(self) -> int:
        return len(self._lines)

    def runs(self, index: int) -> Runs:
        return self._lines[index]

    def update_view(self, view: View, trends: Trends) -> None:
        """Take a tick."""
        self._last = (view, trends)
        width, height = self.extent.width - 1, self.extent.height
        if width <= MARGIN or height < 1:
            return
        below = self.below(view, trends, width) if height >= ROOMY else []
        rows = height - 1 - len(below)
        self._aim(trends, width - MARGIN)
        shown = self._span(view, self._scale.shown(width - MARGIN))
        subject = "" if trends.subtree is None else trends.subtree.title
        axis = rows >= AXIS_FROM
        self.set_title(f"{self.BORDER_TITLE}  {subject}".rstrip(), "" if axis else f"last {shown}")
        lines = self._drawn(view, trends, width - MARGIN, rows - axis)
        if axis:
            lines.append(self._axis(trends, width - MARGIN, f"-{shown}"))
        self._lines = [_whole(self.legend(view, trends, width), width), *lines, *below]
        self.paint()

    def _aim(self, trends: Trends, cells: int) -> None:
        """Choose the scale and its newest cell: now, or what brings the time cursor in sight."""
        self._scale = Scale.of(trends.looks, cells)
        self._final = min(
            self._scale.cell(max(0, trends.end)), self._scale.cell(max(0, trends.at)) + cells - 1
        )

    def _span(self, view: View, looks: int) -> str:
        interval = max(0.1, round(view.snapshot.interval or 1.0, 1))
        return human_seconds(round(looks * interval, -1))

    def _drawn(self, view: View, trends: Trends, cells: int, rows: int) -> list[Runs]:
        if rows < 1:
            return []
        curves = self.curves(view, trends)
        first = self._scale.dots(self._final - cells + 1)[0][0]
        last = self._scale.last(self._final)
        highest = trends.highest(curves.whole, first, last) * curves.factor
        if curves.share is not None:
            highest = max(highest, trends.highest(curves.share, first, last))
        top = self.scale_top(view, highest)
        plotted = self._plot.rows(
            mean_of(curves.whole, curves.factor),
            None if curves.share is None else mean_of(curves.share),
            end=trends.end,
            last=self._final,
            scale=self._scale,
            width=cells,
            height=rows,
            top=top,
            about=trends.subtree or trends.history,
        )
        cursor = self._cursor_cell(trends, cells)
        out: list[Runs] = []
        for at, row in enumerate(plotted):
            mark = self.label(top) if at == 0 else "0" if at == rows - 1 and rows > 1 else ""
            runs = [(text, "share" if mine else "whole") for text, mine in row]
            if cursor is not None:
                runs = _with_cursor(runs, cursor)
            out.append(((mark.rjust(MARGIN - 1)[: MARGIN - 1] + " ", "dim"), *runs))
        return out

    def _cursor_cell(self, trends: Trends, cells: int) -> int | None:
        """Where the time cursor stands, counted from the left; ``None`` where it is now."""
        if not trends.past:
            return None
        return self._scale.cell(trends.at) - (self._final - cells + 1)

    def _axis(self, trends: Trends, cells: int, label: str) -> Runs:
        """The line of time: how far back it goes, and what happened when."""
        first = self._final - cells + 1
        marks = trends.marks(self._scale, first, self._final)
        runs: list[Run] = []
        start = first
        for cell in sorted(marks):
            glyph, style, _meaning = MARKS[marks[cell]]
            runs += [("┈" * (cell - start), "guide"), (glyph, style)]
            start = cell + 1
        runs.append(("┈" * (self._final + 1 - start), "guide"))
        cursor = self._cursor_cell(trends, cells)
        if cursor is not None:
            runs = _with_cursor(runs, cursor)
        return ((label.rjust(MARGIN - 1) + " ", "dim"), *(run for run in runs if run[0]))

    def on_click(self, event: events.Click) -> None:
        super().on_click(event)
        offset = event.get_content_offset(self)
        cells = self.extent.width - 1 - MARGIN
        if offset is not None and 0 <= offset.x - MARGIN < cells and offset.y > 0:
            self.post_message(
                self.Picked(self._scale.last(self._final - cells + 1 + offset.x - MARGIN))
            )


def _with_cursor(runs: list[Run], cell: int) -> list[Run]:
    """A row of the graph with the time cursor standing in one of its cells."""
    out: list[Run] = []
    at = 0
    for text, style in runs:
        if at <= cell < at + len(text):
            place = cell - at
            here = text[place]
            out += [
                (text[:place], style),
                ("│" if here in " ┈" else here, "moment"),
                (text[place + 1 :], style),
            ]
        else:
            out.append((text, style))
        at += len(text)
    return [run for run in out if run[0]]


def _whole(runs: Sequence[Run], width: int) -> Runs:
    """As many runs as fit, none of them cut: half a figure is a wrong one."""
    kept = list(runs)
    while len(kept) > 1 and sum(cell_len(text) for text, _ in kept) > width:
        del kept[-1]
    return tuple(kept)


def _key(name: str, figure: str, style: str) -> list[Run]:
    return [("● ", style), (f"{name} ", "dim"), (figure, "figure"), ("   ", "")]


class CpuGraph(Graph):
    """The job's CPU in front of the machine's; 100 % is one core."""

    BORDER_TITLE = "CPU"

    def curves(self, view: View, trends: Trends) -> Curves:
        if trends.subtree is not None:
            return Curves(trends.subtree.whole["cpu"], trends.subtree.own["cpu"], 1.0)
        share = trends.history.job["cpu"] if view.session is not None else None
        cores = view.snapshot.system.cores
        return Curves(trends.history.machine["cpu"], share, cores)

    def legend(self, view: View, trends: Trends, width: int) -> list[Run]:
        cores, at = view.snapshot.system.cores, trends.at
        if trends.subtree is not None:
            own, whole = trends.subtree.own["cpu"].at(at), trends.subtree.whole["cpu"].at(at)
            return [
                *_key("it alone", f"{human_percent(own):>5} %", "share"),
                *_key("with all below", f"{human_percent(whole):>5} %", "whole"),
            ]
        usage = trends.history.machine["cpu"].at(at)
        runs: list[Run] = []
        if view.session is not None:
            job = trends.history.job["cpu"].at(at)
            runs += _key("job", f"{human_percent(job):>5} %", "share")
        used = None if usage is None else usage * cores
        runs += _key("machine", f"{human_percent(used):>5} %", "whole")
        runs[-1] = (f" of {cores} {'core' if cores == 1 else 'cores'}", "dim")
        load = view.snapshot.system.load
        if load is not None and width > 56:
            runs.append((f"   load {load[0]:.2f}", "dim"))
        return runs

    def scale_top(self, view: View, highest: float) -> float:
        return max(10.0, min(ceiling(highest), 100.0 * view.snapshot.system.cores))

    def label(self, top: float) -> str:
        return f"{top:.0f} %"

    def below(self, view: View, trends: Trends, width: int) -> list[Runs]:
        return core_lines(view, width)


class MemoryGraph(Graph):
    """The job's resident memory in front of what the machine uses."""

    BORDER_TITLE = "Memory"

    def curves(self, view: View, trends: Trends) -> Curves:
        if trends.subtree is not None:
            return Curves(trends.subtree.whole["rss"], trends.subtree.own["rss"], 1.0)
        share = trends.history.job["rss"] if view.session is not None else None
        return Curves(trends.history.machine["memory"], share, 1.0)

    def legend(self, view: View, trends: Trends, width: int) -> list[Run]:
        at = trends.at
        if trends.subtree is not None:
            own, whole = trends.subtree.own["rss"].at(at), trends.subtree.whole["rss"].at(at)
            return [
                *_key("it alone", f"{human_bytes(own):>6}", "share"),
                *_key("with all below", f"{human_bytes(whole):>6}", "whole"),
            ]
        memory = view.snapshot.system.memory
        runs: list[Run] = []
        if view.session is not None:
            runs += _key("job", f"{human_bytes(trends.history.job['rss'].at(at)):>6}", "share")
        runs += _key("machine", f"{human_bytes(memory.used):>6}", "whole")
        runs[-1] = (f" of {human_bytes(memory.total)}", "dim")
        if memory.swap_used and width > 56:
            runs.append((f"   swap {human_bytes(memory.swap_used)}", "dim"))
        return runs

    def scale_top(self, view: View, highest: float) -> float:
        return byte_ceiling(highest)

    def label(self, top: float) -> str:
        return human_bytes(top)

    def below(self, view: View, trends: Trends, width: int) -> list[Runs]:
        return machine_lines(view, trends, width)


def byte_ceiling(size: float) -> float:
    """A round number of binary units above ``size``."""
    unit = 1.0
    while unit * 1024 <= size:
        unit *= 1024
    for step in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768):
        if size <= step * unit:
            return step * unit
    return 1024 * unit
