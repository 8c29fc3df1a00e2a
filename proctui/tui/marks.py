"""What happened at which look: the marks below the graphs, and where the time cursor jumps to."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["MARKS", "TROUBLE", "Chronicle"]

MARKS: dict[str, tuple[str, str, str]] = {
    "hung": ("!", "bad", "a hang was found"),
    "killed": ("†", "bad", "signalled from here"),
    "failed": ("×", "bad", "a process failed"),
    "stray": ("✱", "stray", "a process left the job's tree"),
    "alert": ("▴", "warn", "an alert"),
    "born": ("+", "good", "processes were born"),
    "died": ("-", "dim", "processes ended"),
}
"""Kind → glyph, style and meaning; what matters most first."""

TROUBLE = frozenset({"hung", "killed", "failed", "stray", "alert"})
"""The kinds that the time cursor jumps between."""

RANK = {kind: rank for rank, kind in enumerate(MARKS)}

_KEPT = 4096


class Chronicle:
    """One kind for each look at which something happened: the one that matters most."""

    def __init__(self) -> None:
        self._kinds: dict[int, str] = {}

    def note(self, index: int, kind: str) -> None:
        """Something of a kind happened at a look of the history; looks never go back."""
        before = self._kinds.get(index)
        if before is None or RANK[kind] < RANK[before]:
            self._kinds[index] = kind
            if len(self._kinds) > _KEPT:
                del self._kinds[next(iter(self._kinds))]

    def between(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """Looks and kinds from ``first`` to ``last``, the newest first."""
        for index in reversed(self._kinds):
            if index < first:
                return
            if index <= last:
                yield index, self._kinds[index]

    def trouble(self, index: int, step: int) -> int | None:
        """The nearest look before (``step`` < 0) or after an index that saw trouble."""
        found = [at for at, kind in self._kinds.items() if kind in TROUBLE]
        if step < 0:
            return max((at for at in found if at < index), default=None)
        return min((at for at in found if at > index), default=None)
