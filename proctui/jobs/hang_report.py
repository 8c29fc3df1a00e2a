"""What ``--hang-after`` says of a job that gets no further: first what a person wants to know first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["ending_line", "headline", "report_text"]

_NAMED_MOST = 3
_HANGS = (("deadlock-proven", "is deadlocked, proven"), ("suspected", "is suspected to hang"))


def headline(found: Mapping[str, Any]) -> str:
    """Since when, the worst verdict, and whose: ``no progress for 60 s, and the job …: 4711 pytest``."""
    quiet = f"proctui: no progress for {found['quiet_seconds']:.0f} s"
    for verdict, words in _HANGS:
        rows = [row for row in found["verdicts"] if row["verdict"] == verdict]
        if rows:
            inside = _hearts(rows, found["stacks"])
            hearts = [row for row in rows if row["pid"] in inside] or rows
            names = [f"{row['pid']} {row['label'] or row['name']}" for row in hearts[:_NAMED_MOST]]
            more = f" and {len(hearts) - _NAMED_MOST} more" if len(hearts) > _NAMED_MOST else ""
            others = len(rows) - len(hearts)
            waiting = f", and {others} more that wait{'s' * (others == 1)}" if others else ""
            return f"{quiet}, and the job {words}: {', '.join(names)}{more}{waiting}"
    if _unreadable(found["stacks"]):
        return f"{quiet}; whether the job hangs can't be told, for not all its stacks could be read"
    return f"{quiet}, though nothing in the job is seen to hang"


def _unreadable(traces: Iterable[Mapping[str, Any]]) -> int:
    return sum(1 for trace in traces if trace.get("error"))


def _hearts(rows: Iterable[Mapping[str, Any]], traces: Iterable[Mapping[str, Any]]) -> set[int]:
    """The processes that a cycle names, be it by a thread."""
    inside = {one for row in rows for one in row["cycle"] or ()}
    return inside | {
        trace["pid"]
        for trace in traces
        if any(thread["tid"] in inside for thread in trace["threads"])
    }


def report_text(
    found: Mapping[str, Any], verdict: dict[str, Any], traces: Sequence[Mapping[str, Any]]
) -> str:
    """The whole report; ``verdict`` is what :func:`proctui.stacks.find_hangs` gave."""
    from proctui import stacks

    lines = [
        headline(found),
        f"{found['seen']}, stacks unchanged",
        "",
        stacks.hang_text(verdict),
        "",
        "Stacks, those alike as one:",
        "",
        stacks.merged_text(stacks.merge(traces)),
    ]
    unreadable = _unreadable(traces)
    if unreadable:
        many = "1 process" if unreadable == 1 else f"{unreadable} processes"
        lines += ["", f"! the stacks of {many} could not be read"]
    return "\n".join([*lines, ""])


def ending_line(result: Mapping[str, Any]) -> str | None:
    """What became of the job; ``None`` where it had ended by itself."""
    outcomes = [row["outcome"] for row in result["results"]]
    ended = sum(outcome in ("exited", "zombie") for outcome in outcomes)
    left = sum(outcome not in ("exited", "zombie", "gone") for outcome in outcomes)
    if not ended and not left:
        return None
    text = (
        f"proctui: the job was ended, for it got no further: {ended} process{'es' * (ended != 1)}"
    )
    return text + (f", {left} could not be ended" if left else "")
