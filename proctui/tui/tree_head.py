"""What stands above the process tree: its columns, and in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence

from proctui.tui.cells import Run, fit
from proctui.tui.columns import Column
from proctui.tui.rows import SORTS, Options

__all__ = ["head_runs", "title_of"]


def head_runs(columns: Sequence[Column], options: Options) -> tuple[Run, ...]:
    """The titles of the columns, an arrow at the one that sorts."""
    runs: list[Run] = []
    for column in columns:
        current = column.sort == options.sort and column.id != "history"
        arrow = ""
        if current and options.sort != "start":
            arrow = "▴" if SORTS[options.sort][2] == options.inverted else "▾"
        text = fit(column.title + arrow, column.width, right=column.right)
        runs += [(text, "accent" if arrow else "title"), (" ", "")]
    return tuple(runs)


def title_of(options: Options, follow: bool) -> str:
    """What is shown and how: ``job · tree · by CPU``."""
    parts = ["machine" if options.machine else "job", "tree" if options.tree else "flat"]
    if options.sort != "start":
        parts.append(f"by {SORTS[options.sort][0]}")
    if options.query is not None:
        parts.append(f"only {options.query.text}")
    if follow:
        parts.append("follow")
    return " · ".join(parts)
