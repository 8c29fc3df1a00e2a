"""One pass over a part of a log: levels, times, error templates, tracebacks.

Lines whose heads look the same (digits masked) are judged once and counted
by ``Counter``; only errors, continuation lines and heads that don't tell
enough are looked at one by one.  A part's :class:`Tally` holds plain values,
so that it can cross a pipe, and parts are added up in order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import compress
from typing import Any, Final

from proctui.logs import levels
from proctui.logs.gathering import Gatherer
from proctui.logs.layout import MASK, Layout, Verdict, clean
from proctui.logs.levels import CRITICAL, ERROR, UNKNOWN
from proctui.logs.lines import each_line, line_at, lines_backward
from proctui.logs.tally import Tally, repeat
from proctui.logs.templates import MAX_MESSAGE, message_start, template
from proctui.logs.times import JSON_TIME, Clock, Format
from proctui.logs.tracebacks import MARK, Traceback, example, read_traceback, trace_at

__all__ = ["Scanner", "Tally"]

_INNER, _FAST_ERROR, _OTHER = range(3)
_BARE_MARK: Final = Verdict(False, False, False, True, UNKNOWN, 0, False)
_MEMO: Final = 50_000
_GIANT: Final = 4 << 20
"""Bytes of an entry that are kept together."""
_MESSAGE_KEYS: Final = ("message", "msg", "event", "error", "text", "@m")


class Scanner:
    """Feed whole lines in order, then :meth:`finish`; ``tally`` has the sums."""

    def __init__(self, layout: Layout, *, seen_header: bool) -> None:
        self.layout = layout
        self.tally = Tally(seen_header=seen_header)
        self._clock = Clock(layout.reference)
        self._memo: dict[tuple[int, bytes], list[Any]] = {}
        self._buckets: dict[bytes, list[int] | None] = {}
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
        self._gatherer = Gatherer(layout, self._key_end)

    def feed(self, data: bytes) -> None:
        """Take a block of whole lines; its last entry waits for the next block."""
        self._count_bytes(data)
        data = clean(data)
        if self._carry:
            data = self._carry + data
        cut = self.layout.entry_cut(data)
        if not cut and len(data) > _GIANT:
            cut = len(data)
        self._carry = data[cut:]
        self._chunk(data[:cut])

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
        data = data.removesuffix(b"\n")
        if self.layout.json:
            lines = data.split(b"\n")
            self._json_lines(lines)
            self.tally.lines += len(lines)
        else:
            self.tally.lines += self._plain_lines(b"\n" + data)

    def _plain_lines(self, body: bytes) -> int:
        """Take lines, each behind its newline; how many they were."""
        layout, tally, gatherer = self.layout, self.tally, self._gatherer
        found = gatherer.gather(body, tally.levels)
        dated = tally.dated
        special: dict[bytes, int] = {}
        for head, count in found.counts.items():
            verdict = gatherer.verdict(head)
            if verdict.decided and verdict.begins and verdict.level < ERROR:
                tally.levels[verdict.level] += count
                if not verdict.fast and (verdict.dated or layout.dated):
                    special[head] = _OTHER
            elif verdict.decided and verdict.fast and verdict.begins and verdict.level < UNKNOWN:
                special[head] = _FAST_ERROR
            else:
                inner = verdict.decided and verdict.inner
                special[head] = _INNER if inner else _OTHER
        here = list(map(special.__contains__, found.heads))
        wanted = list(zip(compress(found.starts, here), compress(found.heads, here), strict=True))
        if found.marked:
            known = {start for start, _ in wanted}
            wanted += [
                (start, gatherer.head(line_at(body, start))) for start in found.marked - known
            ]
            wanted.sort()
        if layout.primary is not None:
            self._times(layout.primary, found.times)
        if wanted:
            self._walk(body, special, wanted, found.marked)
        else:
            tally.seen_header = True
        if tally.dated > dated:
            self._ends(body)
        return found.lines

    def _times(self, primary: Format, times: Mapping[bytes, int]) -> None:
        """Count lines whose timestamp stands where the layout says."""
        for key, count in times.items():
            bucket = self._bucket(primary, key) if count > 0 else None
            if bucket is not None:
                self.tally.dated += count
                bucket[0] += count

    def _bucket(self, primary: Format, key: bytes) -> list[int] | None:
        """[lines, errors] of the piece of the timeline in which ``key`` lies; ``None`` if it is no time."""
        try:
            return self._buckets[key]
        except KeyError:
            pass
        grain = self.layout.granularity
        moment = self._clock.key_seconds(primary, key, self.layout.zone)
        bucket = None
        if moment is not None:
            bucket = self.tally.buckets.setdefault(int(moment // grain * grain), [0, 0])
        if len(self._buckets) > _MEMO:
            self._buckets.clear()
        self._buckets[key] = bucket
        return bucket

    def _ends(self, body: bytes) -> None:
        """Note the first and the last time of a chunk that has any."""
        tally = self.tally
        if tally.first is None:
            tally.first = next(
                (at for line in each_line(body) if (at := self._seconds(line)) is not None), None
            )
        last = next(
            (at for line in lines_backward(body) if (at := self._seconds(line)) is not None), None
        )
        tally.last = tally.last if last is None else last

    def _seconds(self, line: bytes) -> float | None:
        if line[:1].isspace():
            return None
        stamp = self.layout.stamp(line)
        return self._clock.seconds(stamp) if stamp else None

    def _walk(
        self,
        body: bytes,
        special: dict[bytes, int],
        wanted: list[tuple[int, bytes]],
        marked: set[int],
    ) -> None:
        """Look at the lines that need it, in order: where they begin and their heads."""
        layout, tally, memo, gatherer = self.layout, self.tally, self._memo, self._gatherer
        column, key_end = layout.column, self._key_end
        number, counted_to = tally.lines, 1
        failed: list[bytes] = []
        due = 1
        known = False
        for start, head in wanted:
            if start < due:
                continue
            if start > due:
                known = tally.seen_header = True
            kind = special.get(head, _OTHER)
            marks = start in marked
            end = body.find(b"\n", start)
            if end < 0:
                end = len(body)
            due = end + 1
            if kind == _INNER and not marks:
                continue
            verdict = gatherer.verdict(head)
            line = body[start:end]
            number += body.count(b"\n", counted_to, start)
            counted_to = start
            if kind == _FAST_ERROR and not marks:
                known = tally.seen_header = True
                tally.levels[verdict.level] += 1
                failed.append(line[column:key_end])
                message = line[verdict.after : verdict.after + MAX_MESSAGE].translate(MASK)
                entry = memo.get((verdict.level, message))
                if entry is not None:
                    repeat(entry, number, line, line)
                else:
                    self._new_error(number, line, message, verdict.level, line)
                continue
            counted = verdict.decided and verdict.begins and verdict.level < ERROR
            if marks and line.startswith(MARK):
                verdict = _BARE_MARK
            elif not verdict.decided:
                verdict = layout.judge(line, whole=True)
            if verdict.dated:
                self._dated(line, verdict)
            if marks:
                lines, trace = trace_at(body, start)
                known = self._trace(lines, trace, number, verdict, known, counted)
                due = start + sum(map(len, lines[: trace.end])) + trace.end
            elif verdict.begins or (not verdict.inner and not (layout.dated and tally.seen_header)):
                if not counted:
                    tally.levels[verdict.level] += 1
                known = verdict.dated or verdict.level != UNKNOWN
                tally.seen_header = tally.seen_header or verdict.begins
                if verdict.level in (ERROR, CRITICAL):
                    message = line[verdict.after : verdict.after + MAX_MESSAGE]
                    if layout.format != "apache":
                        message = message.translate(MASK)
                    moment = line if verdict.dated else None
                    self._new_error(number, line, message, verdict.level, moment)
        self._failed(failed)

    def _failed(self, keys: list[bytes]) -> None:
        """Count errors at the times of their keys."""
        for key, count in Counter(keys).items():
            assert self.layout.primary is not None
            bucket = self._bucket(self.layout.primary, key)
            if bucket is not None:
                bucket[1] += count

    def _dated(self, line: bytes, verdict: Verdict) -> None:
        """Count an error's time, and any timestamp that stands somewhere unusual."""
        tally, grain = self.tally, self.layout.granularity
        failed = verdict.level in (ERROR, CRITICAL)
        moment = self._seconds(line) if failed or not verdict.fast else None
        if moment is None:
            return
        bucket = tally.buckets.setdefault(int(moment // grain * grain), [0, 0])
        if not verdict.fast:
            tally.dated += 1
            bucket[0] += 1
        bucket[1] += failed

    def _trace(
        self,
        lines: list[bytes],
        trace: Traceback,
        number: int,
        verdict: Verdict,
        known: bool,
        counted: bool,
    ) -> bool:
        """Count a traceback that begins ``lines``: whether what follows it may belong to an entry."""
        tally, gatherer = self.tally, self._gatherer
        if verdict.begins:
            if not counted:
                tally.levels[verdict.level] += 1
            known = tally.seen_header = True
            for line in lines[1 : trace.end]:
                other = gatherer.verdict(gatherer.head(line))
                if other.decided and other.begins and other.level < ERROR:
                    tally.levels[other.level] -= 1
        elif not known and not (self.layout.dated and tally.seen_header):
            tally.levels[ERROR] += 1
        tally.trace(trace, number, lambda: example(lines, 0, trace.end))
        return known

    def _new_error(self, at: int, line: bytes, message: bytes, level: int, moment: Any) -> None:
        """Count an error whose message (digits masked) may not have been seen so far.

        ``moment`` may be the line that holds it: only the first and the last
        are needed.
        """
        name = template(message[message_start(message, 0) :])
        entry = self.tally.error(name, level, at, moment, line)
        if entry is not None:
            if len(self._memo) > _MEMO:
                self._memo.clear()
            self._memo[level, message] = entry

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
        at = self.tally.lines + index
        self.tally.trace(trace, at, lambda: example(lines, index, trace.end))
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
                self._json_trace(parts, self.tally.lines + index)
        if level in (ERROR, CRITICAL):
            named = next((texts[key] for key in _MESSAGE_KEYS if key in texts), None)
            message = line if named is None else named.split("\n", 1)[0].encode("utf-8", "replace")
            masked = message[:MAX_MESSAGE].translate(MASK)
            self._new_error(self.tally.lines + index, line, masked, level, moment)

    def _json_trace(self, parts: list[bytes], at: int) -> None:
        start = next(index for index, part in enumerate(parts) if MARK in part)
        trace = read_traceback(parts, start)
        self.tally.trace(trace, at, lambda: example(parts, start, trace.end))
