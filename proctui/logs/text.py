"""The timeline of an analysis as a person likes to see it: two rows of bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proctui.units import human_seconds

__all__ = ["bars", "timeline_rows"]

_LEVELS: Final = " ▁▂▃▄▅▆▇█"


def bars(counts: list[int]) -> str:
    """One character a count, the highest full; what is not 0 is always seen."""
    highest = max(counts, default=0)
    if not highest:
        return " " * len(counts)
    return "".join(_LEVELS[max(1, round(count / highest * 8)) if count else 0] for count in counts)


def timeline_rows(timeline: Mapping[str, Any], width: int = 60) -> list[tuple[str, str]]:
    """(``lines`` or ``errors``, bars with what the highest stands for), empty without times."""
    buckets = timeline["buckets"]
    if len(buckets) < 2:
        return []
    each = -(-len(buckets) // max(1, width))
    groups = [buckets[at : at + each] for at in range(0, len(buckets), each)]
    span = human_seconds(timeline["bucket_s"] * each)
    rows = []
    for name in ("lines", "errors"):
        counts = [sum(bucket[name] for bucket in group) for group in groups]
        if any(counts):
            rows.append((name, f"{bars(counts)}  up to {max(counts)} in {span}"))
    return rows
