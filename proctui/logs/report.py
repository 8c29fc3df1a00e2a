"""From the sums of a scan to the contract's document."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, pstdev
from typing import Any, Final

from proctui.logs.layout import Layout, clean
from proctui.logs.levels import NAMES
from proctui.logs.opening import OpenLog
from proctui.logs.tally import Tally
from proctui.logs.times import JSON_TIME, Clock
from proctui.text import decode, sanitize_lines
from proctui.units import iso_time

__all__ = ["report", "timeline_grain"]

MAX_TEMPLATES: Final = 200
_MAX_TRACEBACKS: Final = 200
_BUCKETS: Final = 120
_STEPS: Final = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
)


def timeline_grain(samples: list[bytes], layout: Layout, clock: Clock) -> int:
    """Seconds by which times are counted: fine for a short log, hours for one of months."""
    times: list[float] = []
    for sample in samples:
        for line in clean(sample).split(b"\n")[:400] + clean(sample).split(b"\n")[-400:]:
            if layout.json:
                found = JSON_TIME.search(line)
                moment = clock.json_seconds(found) if found else None
            else:
                stamp = layout.stamp(line)
                moment = clock.seconds(stamp) if stamp else None
            if moment is not None:
                times.append(moment)
    span = max(times) - min(times) if times else 0.0
    return 1 if span <= 6 * 3600 else 60 if span <= 60 * 86400 else 3600


def report(
    log: OpenLog, begin: int, layout: Layout, total: Tally, seconds: float, *, relative: bool
) -> dict[str, Any]:
    """The document without its ``pattern``."""
    errors, other = _errors(total)
    warnings = list(log.warnings)
    if total.nul_bytes > max(64, (log.end - begin) // 100):
        warnings.append("the file looks binary: it is full of NUL bytes")
    return {
        "schema": 1,
        "file": {
            "path": log.path,
            "inode": log.inode,
            "size": log.size,
            "mtime": iso_time(log.mtime),
            "encoding_errors": total.encoding_errors
            if not log.encoding_errors
            else log.encoding_errors,
            "nul_bytes": total.nul_bytes,
        },
        "scanned": {
            "from_byte": 0 if begin == log.begin else begin,
            "to_byte": log.end,
            "lines": total.lines,
            "seconds": round(seconds, 4),
            "complete": log.cut is None,
            "truncated_by": log.cut,
            "line_numbers": "relative" if relative else "absolute",
        },
        "time": {
            "first": iso_time(total.first),
            "last": iso_time(total.last),
            "format": layout.format if total.dated else None,
            "undated_lines": total.lines - total.dated,
        },
        "levels": {**dict(zip(NAMES, total.levels, strict=True)), "method": layout.method},
        "pattern": None,
        "errors": errors,
        "tracebacks": _tracebacks(total),
        "timeline": _timeline(total.buckets, layout.granularity),
        "limits": {"max_templates": MAX_TEMPLATES, "other": other},
        "warnings": warnings,
    }


def _errors(total: Tally) -> tuple[list[dict[str, Any]], int]:
    ranked = sorted(total.errors.items(), key=lambda item: (-item[1][0], item[1][1]))
    other = total.other + sum(entry[0] for _, entry in ranked[MAX_TEMPLATES:])
    return [
        {
            "template": decode(name),
            "level": NAMES[level],
            "count": count,
            "first": {"line": first + 1, "time": iso_time(first_time)},
            "last": {"line": last + 1, "time": iso_time(last_time)},
            "samples": [{"line": line + 1, "text": decode(text)} for line, text in samples],
        }
        for (name, level), (count, first, first_time, last, last_time, samples) in ranked[
            :MAX_TEMPLATES
        ]
    ], other


def _tracebacks(total: Tally) -> list[dict[str, Any]]:
    ranked = sorted(total.traces.items(), key=lambda item: (-item[1][0], item[1][1]))
    return [
        {
            "exception": decode(exception),
            "last_frame": {"file": decode(file), "line": line, "func": decode(func)},
            "count": count,
            "first": {"line": first + 1},
            "last": {"line": last + 1},
            "chained": chained,
            "example": sanitize_lines(text.decode("utf-8", "replace")),
        }
        for (exception, file, line, func), (count, first, last, chained, text) in ranked[
            :_MAX_TRACEBACKS
        ]
    ]


def _timeline(buckets: dict[int, list[int]], grain: int) -> dict[str, Any]:
    """At most 120 buckets from the first to the last, spikes of errors, gaps without lines."""
    if not buckets:
        return {"bucket_s": grain, "buckets": [], "spikes": [], "gaps": []}
    first, last = min(buckets), max(buckets)
    span = last - first + 1
    step = next((one for one in _STEPS if one >= grain and span <= one * _BUCKETS), None)
    if step is None:
        step = 86400 * -(-span // (86400 * _BUCKETS))
    sums: dict[int, list[int]] = {}
    for at, (lines, errors) in buckets.items():
        mine = sums.setdefault(at // step * step, [0, 0])
        mine[0] += lines
        mine[1] += errors
    start = first // step * step
    filled = [(at, *sums.get(at, (0, 0))) for at in range(start, last + 1, step)]
    counts = [errors for _, _, errors in filled]
    high = max(3.0, mean(counts) + 3 * pstdev(counts))
    return {
        "bucket_s": step,
        "buckets": [
            {"t": iso_time(at), "lines": lines, "errors": errors} for at, lines, errors in filled
        ],
        "spikes": [
            {"t": iso_time(at), "errors": errors} for at, _, errors in filled if errors > high
        ],
        "gaps": _gaps(sorted(buckets), grain),
    }


def _gaps(moments: list[int], grain: int) -> list[dict[str, Any]]:
    """Silences far longer than usual: at least ten times the mean pause, the longest twenty."""
    if len(moments) < 3:
        return []
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    usual = (moments[-1] - moments[0]) / len(pauses)
    long = max(10 * grain, 10 * sorted(pauses)[len(pauses) // 2], 3 * usual)
    found = [
        (later - earlier, earlier, later)
        for earlier, later in pairwise(moments)
        if later - earlier > long
    ]
    return [
        {"from": iso_time(earlier), "to": iso_time(later), "seconds": pause}
        for pause, earlier, later in sorted(
            sorted(found, reverse=True)[:20], key=lambda gap: gap[1]
        )
    ]
