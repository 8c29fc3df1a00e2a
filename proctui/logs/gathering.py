"""Which lines of a block need a look of their own, and what the others add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, compress
from operator import itemgetter
from typing import Final, NamedTuple

from proctui.logs.layout import MASK, Layout, Verdict
from proctui.logs.shapes import Shapes, learn, runs
from proctui.logs.tracebacks import MARK

__all__ = ["Gathered", "Gatherer"]

_CACHE: Final = 50_000


class Gathered(NamedTuple):
    """What a block holds besides the lines that were counted at sight.

    ``starts``: where lines begin that were not; ``heads``: these lines' heads,
    digits masked; ``counts``: how often each of them stands there.
    ``marked``: where lines begin that hold a traceback's mark, among the
    others or not.  ``times``: how many lines of the block have which time (cut
    off where it is counted by) just where the layout says.
    """

    lines: int
    starts: list[int]
    heads: list[bytes]
    counts: Counter[bytes]
    marked: set[int]
    times: dict[bytes, int]


class Gatherer:
    """Looks at the blocks of one log in order; ``key_end`` is where the time ends that is counted by."""

    def __init__(self, layout: Layout, key_end: int) -> None:
        self.layout = layout
        self.key_end = key_end
        self._verdicts: dict[bytes, Verdict] = {}
        self._shapes: Shapes | None = None

    def head(self, line: bytes) -> bytes:
        return line[: self.layout.width].translate(MASK)

    def verdict(self, head: bytes) -> Verdict:
        found = self._verdicts.get(head)
        if found is None:
            whole = len(head) < self.layout.width
            found = self._verdicts[head] = self.layout.judge(head, whole=whole)
        return found

    def gather(self, body: bytes, levels: list[int]) -> Gathered:
        """Look at lines, each behind its newline; what is counted at sight is added to ``levels``."""
        if len(self._verdicts) > _CACHE:
            self._verdicts.clear()
        if self._shapes is not None:
            found = self._by_shapes(self._shapes, body, levels)
            if found is not None:
                return found
        return self._by_heads(body)

    def _by_heads(self, body: bytes) -> Gathered:
        lines = body.split(b"\n")
        del lines[0]
        starts = list(accumulate((len(line) + 1 for line in lines[:-1]), initial=1))
        width = self.layout.width
        heads = b"\n".join(map(itemgetter(slice(width)), lines)).translate(MASK).split(b"\n")
        counts = Counter(heads)
        self._shapes = learn(counts, self.verdict, self.key_end)
        times = self._times(lines)
        if times:
            slow = self._slow(counts)
            key_of = itemgetter(slice(self.layout.column, self.key_end))
            for line in compress(lines, map(slow.__contains__, heads)):
                times[key_of(line)] -= 1
        return Gathered(len(lines), starts, heads, counts, _marked(body), times)

    def _by_shapes(self, shapes: Shapes, body: bytes, levels: list[int]) -> Gathered | None:
        masked = body.translate(MASK)
        lines = body.count(b"\n")
        starts = shapes.sift(masked, lines, levels)
        if starts is None:
            return None
        width = self.layout.width
        heads = [masked[at : at + width].split(b"\n", 1)[0] for at in starts]
        keyed = list(map(bytes.startswith, heads, [shapes.key[1:]] * len(heads)))
        counts = Counter(heads)
        slow = self._slow(counts)
        column = self.layout.column
        times = runs(body, masked, shapes.key, lines - len(starts) + sum(keyed), column)
        if times is None:
            times = self._times(body.split(b"\n")[1:])
            keyed = [True] * len(starts)
        for at, head in compress(zip(starts, heads, strict=True), keyed):
            if head in slow:
                key = body[at : at + self.key_end].split(b"\n", 1)[0][column:]
                times[key] = times.get(key, 0) - 1
        return Gathered(lines, starts, heads, counts, _marked(body), times)

    def _times(self, lines: list[bytes]) -> dict[bytes, int]:
        if self.layout.primary is None:
            return {}
        return Counter(map(itemgetter(slice(self.layout.column, self.key_end)), lines))

    def _slow(self, heads: Iterable[bytes]) -> set[bytes]:
        return {head for head in heads if not self.verdict(head).fast}


def _marked(body: bytes) -> set[int]:
    """Where lines begin that hold a traceback's mark."""
    found: set[int] = set()
    at = body.find(MARK)
    while at >= 0:
        found.add(body.rfind(b"\n", 0, at) + 1)
        at = body.find(MARK, at + len(MARK))
    return found
