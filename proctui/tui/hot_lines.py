"""Hot functions as blocks that the stack pane can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proctui.stacks.origins import module_of, short_file
from proctui.stacks.profile import hottest
from proctui.tui.dumps import Block, Dump, Row

__all__ = ["hot_dump"]

_SHOWN = 40
_BAR = 20


def hot_dump(profile: Mapping[str, Any], seconds: int, of: str, *, over: bool) -> Dump:
    """The functions that most samples were in, with the share of each and a bar as long."""
    rows = hottest(profile)[:_SHOWN]
    samples = sum(len(one["samples"]) for one in profile["profiles"])
    blocks = [
        Block(
            (
                (f"{row['share'] * 100:5.1f} % ", "figure"),
                (f"{'█' * round(row['share'] * _BAR):<{_BAR}} ", "hot"),
                (row["function"], "strong" if _is_program(row) else "quiet"),
                (f"  {short_file(row['file'])}:{row['line'] or '?'}", "dim"),
            ),
            (Row((("    ", ""), (_within(row), "dim"))),)
            if row["cumulative"] > row["share"]
            else (),
        )
        for row in rows
    ]
    state = "w saves it for speedscope" if over else "still sampling, Esc stops"
    headline = f"hot functions of {of} · {seconds} s · {samples} samples · {state}"
    notes = () if blocks else ("nothing of Python is at work here",)
    return Dump(headline, tuple(blocks), notes, about="hot functions")


def _is_program(row: Mapping[str, Any]) -> bool:
    return module_of(row["file"] or "")[0] == "program"


def _within(row: Mapping[str, Any]) -> str:
    return f"{row['cumulative'] * 100:.1f} % with what it calls"
