"""Graph lines in braille: two samples a character across, four levels high.

Pure functions from numbers to characters.  A sample of ``None`` is a gap (a
figure that could not be read), never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

__all__ = ["ceiling", "column_levels", "share_rows", "spark"]

_LEFT = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_CELLS = tuple(
    tuple(chr(0x2800 + (left | right)) if left | right else " " for right in _RIGHT)
    for left in _LEFT
)
"""A character for the levels of two samples."""


def spark(values: Sequence[float | None], width: int, top: float) -> str:
    """The latest ``2 * width`` samples as one line, newest at the right; anything above 0 shows."""
    wanted = values[-2 * width :] if width else ()
    levels = [0] * (2 * width - len(wanted))
    levels += [
        0
        if not value or value <= 0 or top <= 0
        else 4
        if value >= top
        else round(value / top * 4) or 1
        for value in wanted
    ]
    return "".join([_CELLS[left][right] for left, right in zip(levels[::2], levels[1::2])])


@lru_cache(maxsize=4096)
def column_levels(left: int, right: int, height: int) -> str:
    """One column of cells, top row first, for two levels of ``4 * height`` dots."""
    cells = []
    for row in range(height):
        base = 4 * (height - 1 - row)
        code = _LEFT[min(4, max(0, left - base))] | _RIGHT[min(4, max(0, right - base))]
        cells.append(chr(0x2800 + code) if code else " ")
    return "".join(cells)


def share_rows(left: int, right: int, low_left: int, low_right: int, height: int) -> int:
    """How many rows from the bottom are of the share's tone."""
    rows = 0
    for row in range(height):
        base = 4 * row
        whole = min(4, max(0, left - base)) + min(4, max(0, right - base))
        low = min(4, max(0, low_left - base)) + min(4, max(0, low_right - base))
        if not low or low * 2 < whole:
            break
        rows += 1
    return rows


def ceiling(value: float, steps: Sequence[float] = (1, 2, 5)) -> float:
    """The next round number above ``value``: a scale that rests while figures move."""
    if value <= 0:
        return float(steps[0])
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    for step in steps:
        if step * power >= value:
            return step * power
    return 10 * power
