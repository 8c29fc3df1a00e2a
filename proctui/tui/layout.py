"""Where the panes stand for a size of the terminal: a pure function, and a layout around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import Layout, WidgetPlacement

if TYPE_CHECKING:
    from textual.layout import ArrangeResult
    from textual.widget import Widget

__all__ = ["PANES", "PaneLayout", "place"]

PANES = ("processes", "cpu", "memory", "inspector", "stack", "log")
"""The panes in the order Tab goes through them."""

_LOWER = ("inspector", "stack", "log")


def place(
    width: int, height: int, active: str = "processes", zoomed: bool = False, lower: str = "log"
) -> dict[str, Region]:
    """The region of every pane that is shown.

    ``active`` has the focus, ``lower`` is which of inspector, stack and log
    was used last: where there is no room for all three, that one is shown.
    """
    whole = Region(0, 0, width, height)
    if zoomed or width < 60 or height < 16:
        return {active: whole}
    if width < 120 or height < 34:
        return _medium(width, height, active if active in _LOWER else lower)
    return _wide(width, height)


def _medium(width: int, height: int, lower: str) -> dict[str, Region]:
    graphs = 5 if height >= 20 else 4
    rest = height - graphs
    tree = max(5, round(rest * 0.58))
    half = (width - 1) // 2
    return {
        "cpu": Region(0, 0, half, graphs),
        "memory": Region(half + 1, 0, width - half - 1, graphs),
        "processes": Region(0, graphs, width, tree),
        lower: Region(0, graphs + tree, width, rest - tree),
    }


def _wide(width: int, height: int) -> dict[str, Region]:
    left = round(width * 0.62)
    right = width - left - 1
    below = max(10, round(height * 0.34))
    upper = height - below
    graph = max(6, min(9, upper // 4))
    stack = round(width * 0.42)
    return {
        "processes": Region(0, 0, left, upper),
        "cpu": Region(left + 1, 0, right, graph),
        "memory": Region(left + 1, graph, right, graph),
        "inspector": Region(left + 1, 2 * graph, right, upper - 2 * graph),
        "stack": Region(0, upper, stack, below),
        "log": Region(stack + 1, upper, width - stack - 1, below),
    }


class PaneLayout(Layout):
    """Puts the panes where :func:`place` says."""

    name: ClassVar[str] = "panes"

    def __init__(self) -> None:
        self.active = "processes"
        self.lower = "log"
        self.zoomed = False

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        regions = place(size.width, size.height, self.active, self.zoomed, self.lower)
        return [
            WidgetPlacement(regions[child.id], Offset(0, 0), Spacing(), child)
            for child in children
            if child.id in regions
        ]
