"""What nearly all lines of a log begin with: a timestamp, its digits masked, and a level.

To cut a block into lines and to look each one's head up costs half a
microsecond a line.  A log has few such beginnings, and the regular expression
engine and ``bytes.count`` pass over them in a third of that; what is left are
the lines that need a look.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from proctui.logs.layout import Verdict
from proctui.logs.levels import ERROR

__all__ = ["Shapes", "learn", "runs"]

_MOST: Final = 8
_RARE: Final = 50
"""A beginning that fewer than one line in so many has is left to those who look at lines."""
_ODD: Final = 0.3
"""From this share of odd lines on, looking at every line costs less."""
_UPPER: Final = re.compile(rb"(?<![A-Za-z])[A-Z]{3,9}\Z")
_WINDOW: Final = 4096


class Shapes(NamedTuple):
    """Beginnings of lines that say nothing worse than a warning, each behind its newline.

    ``quiet``: (beginning, level), the most common first, none the beginning
    of another; ``key``: what all of them begin with, down to the end of the
    time that is counted by; ``odd`` finds the lines that begin otherwise.
    """

    quiet: tuple[tuple[bytes, int], ...]
    key: bytes
    odd: re.Pattern[bytes]

    def sift(self, masked: bytes, lines: int, levels: list[int]) -> list[int] | None:
        """Where lines that need a look begin; the others are added to ``levels``.

        ``masked`` holds ``lines`` lines, each behind its newline, with masked
        digits.  ``None``, and nothing added, where too many are odd.
        """
        found = [match.end() for match in self.odd.finditer(masked)]
        if len(found) > lines * _ODD:
            return None
        left = lines - len(found)
        for shape, level in self.quiet[1:]:
            count = masked.count(shape)
            levels[level] += count
            left -= count
        levels[self.quiet[0][1]] += left
        return found


def learn(
    heads: Counter[bytes], verdict_of: Callable[[bytes], Verdict], key_end: int
) -> Shapes | None:
    """The beginnings of lines whose heads are ``heads``; ``None`` if they don't cover most of them.

    ``key_end``: where in a line the time that is counted by ends.
    """
    counts: Counter[bytes] = Counter()
    levels: dict[bytes, int] = {}
    for head, count in heads.items():
        verdict = verdict_of(head)
        shape = _shape(head, verdict)
        if shape is not None:
            counts[shape] += count
            levels[shape] = verdict.level
    lines = heads.total()
    chosen: list[bytes] = []
    for shape, count in counts.most_common(_MOST):
        if count * _RARE >= lines and not any(
            one.startswith(shape) or shape.startswith(one) for one in chosen
        ):
            chosen.append(shape)
    keys = {shape[: 1 + key_end] for shape in chosen}
    if len(keys) != 1 or lines - sum(counts[shape] for shape in chosen) > lines * _ODD:
        return None
    alternatives = b"|".join(re.escape(shape[1:]) for shape in chosen)
    return Shapes(
        tuple((shape, levels[shape]) for shape in chosen),
        keys.pop(),
        re.compile(rb"\n(?!" + alternatives + rb")"),
    )


def _shape(head: bytes, verdict: Verdict) -> bytes | None:
    """The part of ``head`` that alone decides its verdict, behind a newline.

    Only where nothing that follows could change it: a level in capitals or in
    brackets that stands behind the timestamp.
    """
    if not (verdict.fast and verdict.decided and verdict.begins and verdict.level < ERROR):
        return None
    after = verdict.after
    behind = head[after : after + 1]
    word = _UPPER.search(head, 0, after)
    if word is not None:
        opened = head[word.start() - 1 : word.start()] in (b"[", b"(", b"<")
        sure = behind == b"]" if opened else behind in (b" ", b"\t")
    else:
        sure = bool(behind) and head[after - 1 : after] in (b"]", b")", b">")
    return b"\n" + head[: after + 1] if sure else None


def runs(
    body: bytes, masked: bytes, key: bytes, keyed: int, column: int
) -> dict[bytes, int] | None:
    """How many lines begin with which time, where equal ones stand together.

    ``body``: lines, each behind its newline; ``masked`` the same with digits
    masked; ``keyed``: how many begin with ``key``, in which the time stands
    behind ``column`` bytes of the line.  What was found must add up: ``None``
    if the times are too mixed to be counted like this.
    """
    found: dict[bytes, int] = {}
    width = len(key)
    window = _WINDOW
    left = keyed
    budget = keyed // 4 + 8
    at = masked.find(key)
    while at >= 0:
        budget -= 1
        if not budget:
            return None
        time = body[at : at + width]
        last = body.rfind(time, at, at + window + width)
        count = body.count(time, at, last + width)
        moment = time[column + 1 :]
        found[moment] = found.get(moment, 0) + count
        left -= count
        window = max(_WINDOW, 2 * (last - at))
        at = masked.find(key, last + width)
    return None if left else found
