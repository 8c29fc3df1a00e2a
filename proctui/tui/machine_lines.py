"""What a graph's pane tells below its graph where there is room: cores, swap, pressure, disk, net."""

from __future__ import annotations

from proctui.awareness.view import View
from proctui.machine.series import Ring
from proctui.tui.braille import ceiling, spark
from proctui.tui.cells import Run, fit
from proctui.tui.trends import Trends
from proctui.units import human_bytes, human_percent

__all__ = ["core_lines", "machine_lines"]

Runs = tuple[Run, ...]

_CORE = 30
_MOST = 8


def bar(share: float, width: int) -> tuple[Run, Run]:
    """A gauge in two parts."""
    filled = max(0, min(width, round(share * width)))
    return ("━" * filled, "share"), ("─" * (width - filled), "guide")


def core_lines(view: View, width: int) -> list[Runs]:
    """A gauge for every core, several on a line, at most eight lines."""
    cores = view.snapshot.system.cpu.per_core
    columns = max(1, width // _CORE)
    while cores and -(-len(cores) // columns) > _MOST and columns < width // 14:
        columns += 1
    each = width // columns
    out: list[Runs] = []
    for at in range(0, len(cores), columns):
        runs: list[Run] = []
        for number, usage in enumerate(cores[at : at + columns], at):
            full, empty = bar(usage / 100, max(2, each - 17))
            runs += [(f"core {number:<3} ", "dim"), full, empty]
            runs.append((f"{human_percent(usage):>5} % ", "figure" if usage >= 0.5 else "dim"))
        out.append(tuple(runs))
    return [(), *out[:_MOST]] if out else []


def machine_lines(view: View, trends: Trends, width: int) -> list[Runs]:
    """Swap, pressure, disk and network: the figure now and its latest past."""
    system = view.snapshot.system
    at = trends.at
    rings = trends.history.machine
    dots = max(8, 2 * (width - 34))

    def line(label: str, text: str, ring: Ring, top: float | None = None) -> Runs:
        past = ring.window(max(0, at - dots + 1), at)
        highest = top or ceiling(max((value or 0 for value in past), default=1))
        return (
            (fit(label, 14), "dim"),
            (f"{text:>16}  ", "figure"),
            (spark(past, max(4, width - 34), highest), "whole"),
        )

    memory = system.memory
    out: list[Runs] = [()]
    if memory.swap_total:
        text = f"{human_bytes(memory.swap_used)} of {human_bytes(memory.swap_total)}"
        out.append(line("swap", text, rings["swap"], float(memory.swap_total)))
    for label, name in (("CPU", "cpu"), ("memory", "memory"), ("I/O", "io")):
        ring = rings[f"{name}_pressure"]
        value = ring.at(at)
        if value is not None:
            out.append(line(f"{label} waits", f"{human_percent(value)} %", ring, 100.0))
    for label, name in (
        ("disk read", "disk_read"),
        ("disk write", "disk_write"),
        ("net in", "net_received"),
        ("net out", "net_sent"),
    ):
        out.append(line(label, f"{human_bytes(rings[name].at(at))}/s", rings[name]))
    return out
