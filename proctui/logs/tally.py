"""The sums of a part of a log: plain values, so that they can cross a pipe and be added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from proctui.logs.tracebacks import Traceback

__all__ = ["SAMPLES", "Tally", "repeat"]

_TEMPLATES_HELD: Final = 2000
_TRACES_HELD: Final = 500
_SAMPLE_BYTES: Final = 600
SAMPLES: Final = 3
"""Lines that are given as examples of a template."""


@dataclass
class Tally:
    """What a part of a log holds; line numbers count from 0 at its beginning.

    ``errors``: (template, level) → [count, first line, its time, last line,
    its time, samples]; ``traces``: (exception, file, line, function) →
    [count, first line, last line, chained, example].
    """

    lines: int = 0
    nul_bytes: int = 0
    encoding_errors: int = 0
    dated: int = 0
    levels: list[int] = field(default_factory=lambda: [0] * 6)
    first: float | None = None
    last: float | None = None
    buckets: dict[int, list[int]] = field(default_factory=dict)
    errors: dict[tuple[bytes, int], list[Any]] = field(default_factory=dict)
    other: int = 0
    traces: dict[tuple[bytes, bytes, int, bytes], list[Any]] = field(default_factory=dict)
    seen_header: bool = False

    def to_plain(self) -> dict[str, Any]:
        return dict(vars(self))

    def add(self, part: Tally) -> None:
        """Append a part that follows this one in the file."""
        base = self.lines
        self.lines += part.lines
        self.nul_bytes += part.nul_bytes
        self.encoding_errors += part.encoding_errors
        self.dated += part.dated
        self.other += part.other
        self.levels = [one + two for one, two in zip(self.levels, part.levels, strict=True)]
        self.first = part.first if self.first is None else self.first
        self.last = self.last if part.last is None else part.last
        for bucket, (lines, errors) in part.buckets.items():
            mine = self.buckets.setdefault(bucket, [0, 0])
            mine[0] += lines
            mine[1] += errors
        for key, (count, first, first_time, last, last_time, samples) in part.errors.items():
            shifted = [(line + base, text) for line, text in samples]
            entry = self.errors.get(key)
            if entry is None:
                if len(self.errors) >= _TEMPLATES_HELD:
                    self.other += count
                    continue
                self.errors[key] = [
                    count,
                    first + base,
                    first_time,
                    last + base,
                    last_time,
                    shifted,
                ]
            else:
                entry[0] += count
                entry[3:5] = last + base, last_time
                entry[5] = (entry[5] + shifted)[:SAMPLES]
        for where, (count, first, last, chained, text) in part.traces.items():
            known = self.traces.get(where)
            if known is None:
                self.traces[where] = [count, first + base, last + base, chained, text]
            else:
                known[0] += count
                known[2] = last + base
                known[3] = known[3] or chained

    def trace(self, trace: Traceback, at: int, text: Callable[[], bytes]) -> None:
        """Count a traceback whose mark stands in line ``at``; ``text`` gives an example of it."""
        entry = self.traces.get(trace[1:5])
        if entry is not None:
            entry[0] += 1
            entry[2] = at
            entry[3] = entry[3] or trace.chained
        elif len(self.traces) < _TRACES_HELD:
            self.traces[trace[1:5]] = [1, at, at, trace.chained, text()[:20000]]

    def error(self, name: bytes, level: int, at: int, moment: Any, line: bytes) -> list[Any] | None:
        """Count an error in line ``at`` under its template: its entry, ``None`` beyond the bound."""
        entry = self.errors.get((name, level))
        if entry is None:
            if len(self.errors) >= _TEMPLATES_HELD:
                self.other += 1
                return None
            entry = self.errors[name, level] = [0, at, moment, at, moment, []]
        repeat(entry, at, moment, line)
        return entry


def repeat(entry: list[Any], at: int, moment: Any, line: bytes) -> None:
    """Count an error once more: ``moment`` may be the line that holds it."""
    if entry[0] < SAMPLES:
        entry[5].append((at, line[:_SAMPLE_BYTES]))
    entry[0] += 1
    entry[3] = at
    entry[4] = moment
