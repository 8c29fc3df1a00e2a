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


def _level(value: float | None, top: float, steps: int) -> int:
    """How many of ``steps`` dots ``value`` fills; anything above zero shows one."""
    if value is None or value <= 0 or top <= 0:
        return 0
    return min(steps, max(1, round(value / top * steps)))


def spark(values: Sequence[float | None], width: int, top: float) -> str:
    """The latest ``2 * width`` samples as one line, newest at the right."""
    wanted = list(values[-2 * width :]) if width else []
    blank: list[float | None] = [None] * (2 * width - len(wanted))
    wanted = blank + wanted
    cells = []
    for left, right in zip(wanted[::2], wanted[1::2], strict=True):
        code = _LEFT[_level(left, top, 4)] | _RIGHT[_level(right, top, 4)]
        cells.append(chr(0x2800 + code) if code else " ")
    return "".join(cells)


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
