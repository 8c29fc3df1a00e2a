"""What the stack pane shows, as values: blocks of lines that can be folded."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Block", "Dump", "Row", "Run", "Runs"]

Run = tuple[str, str]
Runs = tuple[Run, ...]


class Row(NamedTuple):
    """A line of a block; ``hidden`` are the lines that stand for it when it is unfolded."""

    runs: Runs
    hidden: tuple[Runs, ...] = ()
    prose: bool = False
    """Words that are wrapped where they don't fit, unlike a frame or a line of source."""


class Block(NamedTuple):
    """A title and what stands under it; folded, only the title is shown."""

    title: Runs
    rows: tuple[Row, ...] = ()


class Dump(NamedTuple):
    """What one key press brought: its headline, its blocks, what could not be seen."""

    headline: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    taken: float = 0.0
    """Seconds since 1970 when it was shown first."""
    about: str = ""
    """What was asked, of whom: only an answer to the same can be said to have changed."""
