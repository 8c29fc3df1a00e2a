"""Looking for the next match beyond the window, at the speed of the helper process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from proctui.logs.backward import line_start_before
from proctui.logs.entries import Entry
from proctui.logs.helper import PatternHelper
from proctui.logs.source import LogSource, Place

__all__ = ["Seeker"]

_RANGE: Final = 8 << 20


class _Lane:
    """The search in one source."""

    def __init__(self, source: LogSource, place: Place) -> None:
        self.source = source
        self.place = place
        self.asked: int | None = None
        self.found: list[int] = []
        self.range = (0, 0)
        self.hit: Entry | None = None
        self.finished = False


class Seeker:
    """Finds the nearest entry in one direction from ``places`` that matches and is accepted.

    :meth:`work` and :meth:`answer` never wait; when ``finished``, ``hit`` is
    the entry or ``None``.
    """

    def __init__(
        self,
        helper: PatternHelper,
        sources: Sequence[LogSource],
        places: Sequence[Place],
        pattern: tuple[str, bool],
        accept: Callable[[Entry], bool],
        *,
        backward: bool,
    ) -> None:
        self.helper = helper
        self.pattern = pattern
        self.accept = accept
        self.backward = backward
        self._lanes = [_Lane(*one) for one in zip(sources, places, strict=True)]

    @property
    def finished(self) -> bool:
        return all(lane.finished for lane in self._lanes)

    @property
    def hit(self) -> Entry | None:
        """The nearest of the sources' hits, by time where they have one."""
        hits = [lane.hit for lane in self._lanes if lane.hit is not None]
        sign = 1 if self.backward else -1
        return max(hits, key=lambda one: sign * (one.time or 0.0), default=None)

    def work(self) -> None:
        for lane in self._lanes:
            if lane.finished or lane.asked is not None:
                continue
            bounds = self._older(lane) if self.backward else self._newer(lane)
            request = lane.source.request(lane.place)
            if bounds is None or request is None:
                lane.finished = True
                continue
            lane.range = bounds
            lane.found = []
            lane.asked = self.helper.ask(
                "find", **request, begin=bounds[0], end=bounds[1], pattern=self.pattern
            )

    def _older(self, lane: _Lane) -> tuple[int, int] | None:
        source = lane.source
        while lane.place[1] <= source.begin_of(lane.place[0]):
            number = lane.place[0] - 1
            if number not in source.generations:
                return None
            lane.place = (number, source.size_of(number))
        number, end = lane.place
        begin = max(source.begin_of(number), end - _RANGE)
        if begin > source.begin_of(number):
            fd = source.generations[number].fd
            begin = line_start_before(fd, begin, source.begin_of(number), 1 << 20)
        return begin, end

    def _newer(self, lane: _Lane) -> tuple[int, int] | None:
        source = lane.source
        while lane.place[1] >= source.size_of(lane.place[0]):
            number = lane.place[0] + 1
            if number not in source.generations:
                return None
            lane.place = (number, source.begin_of(number))
        number, begin = lane.place
        end = source.size_of(number)
        if number not in source.generations:
            return None
        if end - begin > _RANGE:
            end = line_start_before(source.generations[number].fd, begin + _RANGE, begin + 1)
        return begin, end

    def answer(self, answer: tuple[Any, ...]) -> bool:
        for lane in self._lanes:
            if lane.asked is None or answer[1] != lane.asked:
                continue
            if answer[0] == "found":
                lane.found += answer[2]
                return True
            lane.asked = None
            if answer[0] != "done":
                lane.finished = True
                return True
            lane.hit = self._first_accepted(lane)
            lane.finished = lane.hit is not None
            lane.place = (lane.place[0], lane.range[0 if self.backward else 1])
            return True
        return False

    def _first_accepted(self, lane: _Lane) -> Entry | None:
        end = lane.range[1]
        number = lane.place[0]
        seen = -1
        for at in reversed(lane.found) if self.backward else lane.found:
            if seen == at:
                continue
            for entry in lane.source.between(number, at, min(at + 1, end), end):
                if entry.offset <= at < entry.end and self.accept(entry):
                    return entry
            seen = at
        return None
