"""One line on top: the job, how many processes and strays, what they use, what we cost."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from proctui.tui.cells import fit
from proctui.tui.widgets.line_view import LineView, Run, Runs
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["HeaderFacts", "HeaderLine", "header_runs"]


class HeaderFacts(NamedTuple):
    """What the header tells; ``None`` is a figure that could not be read.

    ``job`` is ``None`` where there is none, and empty before the first look.
    """

    job: str | None = ""
    state: str = ""
    processes: int = 0
    strays: int = 0
    cpu: float | None = None
    memory: int | None = None
    elapsed: float | None = None
    own_cpu: float | None = None
    own_memory: int | None = None
    note: str = ""
    mode: str = ""


def header_runs(facts: HeaderFacts, width: int) -> Runs:
    """The line for a width: what matters least goes first where room is short."""
    left: list[Run] = [(" proctui ", "accent")] if width >= 60 else []
    if facts.job == "":
        return (*left, (" looking … ", "dim"))
    if facts.job is None:
        left += [(" no job: looking only ", "strong")]
    else:
        left += [(" " + facts.job[: max(8, width // 4)] + " ", "strong")]
    if facts.state:
        style = "good" if facts.state == "live" else "warn"
        left += [(f" {facts.state} ", style)]
    if facts.mode:
        left += [(f" {facts.mode} ", "hot")]
    if facts.note:
        left += [(f" {facts.note} ", "warn")]
    middle: list[list[Run]] = []
    narrow = width < 110
    noun = "proc" if narrow else "process" if facts.processes == 1 else "processes"
    middle.append([(f"{facts.processes:>{3 if narrow else 4}}", "figure"), (f" {noun}", "dim")])
    if facts.job is not None:
        noun = "stray " if facts.strays == 1 else "strays"
        style = "stray" if facts.strays else "dim"
        middle.append([(f"{facts.strays:>3} {noun}", style)])
    middle.append([("CPU ", "dim"), (f"{human_percent(facts.cpu):>5} %", "figure")])
    middle.append([("MEM ", "dim"), (f"{human_bytes(facts.memory):>5}", "figure")])
    if facts.elapsed is not None:
        middle.append([(f"{human_seconds(facts.elapsed):>6}", "figure")])
    own = [
        ("proctui ", "dim"),
        (f"{human_percent(facts.own_cpu):>4} %", "quiet"),
        (f" {human_bytes(facts.own_memory):>5} ", "quiet"),
    ]
    room = width - _cells(left)
    if room < _cells(own) + 30:
        own = []
    room -= _cells(own)
    shown: list[Run] = []
    for part in middle:
        size = _cells(part) + (1 if narrow else 3)
        if size > room:
            break
        shown += [(" " if narrow else "   ", ""), *part]
        room -= size
    gap = max(0, width - _cells(left) - _cells(shown) - _cells(own))
    return (*left, *shown, (" " * gap, ""), *own)


def _cells(runs: list[Run]) -> int:
    return sum(cell_len(text) for text, _style in runs)


class HeaderLine(LineView, can_focus=False):
    """Shows :class:`HeaderFacts`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.show_cursor = False
        self.facts = HeaderFacts()

    def show(self, facts: HeaderFacts) -> None:
        if facts != self.facts:
            self.facts = facts
            self.paint()

    def length(self) -> int:
        return 1

    def runs(self, index: int) -> Runs:
        return header_runs(self.facts, max(1, self.extent.width - 1))

    def text(self) -> str:
        """The line as plain text."""
        return fit("".join(text for text, _ in self.runs(0)), max(1, self.extent.width - 1))
