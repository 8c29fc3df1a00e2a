"""The columns of the process tree, and which of them fit into a pane."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Column", "columns_for"]


class Column(NamedTuple):
    id: str
    title: str
    width: int
    right: bool
    sort: str | None


_FIXED = {
    "pid": Column("pid", "PID", 7, True, "pid"),
    "cpu": Column("cpu", "CPU%", 6, True, "cpu"),
    "history": Column("history", "HISTORY", 10, False, "cpu"),
    "rss": Column("rss", "MEM", 6, True, "memory"),
    "threads": Column("threads", "THR", 4, True, "threads"),
    "time": Column("time", "TIME", 7, True, "time"),
    "age": Column("age", "AGE", 4, True, "start"),
    "state": Column("state", "S", 1, False, "state"),
}
_ORDER = ("pid", "cpu", "history", "rss", "threads", "time", "age", "state")
_WANTED = ("cpu", "pid", "rss", "state", "history", "age", "threads", "time")


def columns_for(width: int) -> list[Column]:
    """Which columns fit, name first, the command last where there is room for it.

    Widths depend on the pane alone, never on what the rows hold, so nothing
    jumps while figures change.
    """
    name = 16 if width < 60 else 24 if width < 100 else 34 if width < 118 else 42
    left = width - 2 - name
    chosen: set[str] = set()
    for wanted in _WANTED:
        need = _FIXED[wanted].width + 1
        if left < need:
            break
        chosen.add(wanted)
        left -= need
    middle = [_FIXED[one] for one in _ORDER if one in chosen]
    if left >= 24:
        command = [Column("command", "COMMAND", left - 1, False, None)]
    else:
        command, name = [], name + left
    return [
        Column("role", "", 1, False, None),
        Column("name", "NAME", name, False, "name"),
        *middle,
        *command,
    ]
