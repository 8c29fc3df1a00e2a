"""A pane of text lines: what inspector, stack and log have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proctui.tui.widgets.line_view import LineView, Runs

__all__ = ["TextPane"]


class TextPane(LineView):
    """Shows lines it is given; ``/`` searches them, ``\\`` keeps those that match."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._all: Sequence[Runs] = ()
        self._lines: Sequence[Runs] = ()
        self.needle = ""

    def set_lines(self, lines: Iterable[Runs], *, keep: bool = True) -> None:
        """Show other lines; the position is kept unless they belong to something else."""
        self._all = list(lines)
        if not keep:
            self.top = self.cursor = self.left = 0
        self._refilter()

    def set_filter(self, needle: str) -> str | None:
        """Show only lines that hold ``needle``, whatever its case; empty shows all.

        Returns what is wrong with it, if anything.
        """
        self.needle = needle
        self._refilter()
        return None

    def _refilter(self) -> None:
        needle = self.needle.lower()
        self._lines = (
            [runs for runs in self._all if needle in "".join(text for text, _ in runs).lower()]
            if needle
            else self._all
        )
        self.paint()

    def length(self) -> int:
        return len(self._lines)

    def runs(self, index: int) -> Runs:
        return self._lines[index]
