"""``analyze_logs``: what went wrong in a log, before anyone has searched it.

A log is cut into parts at the beginnings of entries; small ones are read
here, larger ones by helper processes on both cores, and the parts' sums are
added up in order.  A pattern that may explode always runs in a helper.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from proctui.logs.backward import last_lines_start
from proctui.logs.blocks import guard
from proctui.logs.helper import run_tasks
from proctui.logs.layout import Layout, detect
from proctui.logs.matcher import Matcher, clipped_words
from proctui.logs.opening import OpenLog, open_log
from proctui.logs.parts import scan_part
from proctui.logs.ranges import check_count, cut_parts, starting_byte
from proctui.logs.report import report, timeline_grain
from proctui.logs.tally import Tally
from proctui.logs.times import Clock

__all__ = ["MAX_MATCHES", "analyze"]

MAX_MATCHES: Final = 1000
_HERE: Final = 3 << 20
"""Bytes up to which starting helpers costs more than it saves."""
_PART: Final = 8 << 20
_SAMPLE: Final = 1 << 16


def analyze(
    path: str | os.PathLike[str],
    pattern: str | None = None,
    last_n_lines: int | None = None,
    *,
    ignore_case: bool = False,
    invert: bool = False,
    context: int = 0,
    workers: int = 2,
    stdin: bool = False,
) -> dict[str, Any]:
    """Analyse a log file: levels, error templates, tracebacks, timeline, and a pattern's matches.

    Returns the contract's ``logs`` document.  ``path`` may be a compressed or
    UTF-16 file; ``"-"`` is standard input where ``stdin`` is true.  ``byte``
    offsets count from the file's beginning, lines from 1 (of the scanned
    part with ``last_n_lines``).  Raises :class:`NoSuchFile`,
    :class:`AccessDenied`, and :class:`BadArgument` for anything that is not a
    regular file, a bad pattern or a bad number.
    """
    begun = time.monotonic()
    if last_n_lines is not None:
        check_count(last_n_lines, "last_n_lines", 1)
    check_count(context, "context", 0)
    matcher = Matcher(pattern, ignore_case) if pattern is not None else None
    with open_log(path, stdin=stdin) as log:
        begin = starting_byte(log, last_n_lines)
        layout = _layout(log, begin)
        total, hits, stopped, clipped = _run(
            log, begin, layout, matcher, pattern, ignore_case, invert, workers
        )
        seconds = time.monotonic() - begun
        if not log.spooled and os.fstat(log.fd).st_size < log.end:
            log.cut = "the file shrank while it was read"
        result = report(log, begin, layout, total, seconds, relative=last_n_lines is not None)
        _add_pattern(result, log, begin, matcher, pattern, ignore_case, hits, context)
        if clipped:
            result["warnings"].append(clipped_words(clipped))
        if stopped is not None:
            result["pattern"]["timed_out"] = True
            result["scanned"]["complete"] = False
            result["scanned"]["truncated_by"] = "pattern timed out"
            result["warnings"].append(
                f"the pattern was stopped: it took too long behind byte {stopped}; "
                "matches are those found before"
            )
    return result


def _layout(log: OpenLog, begin: int) -> Layout:
    """Detect the layout from the beginning, the middle and the end of what is scanned."""
    size = log.end - begin
    at = [begin]
    if size > 3 * _SAMPLE:
        at += [begin + size // 2, log.end - _SAMPLE]
    samples = [os.pread(log.fd, min(_SAMPLE, log.end - offset), offset) for offset in at]
    reference = log.mtime if log.mtime is not None else time.time()
    layout = detect(
        [sample.split(b"\n", 1)[-1] if index else sample for index, sample in enumerate(samples)],
        reference,
    )
    return replace(layout, granularity=timeline_grain(samples, layout, Clock(reference)))


Hit = tuple[int, int, int, str, list[list[int]], bool]


def _run(
    log: OpenLog,
    begin: int,
    layout: Layout,
    matcher: Matcher | None,
    pattern: str | None,
    ignore_case: bool,
    invert: bool,
    workers: int,
) -> tuple[Tally, tuple[int, list[Hit]], int | None, int]:
    """Scan: (sums, (number of matching lines, the first hits), byte stopped at, clipped lines)."""
    size = log.end - begin
    dangerous = matcher is not None and matcher.dangerous
    whole_file = begin == log.begin
    if size <= _HERE and not dangerous:
        parts = [(begin, log.end)]
        answers: Iterator[tuple[int, tuple[Any, ...]]] = (
            (0, answer)
            for answer in scan_part(
                log.fd,
                begin,
                log.end,
                layout,
                seen_header=False,
                matcher=matcher,
                invert=invert,
                details=MAX_MATCHES,
                switch=guard(False),
            )
        )
    else:
        parts = cut_parts(
            log, begin, layout, _PART if size > 2 * _PART else max(size // 2, _HERE // 2)
        )
        tasks = [
            {
                "op": "part",
                "fd": log.fd,
                "begin": one,
                "end": two,
                "layout": layout.to_dict(),
                "seen_header": index > 0 and layout.dated,
                "invert": invert,
                "pattern": (pattern, ignore_case) if matcher else None,
                "details": MAX_MATCHES,
            }
            for index, (one, two) in enumerate(parts)
        ]
        answers = run_tasks(tasks, log.fd, max(1, workers))
        if matcher is not None and not dangerous:
            answers = _first_hits_alone(answers, tasks)
    return _collect(log, parts, layout, answers, not whole_file)


def _first_hits_alone(
    answers: Iterator[tuple[int, tuple[Any, ...]]], tasks: list[dict[str, Any]]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Ask for no hits in full where enough are known before them: they cost more than the search."""
    counts = [0] * len(tasks)
    wanted = len(tasks)
    for index, answer in answers:
        if answer[0] == "hits" and index < wanted:
            counts[index] += answer[1]
            if sum(counts[: index + 1]) >= MAX_MATCHES:
                wanted = index + 1
                for task in tasks[wanted:]:
                    task["details"] = 0
        yield index, answer


def _collect(
    log: OpenLog,
    parts: list[tuple[int, int]],
    layout: Layout,
    answers: Iterator[tuple[int, tuple[Any, ...]]],
    inside: bool,
) -> tuple[Tally, tuple[int, list[Hit]], int | None, int]:
    tallies: dict[int, Tally] = {}
    counts = dict.fromkeys(range(len(parts)), 0)
    hits: dict[int, list[Hit]] = {index: [] for index in range(len(parts))}
    stopped: set[int] = set()
    clipped = 0
    for index, answer in answers:
        if answer[0] == "hits":
            counts[index] += answer[1]
            hits[index] += answer[2][: MAX_MATCHES - len(hits[index])]
        elif answer[0] == "part":
            tallies[index] = Tally(**answer[1])
            clipped += answer[2]
        elif answer[0] in ("stopped", "failed"):
            stopped.add(index)
            begin, end = parts[index]
            for one in scan_part(
                log.fd,
                begin,
                end,
                layout,
                seen_header=index > 0 and layout.dated,
                matcher=None,
                invert=False,
                details=0,
                switch=guard(False),
            ):
                if one[0] == "part":
                    tallies[index] = Tally(**one[1])
    total = Tally()
    found: list[Hit] = []
    number = 0
    last = min(stopped, default=len(parts))
    for index in range(len(parts)):
        if index <= last:
            number += counts[index]
            wanted = hits[index][: MAX_MATCHES - len(found)]
            found += [(hit[0] + total.lines, *hit[1:]) for hit in wanted]
        total.add(tallies[index])
    at = None
    if stopped:
        at = hits[last][-1][2] if hits[last] else parts[last][0]
    return total, (number, found), at, clipped


def _add_pattern(
    result: dict[str, Any],
    log: OpenLog,
    begin: int,
    matcher: Matcher | None,
    pattern: str | None,
    ignore_case: bool,
    hits: tuple[int, list[Hit]],
    context: int,
) -> None:
    number, found = hits
    matches = [
        {
            "line": line + 1,
            "byte": 0 if start == log.begin and not log.spooled else start,
            "text": text,
            "spans": spans,
            "before": context_before(log, start, begin, context),
            "after": context_after(log, behind, context),
            "clipped": clipped,
        }
        for line, start, behind, text, spans, clipped in found
    ]
    result["pattern"] = {
        "regex": pattern,
        "engine": matcher.engine if matcher else None,
        "ignore_case": ignore_case,
        "total": number,
        "shown": len(matches),
        "timed_out": False,
        "matches": matches,
    }


def context_before(log: OpenLog, start: int, begin: int, lines: int) -> list[str]:
    """The ``lines`` lines before the one that begins at byte ``start``."""
    if not lines or start <= begin:
        return []
    at = last_lines_start(log.fd, lines, start, begin)
    return _texts(os.pread(log.fd, min(start - at, 1 << 20), at))[-lines:]


def context_after(log: OpenLog, behind: int, lines: int) -> list[str]:
    """The ``lines`` lines that follow the one that ends at byte ``behind``."""
    if not lines or behind + 1 >= log.end:
        return []
    reach = 4096
    while True:
        data = os.pread(log.fd, min(reach, log.end - behind - 1), behind + 1)
        if data.count(b"\n") >= lines or behind + 1 + reach >= log.end or reach >= 1 << 20:
            return _texts(data)[:lines]
        reach *= 4


def _texts(data: bytes) -> list[str]:
    from proctui.text import sanitize

    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return [sanitize(line[:16384].removesuffix(b"\r").decode("utf-8", "replace")) for line in lines]
