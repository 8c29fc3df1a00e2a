"""Compact sequences of figures over time, and their reduction to a graph's columns.

Two shapes: a :class:`Ring` holds one figure for every index (the machine, the
job's sum), a :class:`Series` only the changes (one of many processes, nearly
all of which do nothing).  Both store 32-bit floats, NaN for ``None``; both
answer :meth:`window`, so that a graph need not know which it draws.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import NamedTuple, Protocol

__all__ = ["Bucket", "Ring", "Series", "Windowed", "columns", "downsample"]


class Bucket(NamedTuple):
    """What one column of a graph stands for."""

    low: float
    mean: float
    high: float


class Windowed(Protocol):
    def window(self, first: int, last: int) -> list[float | None]:
        """The figures of the indices ``first`` to ``last``, both included."""
        ...


class Ring:
    """The last ``capacity`` figures, one an index, counted from 0 for ever."""

    __slots__ = ("_data", "capacity", "count")

    def __init__(self, capacity: int, typecode: str = "f") -> None:
        if capacity < 1:
            raise ValueError("a ring holds at least one figure")
        self.capacity = capacity
        self.count = 0
        self._data: array[float] = array(typecode)

    def append(self, value: float | None) -> None:
        number = nan if value is None else value
        if len(self._data) < self.capacity:
            self._data.append(number)
        else:
            self._data[self.count % self.capacity] = number
        self.count += 1

    @property
    def first(self) -> int:
        """The oldest index that is still kept."""
        return self.count - len(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def at(self, index: int) -> float | None:
        """The figure at an index; ``None`` where unknown, forgotten or yet to come."""
        if not self.first <= index < self.count:
            return None
        value = self._data[index % self.capacity]
        return None if isnan(value) else value

    @property
    def last(self) -> float | None:
        return self.at(self.count - 1)

    def window(self, first: int, last: int) -> list[float | None]:
        # Read once: another thread may append meanwhile.
        data, count = self._data, self.count
        low, high = max(first, count - len(data)), min(last, count - 1) + 1
        if low >= high:
            return [None] * (last + 1 - first)
        start, stop = low % self.capacity, (high - 1) % self.capacity + 1
        kept = data[start:stop] if start < stop else data[start:] + data[:stop]
        known = [None if isnan(value) else value for value in kept]
        return [*[None] * (low - first), *known, *[None] * (last + 1 - high)]


class Series:
    """A figure that is written down only when it changes."""

    __slots__ = ("_indices", "_values")

    def __init__(self) -> None:
        self._indices = array("I")
        self._values = array("f")

    def add(self, index: int, value: float | None) -> None:
        """Note the figure that holds from ``index`` on; indices never go back."""
        number = nan if value is None else value
        values = self._values
        if values and self._indices[-1] == index:
            values[-1] = number
            return
        if values:
            before = values[-1]
            # Compared as stored: a float that does not fit 32 bits never equals itself.
            stored = array("f", (number,))[0]
            if stored == before or (isnan(stored) and isnan(before)):
                return
        # The figure first: a reader in another thread finds its place by the indices.
        values.append(number)
        self._indices.append(index)

    def trim(self, points: int) -> None:
        """Keep the newest ``points`` changes (a quarter more before anything is moved)."""
        excess = len(self._values) - points
        if excess > points // 4:
            del self._indices[:excess]
            del self._values[:excess]

    def __len__(self) -> int:
        return len(self._values)

    def at(self, index: int) -> float | None:
        place = bisect_right(self._indices, index) - 1
        if place < 0:
            return None
        value = self._values[place]
        return None if isnan(value) else value

    @property
    def last(self) -> float | None:
        if not self._values or isnan(self._values[-1]):
            return None
        return self._values[-1]

    def changes(self, first: int, last: int) -> Iterator[tuple[int, float]]:
        """What held at ``first`` and each change up to ``last``, NaN where unknown."""
        indices, values = self._indices, self._values
        place = max(0, bisect_right(indices, first) - 1)
        for at in range(place, bisect_right(indices, last)):
            yield max(first, indices[at]), values[at]

    def window(self, first: int, last: int) -> list[float | None]:
        indices, values = self._indices, self._values
        start, stop = bisect_right(indices, first) - 1, bisect_right(indices, last)
        result: list[float | None] = []
        if start < 0:
            start = 0
            result = [None] * ((indices[0] if stop else last + 1) - first)
        for place in range(start, stop):
            value = values[place]
            end = indices[place + 1] if place + 1 < stop else last + 1
            # A figure that is not a number equals nothing, itself included.
            result += [value if value == value else None] * (end - max(first, indices[place]))
        return result


def downsample(values: Sequence[float | None], size: int) -> list[Bucket | None]:
    """Low, mean and high of each ``size`` neighbours; ``None`` where none is known."""
    result: list[Bucket | None] = []
    for start in range(0, len(values), size):
        known = [value for value in values[start : start + size] if value is not None]
        result.append(Bucket(min(known), sum(known) / len(known), max(known)) if known else None)
    return result


def columns(figures: Windowed, *, last: int, width: int, zoom: int = 1) -> list[Bucket | None]:
    """``width`` columns that end at index ``last``, each of ``zoom`` indices, oldest first.

    Columns begin at multiples of ``zoom``, so that a column once complete
    keeps its figures while time goes on.
    """
    start = (last // zoom - width + 1) * zoom
    values = figures.window(max(0, start), last)
    missing: list[Bucket | None] = [None] * (max(0, -start) // zoom)
    return (missing + downsample(values, zoom))[-width:]
