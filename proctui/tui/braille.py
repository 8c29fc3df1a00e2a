"""Graph lines in braille: two samples a character across, four levels high.

Pure functions from numbers to characters.  A sample of ``None`` is a gap (a
figure that could not be read), never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

__all__ = ["BLANK", "area", "ceiling", "column_levels", "spark"]

BLANK = "\u2800"
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


def area(
    whole: Sequence[float | None],
    share: Sequence[float | None],
    width: int,
    height: int,
    top: float,
) -> list[list[tuple[str, bool]]]:
    """A filled graph in two tones.

    ``share`` is the lower part of ``whole`` (same length, newest last).
    Returns ``height`` rows, each a list of ``(text, is_share)`` runs that
    are ``width`` cells together.  A cell takes the tone that fills most of
    its dots.
    """
    steps = 4 * height
    wholes = _padded(whole, 2 * width)
    shares = _padded(share, 2 * width)
    glyphs: list[str] = []
    tones: list[int] = []
    for at in range(0, 2 * width, 2):
        left, right = (_level(value, top, steps) for value in wholes[at : at + 2])
        low_left, low_right = (_level(value, top, steps) for value in shares[at : at + 2])
        left, right = max(left, low_left), max(right, low_right)
        glyphs.append(column_levels(left, right, height))
        tones.append(_share_rows(left, right, low_left, low_right, height))
    rows: list[list[tuple[str, bool]]] = []
    for row in range(height):
        below = height - row
        runs: list[tuple[str, bool]] = []
        start = 0
        for at in range(1, width + 1):
            if at == width or (tones[at] >= below) != (tones[start] >= below):
                text = "".join(column[row] for column in glyphs[start:at])
                runs.append((text, tones[start] >= below))
                start = at
        rows.append(runs)
    return rows


def _padded(values: Sequence[float | None], length: int) -> list[float | None]:
    """The newest ``length`` samples.

    With an odd number the newest stands alone in the last column, so that
    older cells keep their glyphs while the next sample arrives.
    """
    tail = list(values[-length:])
    blank: list[float | None] = [None] * (length - len(tail))
    return blank + tail


def _share_rows(left: int, right: int, low_left: int, low_right: int, height: int) -> int:
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
