"""One file of the log pane: read from its end backward, forward from anywhere, followed.

A rotation makes a new generation; the older one stays open, so that reading
backward goes on into it.  Nothing is indexed, nothing is read before it is
wanted.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from proctui.errors import NotSupported, ProctuiError
from proctui.logs.backward import line_start_before
from proctui.logs.entries import Entry, Splitter, continues
from proctui.logs.follow import Batch, Follower
from proctui.logs.layout import detect
from proctui.logs.levels import UNKNOWN
from proctui.logs.opening import OpenLog, open_log
from proctui.logs.rotation import open_quietly

__all__ = ["LogSource", "Place", "merged_pages"]

_PAGE: Final = 1 << 16
_GENERATIONS: Final = 3
_SAMPLE: Final = 1 << 15
_ARRIVALS: Final = 20_000
_APART: Final = 0.2
"""Seconds that two remembered arrivals lie apart: together they reach back an hour at least."""

Place = tuple[int, int]
"""(generation, byte offset): a position in a log that may have been rotated."""


class _Generation:
    def __init__(self, fd: int, begin: int) -> None:
        self.fd = fd
        self.begin = begin
        status = os.fstat(fd)
        self.id = (status.st_dev, status.st_ino)
        self.end = status.st_size


class LogSource:
    """``number`` tells the sources of a pane apart; ``name`` is what the pane shows."""

    def __init__(self, number: int, path: str, name: str) -> None:
        self.number = number
        self.path = path
        self.name = name
        self.spool: OpenLog | None = None
        try:
            self.follower = Follower(path)
        except NotSupported:
            # Compressed or UTF-16: a decoded copy, which nobody appends to.
            self.spool = open_log(path)
            self.path = f"/proc/self/fd/{self.spool.fd}"
            self.follower = Follower(self.path)
        self.generations: dict[int, _Generation] = {}
        self.latest = 0
        self._pin()
        self.tail: Place = (0, self.follower.offset - len(self.follower.partial))
        self.opened = self.tail
        self.splitter = self._splitter()
        self.ended: str | None = None
        self.last: Entry | None = None
        self.written = time.time()
        one = self.generations.get(0)
        if one is not None:
            self.written = os.fstat(one.fd).st_mtime
        self._arrivals: deque[tuple[float, Place]] = deque(maxlen=_ARRIVALS)

    def _pin(self) -> None:
        opened = open_quietly(self.path)
        if opened is None:
            return
        fd, _ = opened
        begin = 3 if os.pread(fd, 3, 0) == b"\xef\xbb\xbf" else 0
        self.generations[self.latest] = _Generation(fd, begin)
        for old in [number for number in self.generations if number <= self.latest - _GENERATIONS]:
            os.close(self.generations.pop(old).fd)

    def _splitter(self) -> Splitter:
        now = self.generations.get(self.latest)
        samples = []
        written = time.time()
        if now is not None:
            size, written = os.fstat(now.fd).st_size, os.fstat(now.fd).st_mtime
            samples = [os.pread(now.fd, _SAMPLE, now.begin)]
            if size > 2 * _SAMPLE:
                samples.append(os.pread(now.fd, _SAMPLE, size - _SAMPLE).split(b"\n", 1)[-1])
        return Splitter(detect(samples, written), self.number)

    def grown(self) -> bool:
        """Whether a poll may bring anything."""
        return self.ended is not None or not self.follower.unchanged()

    def poll(self, most: int) -> list[Entry | Batch]:
        """New entries, and marks (as batches) where the file was rotated or truncated."""
        out: list[Entry | Batch] = []
        try:
            batches = self.follower.poll(most)
        except (OSError, ProctuiError) as error:
            self.ended = str(error)
            return out
        for batch in batches:
            if batch.kind in ("rotated", "truncated"):
                self.latest += 1
                self._pin()
                self.tail = (self.latest, 0)
                out.append(batch)
            elif batch.kind == "note":
                out.append(batch)
            else:
                if not self.splitter.layout.dated and self.tail[1] < _PAGE:
                    self.splitter = Splitter(
                        detect([batch.data[:_SAMPLE]], time.time()), self.number
                    )
                last = self.last
                firm = last is not None and (last.time is not None or last.level != UNKNOWN)
                out += self.splitter.split(
                    batch.data, batch.offset, self.latest, known=last is not None, firm=firm
                )
                self.tail = (self.latest, batch.offset + len(batch.data))
        if batches:
            self._remember()
        return out

    def _remember(self) -> None:
        """Note how far the log reaches now."""
        now, known = time.time(), self._arrivals
        if not known:
            known.append((self.written, self.opened))
        if now - known[-1][0] < _APART:
            known[-1] = (known[-1][0], self.tail)
        else:
            known.append((now, self.tail))

    def arrived(self, entry: Entry) -> float:
        """When an entry came (Unix seconds); what stood there before, when that was written."""
        place = (entry.generation, entry.end)
        at = bisect_left(self._arrivals, place, key=lambda one: one[1])
        return self._arrivals[at][0] if at < len(self._arrivals) else self.written

    def place_at(self, moment: float) -> Place | None:
        """How far the log reached at ``moment`` (Unix seconds).

        Known by when its lines came; before it was opened by the timestamps
        in it, ``None`` where it has none.
        """
        if moment >= self.written:
            at = bisect_right(self._arrivals, moment, key=lambda one: one[0])
            return self._arrivals[at - 1][1] if at else self.opened
        return self.find_time(moment) if self.splitter.layout.dated else None

    def hurry(self, most: int) -> bool:
        """Go to the end if more than ``most`` bytes wait to be read; whether that was so."""
        if self.follower.lag <= most:
            return False
        self.follower.skip_to_end()
        self.tail = (self.latest, self.follower.offset)
        return True

    def joins(self, last: Entry, new: Entry) -> bool:
        """Whether ``new`` continues ``last``, which came just before it in the same file."""
        return (new.generation, new.offset) == (last.generation, last.end) and continues(last, new)

    def before(self, place: Place) -> tuple[list[Entry], Place | None]:
        """A page of whole entries that end at ``place``: (oldest first, where they begin or ``None``)."""
        number, offset = place
        one = self.generations.get(number)
        while one is not None and offset <= one.begin:
            number -= 1
            one = self.generations.get(number)
            offset = os.fstat(one.fd).st_size if one is not None else 0
        if one is None:
            return [], None
        reach = _PAGE
        while True:
            low = max(one.begin, offset - reach)
            if low > one.begin:
                low = line_start_before(one.fd, low, one.begin, _PAGE)
            data = os.pread(one.fd, offset - low, low)
            entries = list(self.splitter.split(data, low, number, known=low > one.begin))
            if low > one.begin and entries and entries[0].kind == "rest":
                if len(entries) == 1 and reach < 1 << 20:
                    reach *= 4
                    continue
                if len(entries) > 1:
                    entries.pop(0)
                else:
                    entries[0].kind = "entry"
            return entries, (number, entries[0].offset if entries else low)

    def after(self, place: Place) -> tuple[list[Entry], Place]:
        """A page of whole entries from ``place`` on, up to what the follower has read."""
        number, offset = place
        one = self.generations.get(number)
        while one is None or (number < self.latest and offset >= os.fstat(one.fd).st_size):
            if number >= self.latest:
                return [], self.tail
            number += 1
            one = self.generations.get(number)
            offset = one.begin if one is not None else 0
        limit = self.tail[1] if number == self.latest else os.fstat(one.fd).st_size
        data = os.pread(one.fd, min(_PAGE, max(0, limit - offset)), offset)
        if offset + len(data) < limit:
            cut = self.splitter.layout.entry_cut(data)
            if cut in (0, len(data)):
                cut = data.rfind(b"\n") + 1 or len(data)
            data = data[:cut]
        if not data:
            return [], (number, max(offset, limit))
        entries = list(self.splitter.split(data, offset, number))
        return entries, (number, offset + len(data))

    def between(self, number: int, low: int, high: int, limit: int) -> list[Entry]:
        """The whole entries around bytes ``low`` to ``high``, but none that begins at ``limit``."""
        one = self.generations[number]
        low = line_start_before(one.fd, low, one.begin, _PAGE)
        if low > one.begin:
            floor = line_start_before(one.fd, max(one.begin, low - _PAGE), one.begin, _PAGE)
            ahead = os.pread(one.fd, 4096, low).split(b"\n", 1)[0]
            before = os.pread(one.fd, low - floor, floor)
            if not self.splitter.layout.may_cut(before.rstrip(b"\n").rsplit(b"\n", 1)[-1], ahead):
                cut = self.splitter.layout.entry_cut(before)
                low = floor + (cut if cut < len(before) else 0)
        reach = high - low + 4096
        while True:
            data = os.pread(one.fd, min(reach, limit - low), low)
            whole = low + len(data) >= limit or len(data) < reach
            if not whole:
                data = data[: data.rfind(b"\n") + 1] or data
            entries = list(self.splitter.split(data, low, number))
            if whole or (entries and entries[-1].offset >= high) or reach > 1 << 20:
                return [entry for entry in entries if entry.offset < high]
            reach *= 4

    def size_of(self, number: int) -> int:
        """Bytes of a generation that are whole lines to us."""
        if number == self.latest:
            return self.tail[1]
        one = self.generations.get(number)
        return os.fstat(one.fd).st_size if one is not None else 0

    def place_of(self, entry: Entry) -> Place:
        """Where an entry ends; one of another log stands where its time is."""
        if entry.kind == "entry" and entry.source == self.number:
            return entry.generation, entry.end
        return self.tail if entry.time is None else self.find_time(entry.time)

    def find_time(self, moment: float) -> Place:
        """The first entry of the latest generation that is not older than ``moment``, by bisection."""
        one = self.generations.get(self.latest)
        if one is None:
            return self.tail
        low, high = one.begin, self.tail[1]
        while high - low > 4096:
            middle = (low + high) // 2
            found = self._time_near(one.fd, middle, high)
            if found is None or found >= moment:
                high = middle
            else:
                low = middle
        start = line_start_before(one.fd, low, one.begin, _PAGE)
        for entry in self.splitter.split(os.pread(one.fd, 3 * 4096, start), start, self.latest):
            if entry.time is not None and entry.time >= moment:
                return self.latest, entry.offset
        return self.latest, high

    def _time_near(self, fd: int, offset: int, limit: int) -> float | None:
        data = os.pread(fd, min(_PAGE, limit - offset), offset).split(b"\n", 1)[-1]
        for line in data.split(b"\n")[:200]:
            verdict = self.splitter.judge(line)
            if verdict.dated:
                return self.splitter.time_of(line, verdict)
        return None

    def request(self, place: Place) -> dict[str, Any] | None:
        """What the helper needs to open the generation of ``place``."""
        one = self.generations.get(place[0])
        if one is None:
            return None
        link = f"/proc/{os.getpid()}/fd/{one.fd}"
        return {"path": link if os.path.exists(link) else self.path, "file": list(one.id)}  # noqa: PTH110

    def begin_of(self, number: int) -> int:
        one = self.generations.get(number)
        return one.begin if one is not None else 0

    def line_number(self, place: Place) -> int:
        """The number of the line at ``place`` from 1, counted from the beginning of its file."""
        one = self.generations.get(place[0])
        if one is None:
            return 1
        count = 1
        at = 0
        while at < place[1]:
            data = os.pread(one.fd, min(1 << 20, place[1] - at), at)
            if not data:
                break
            count += data.count(b"\n")
            at += len(data)
        return count

    def close(self) -> None:
        self.follower.close()
        if self.spool is not None:
            self.spool.close()
        for one in self.generations.values():
            os.close(one.fd)
        self.generations.clear()


def merged_pages(
    sources: Sequence[LogSource], places: Sequence[Place], limits: Sequence[Place] | None = None
) -> tuple[list[Entry], list[Place]]:
    """The next entries of several logs by time, none from ``limits`` on, and where to go on in each.

    A page of one log may reach further than that of another: what lies
    behind the shorter one's end is left for the next call.
    """
    pages = [source.after(place) for source, place in zip(sources, places, strict=True)]
    horizon = min(
        (
            page[-1].time
            for source, (page, place) in zip(sources, pages, strict=True)
            if page and page[-1].time is not None and place != source.tail
        ),
        default=float("inf"),
    )
    entries: list[Entry] = []
    ends: list[Place] = []
    for page, end in pages:
        left = next((one for one in page if (one.time or 0) > horizon), None)
        taken = page if left is None else page[: page.index(left)]
        entries += taken
        ends.append(end if left is None else (left.generation, left.offset))
    if limits is not None:
        entries = [one for one in entries if (one.generation, one.offset) < limits[one.source]]
        ends = [min(end, limit) for end, limit in zip(ends, limits, strict=True)]
    entries.sort(key=lambda one: one.time or 0)
    return entries, ends
