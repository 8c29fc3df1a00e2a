"""One pass over a part of a log: levels, times, error templates, tracebacks.

Lines whose heads look the same (digits masked) are judged once and counted
by ``Counter``; only errors, continuation lines and heads that don't tell
enough are looked at one by one.  A part's :class:`Tally` holds plain values,
so that it can cross a pipe, and parts are added up in order.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from proctui.logs import levels
from proctui.logs.layout import MASK, Layout, Verdict, clean
from proctui.logs.levels import CRITICAL, ERROR, UNKNOWN
from proctui.logs.templates import MAX_MESSAGE, message_start, template
from proctui.logs.times import JSON_TIME, Clock
from proctui.logs.tracebacks import MARK, Traceback, example, read_traceback

__all__ = ["Scanner", "Tally"]

_TEMPLATES_HELD: Final = 2000
_TRACES_HELD: Final = 500
_SAMPLES: Final = 3
_SAMPLE_BYTES: Final = 600
_CACHE: Final = 50_000
_MESSAGE_KEYS: Final = ("message", "msg", "event", "error", "text", "@m")


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
                entry[5] = (entry[5] + shifted)[:_SAMPLES]
        for where, (count, first, last, chained, text) in part.traces.items():
            known = self.traces.get(where)
            if known is None:
                self.traces[where] = [count, first + base, last + base, chained, text]
            else:
                known[0] += count
                known[2] = last + base
                known[3] = known[3] or chained


class Scanner:
    """Feed whole lines in order, then :meth:`finish`; ``tally`` has the sums."""

    def __init__(self, layout: Layout, *, seen_header: bool) -> None:
        self.layout = layout
        self.tally = Tally(seen_header=seen_header)
        self._clock = Clock(layout.reference)
        self._cache: dict[bytes, Verdict] = {}
        self._templates: dict[bytes, bytes] = {}
        self._carry = b""
        primary = layout.primary
        self._key_end = 0
        if primary is not None:
            width = primary.minutes if layout.granularity >= 60 else primary.seconds
            if layout.granularity >= 3600:
                width = primary.hours
            if primary.name == "epoch":
                width = primary.seconds
            self._key_end = layout.column + width

    def feed(self, data: bytes) -> None:
        """Take a block of whole lines; its last entry waits for the next block."""
        self._count_bytes(data)
        data = clean(data)
        if self._carry:
            data = self._carry + data
        cut = self.layout.entry_cut(data)
        if cut < len(data):
            self._carry = data[cut:]
            data = data[:cut]
        else:
            self._carry = b""
        self._chunk(data)

    def finish(self) -> Tally:
        carry, self._carry = self._carry, b""
        self._chunk(carry)
        for entry in self.tally.errors.values():
            entry[2], entry[4] = (
                self._seconds(one) if isinstance(one, bytes) else one
                for one in (entry[2], entry[4])
            )
        return self.tally

    def _count_bytes(self, data: bytes) -> None:
        if b"\0" in data:
            self.tally.nul_bytes += data.count(b"\0")
        if data.isascii():
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace")
            self.tally.encoding_errors += text.count("�") - data.count("�".encode())

    def _chunk(self, data: bytes) -> None:
        if not data:
            return
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if self.layout.json:
            self._json_lines(lines)
        else:
            self._plain_lines(data, lines)
        self.tally.lines += len(lines)

    def _plain_lines(self, data: bytes, lines: list[bytes]) -> None:
        layout, tally, width = self.layout, self.tally, self.layout.width
        heads = [line[:width] for line in data.translate(MASK).split(b"\n")]
        del heads[len(lines) :]
        counts = Counter(heads)
        cache = self._cache
        if len(cache) > _CACHE:
            cache.clear()
        dated = tally.dated
        special: set[bytes] = set()
        slow_dated: set[bytes] = set()
        fast_lines = 0
        for head, count in counts.items():
            verdict = cache.get(head)
            if verdict is None:
                verdict = cache[head] = layout.judge(head, whole=len(head) < width)
            if verdict.fast:
                fast_lines += count
            else:
                slow_dated.add(head)
            if verdict.decided and verdict.begins and verdict.level < ERROR:
                tally.levels[verdict.level] += count
                if not verdict.fast and verdict.dated:
                    special.add(head)
            else:
                special.add(head)
        self._times(lines, heads, slow_dated, fast_lines)
        marks = _marked_lines(data)
        if special or marks:
            wanted = [index for index, head in enumerate(heads) if head in special]
            if marks:
                wanted = sorted(marks.union(wanted))
            self._walk(lines, heads, wanted, marks)
        elif lines:
            tally.seen_header = True
        if tally.dated > dated:
            self._ends(lines)

    def _times(
        self, lines: list[bytes], heads: list[bytes], slow: set[bytes], fast_lines: int
    ) -> None:
        """Count the lines whose timestamp stands where the layout says."""
        if not fast_lines:
            return
        layout, tally = self.layout, self.tally
        assert layout.primary is not None
        begin, end = layout.column, self._key_end
        if fast_lines == len(lines):
            keys = Counter([line[begin:end] for line in lines])
        else:
            keys = Counter(
                [
                    line[begin:end]
                    for line, head in zip(lines, heads, strict=True)
                    if head not in slow
                ]
            )
        grain = layout.granularity
        for key, count in keys.items():
            moment = self._clock.key_seconds(layout.primary, key, layout.zone)
            if moment is None:
                continue
            tally.dated += count
            tally.buckets.setdefault(int(moment // grain * grain), [0, 0])[0] += count

    def _ends(self, lines: list[bytes]) -> None:
        """Note the first and the last time of a chunk that has any."""
        tally = self.tally
        if tally.first is None:
            tally.first = next(
                (at for line in lines if (at := self._seconds(line)) is not None), None
            )
        last = next(
            (at for line in reversed(lines) if (at := self._seconds(line)) is not None), None
        )
        tally.last = tally.last if last is None else last

    def _seconds(self, line: bytes) -> float | None:
        if line[:1].isspace():
            return None
        stamp = self.layout.stamp(line)
        return self._clock.seconds(stamp) if stamp else None

    def _walk(
        self, lines: list[bytes], heads: list[bytes], wanted: list[int], marks: set[int]
    ) -> None:
        """Look at the lines that need it, in order."""
        layout, tally, cache = self.layout, self.tally, self._cache
        covered = -1
        known = False
        for index in wanted:
            if index <= covered:
                continue
            if index - 1 > covered:
                known = tally.seen_header = True
            line = lines[index]
            verdict = cache[heads[index]]
            counted = verdict.decided and verdict.begins and verdict.level < ERROR
            if not verdict.decided:
                verdict = layout.judge(line, whole=True)
            covered = index
            if verdict.dated:
                self._dated(line, verdict)
            if index in marks:
                covered, known = self._trace(lines, heads, index, verdict, known, counted)
            elif verdict.begins or (not verdict.inner and not (layout.dated and tally.seen_header)):
                level = verdict.level
                if not counted:
                    tally.levels[level] += 1
                known = verdict.dated or level != UNKNOWN
                tally.seen_header = tally.seen_header or verdict.begins
                if level in (ERROR, CRITICAL):
                    message = line[message_start(line, verdict.after) :]
                    self._count_error(index, line, message, level, line if verdict.dated else None)

    def _dated(self, line: bytes, verdict: Verdict) -> None:
        """Count an error's time, and any timestamp that stands somewhere unusual."""
        tally, layout, grain = self.tally, self.layout, self.layout.granularity
        if verdict.fast and layout.primary is not None:
            if verdict.level not in (ERROR, CRITICAL):
                return
            key = line[layout.column : self._key_end]
            moment = self._clock.key_seconds(layout.primary, key, layout.zone)
        else:
            moment = self._seconds(line)
        if moment is None:
            return
        bucket = tally.buckets.setdefault(int(moment // grain * grain), [0, 0])
        if not verdict.fast:
            tally.dated += 1
            bucket[0] += 1
        if verdict.level in (ERROR, CRITICAL):
            bucket[1] += 1

    def _trace(
        self,
        lines: list[bytes],
        heads: list[bytes],
        index: int,
        verdict: Verdict,
        known: bool,
        counted: bool,
    ) -> tuple[int, bool]:
        """Count a traceback: (its last line, whether what follows may still belong to an entry)."""
        tally = self.tally
        trace = read_traceback(lines, index)
        if verdict.begins:
            if not counted:
                tally.levels[verdict.level] += 1
            known = tally.seen_header = True
            for inside in range(index + 1, trace.end):
                other = self._cache[heads[inside]]
                if other.decided and other.begins and other.level < ERROR:
                    tally.levels[other.level] -= 1
        elif not known and not (self.layout.dated and tally.seen_header):
            tally.levels[ERROR] += 1
        self._count_trace(trace, index, lines, index)
        return trace.end - 1, known

    def _count_trace(self, trace: Traceback, index: int, lines: list[bytes], start: int) -> None:
        """Count the traceback at ``lines[start]`` as one of line ``index`` of this chunk."""
        traces = self.tally.traces
        key = trace[1:5]
        entry = traces.get(key)
        at = self.tally.lines + index
        if entry is not None:
            entry[0] += 1
            entry[2] = at
            entry[3] = entry[3] or trace.chained
        elif len(traces) < _TRACES_HELD:
            text = example(lines, start, trace.end)
            traces[key] = [1, at, at, trace.chained, text[:20000]]

    def _template(self, message: bytes) -> bytes:
        """Messages that differ in digits alone have one template: it is made once."""
        masked = message[:MAX_MESSAGE].translate(MASK)
        known = self._templates.get(masked)
        if known is None:
            if len(self._templates) > _CACHE:
                self._templates.clear()
            known = self._templates[masked] = template(masked)
        return known

    def _count_error(
        self, index: int, line: bytes, message: bytes, level: int, moment: float | bytes | None
    ) -> None:
        """``moment`` may be the line that holds it: only the first and the last are needed."""
        tally = self.tally
        name = self._template(message)
        at = tally.lines + index
        entry = tally.errors.get((name, level))
        if entry is None:
            if len(tally.errors) >= _TEMPLATES_HELD:
                tally.other += 1
                return
            sample = [(at, line[:_SAMPLE_BYTES])]
            tally.errors[name, level] = [1, at, moment, at, moment, sample]
            return
        entry[0] += 1
        entry[3:5] = at, moment
        if len(entry[5]) < _SAMPLES:
            entry[5].append((at, line[:_SAMPLE_BYTES]))

    def _json_lines(self, lines: list[bytes]) -> None:
        """JSON lines; what is none continues the entry before it, tracebacks are read as such."""
        tally, grain, keyword = self.tally, self.layout.granularity, self.layout.method == "keyword"
        covered = -1
        for index, line in enumerate(lines):
            if index <= covered:
                continue
            if not line.startswith(b"{"):
                covered = self._between_json(lines, index)
                continue
            level = levels.keyword_level(line) if keyword else levels.json_level(line)
            tally.levels[level] += 1
            found = JSON_TIME.search(line)
            moment = self._clock.json_seconds(found) if found else None
            if moment is not None:
                tally.dated += 1
                bucket = tally.buckets.setdefault(int(moment // grain * grain), [0, 0])
                bucket[0] += 1
                bucket[1] += level in (ERROR, CRITICAL)
                tally.first = moment if tally.first is None else tally.first
                tally.last = moment
            if level in (ERROR, CRITICAL) or b"Traceback (most" in line:
                self._json_error(index, line, level, moment)

    def _between_json(self, lines: list[bytes], index: int) -> int:
        if MARK not in lines[index]:
            return index
        trace = read_traceback(lines, index)
        self._count_trace(trace, index, lines, index)
        return trace.end - 1

    def _json_error(self, index: int, line: bytes, level: int, moment: float | None) -> None:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        fields = entry if isinstance(entry, dict) else {}
        texts = {key: one for key, one in fields.items() if isinstance(one, str)}
        for one in texts.values():
            if MARK.decode() in one:
                parts = one.encode("utf-8", "replace").split(b"\n")
                start = next(at for at, part in enumerate(parts) if MARK in part)
                self._count_trace(read_traceback(parts, start), index, parts, start)
        if level in (ERROR, CRITICAL):
            named = next((texts[key] for key in _MESSAGE_KEYS if key in texts), None)
            message = line if named is None else named.split("\n", 1)[0].encode("utf-8", "replace")
            self._count_error(index, line, message, level, moment)


def _marked_lines(data: bytes) -> set[int]:
    """The numbers of the lines that hold a traceback's mark."""
    found: set[int] = set()
    number = done = 0
    at = data.find(MARK)
    while at >= 0:
        number += data.count(b"\n", done, at)
        found.add(number)
        done = at
        at = data.find(MARK, at + len(MARK))
    return found
