"""Figures as people read them: bytes, seconds, percents, times.

``None`` is a figure that could not be read; it is shown as ``?`` and never
as zero.
"""

from __future__ import annotations

import time

__all__ = ["clock_text", "human_bytes", "human_percent", "human_seconds", "iso_time"]

_SUFFIXES = ("B", "K", "M", "G", "T", "P")


def human_bytes(count: float | None) -> str:
    """``1536`` → ``1.5K`` (powers of 1024; at most five characters wide)."""
    if count is None:
        return "?"
    sign = "-" if count < 0 else ""
    size = abs(float(count))
    for suffix in _SUFFIXES:
        if size < 999.5 or suffix == _SUFFIXES[-1]:
            if suffix == "B":
                return f"{sign}{size:.0f}B"
            return f"{sign}{size:.1f}{suffix}" if size < 99.95 else f"{sign}{size:.0f}{suffix}"
        size /= 1024
    raise AssertionError("the last suffix takes every size")


def human_seconds(seconds: float | None) -> str:
    """``75`` → ``1m15s``, ``9000`` → ``2h30m``, ``200000`` → ``2d07h``."""
    if seconds is None:
        return "?"
    if seconds < 0:
        return "-" + human_seconds(-seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def human_percent(value: float | None) -> str:
    """One decimal below 100, none above: ``4.2``, ``99.9``, ``812``."""
    if value is None:
        return "?"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def iso_time(unix_seconds: float | None) -> str | None:
    """ISO 8601 in the local zone with its offset, to the millisecond."""
    if unix_seconds is None:
        return None
    milliseconds = round(unix_seconds * 1000)
    moment = time.localtime(milliseconds // 1000)
    zone = time.strftime("%z", moment)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{milliseconds % 1000:03d}{zone[:3]}:{zone[3:5]}"


def clock_text(unix_seconds: float) -> str:
    """``10:02:11`` in the local zone: for evidence that a person reads."""
    return time.strftime("%H:%M:%S", time.localtime(unix_seconds))
