"""Folding identical stacks of many threads into one, and telling what moved between looks.

LLNL's STAT merges the stacks of a million MPI tasks this way: a job of a
hundred workers mostly stands in a handful of places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from proctui.stacks.origins import innermost_user, owner_of
from proctui.stacks.trace import frame_text, source_line

__all__ = ["compare", "fold_frames", "merge", "merged_text"]

Trace = Mapping[str, Any]


def _frames(thread: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple((f["function"], f["file"], f["line"], f["kind"]) for f in thread["frames"])


def _key(thread: Mapping[str, Any]) -> tuple[object, ...]:
    return (thread.get("waits_for"), thread["holds_gil"], _frames(thread) or thread["wait"])


def merge(traces: Iterable[Trace]) -> list[dict[str, Any]]:
    """Groups of threads with the same stack, the largest first.

    Each: ``count`` threads in ``processes`` [pid], ``threads`` [{pid tid name}],
    ``where`` (the innermost user frame, else the innermost one), ``wait``,
    ``state``, ``holds_gil`` (one of them), ``frames``, ``folded`` (see
    :func:`fold_frames`) and ``source``, the line where the file is readable.

    A thread that is on a CPU at the moment of the look joins those that wait
    in the same frames: workers that sleep and wake differ in nothing else.
    """
    found: dict[tuple[object, ...], list[tuple[Trace, Mapping[str, Any]]]] = {}
    for trace in traces:
        for thread in trace["threads"]:
            kind = None if thread["active"] else thread.get("waits_for")
            found.setdefault((kind, _frames(thread) or thread["wait"]), []).append((trace, thread))
    for kind, frames in list(found):
        if kind is not None or not isinstance(frames, tuple):
            continue
        others = [key for key in found if key[1] == frames and key[0] is not None]
        if len(others) == 1:
            found[others[0]] += found.pop((kind, frames))
    groups = [_group(members) for members in found.values()]
    return sorted(groups, key=lambda group: -group["count"])


def _group(members: Sequence[tuple[Trace, Mapping[str, Any]]]) -> dict[str, Any]:
    resting = [thread for _, thread in members if not thread["active"]]
    trace, thread = next((one for one in members if not one[1]["active"]), members[0])
    frames = thread["frames"]
    where = innermost_user(frames) or (frames[0] if frames else None)
    waits = [one["wait"] or "" for one in resting or [thread]]
    wait = _common(waits) or waits[0] or None
    if resting and len(resting) < len(members):
        wait = f"{wait or 'waiting'}; {len(members) - len(resting)} of them running"
    return {
        "count": len(members),
        "processes": list(dict.fromkeys(trace["pid"] for trace, _ in members)),
        "threads": [
            {"pid": trace["pid"], "tid": thread["tid"], "name": thread["name"]}
            for trace, thread in members
        ],
        "where": frame_text(where) if where else thread["wait"],
        "wait": wait,
        "state": thread["state"],
        "active": len(resting) < len(members),
        "holds_gil": any(one["holds_gil"] for _, one in members),
        "frames": frames,
        "folded": fold_frames(frames),
        "source": source_line(trace["pid"], where["file"], where["line"]) if where else None,
    }


def _common(waits: Sequence[str]) -> str:
    """What all of them wait for: without the clauses, else the numbers, in which they differ."""
    shared = _shared_clauses(waits)
    return shared or _shared_clauses([re.sub(r"[0-9]+", "…", wait) for wait in waits])


def _shared_clauses(waits: Sequence[str]) -> str:
    clauses = zip(*(wait.split(", ") for wait in waits), strict=False)
    return ", ".join(same[0] for same in takewhile(lambda each: len(set(each)) == 1, clauses))


def fold_frames(frames: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The frames with each run of library frames as one: ``{"text", "library", "frames"}``.

    Of a program that is installed as a package, that package is no library.
    """
    rows: list[dict[str, Any]] = []
    user = innermost_user(frames)
    for frame in frames:
        library = user is None or owner_of(frame) != owner_of(user)
        if library and rows and rows[-1]["library"]:
            rows[-1]["frames"].append(frame)
            rows[-1]["text"] = (
                f"{frame_text(rows[-1]['frames'][0])} and {len(rows[-1]['frames']) - 1} more of libraries"
            )
        else:
            rows.append({"text": frame_text(frame), "library": library, "frames": [frame]})
    return rows


def merged_text(groups: Sequence[Mapping[str, Any]]) -> str:
    """The groups as people read them."""
    lines: list[str] = []
    for group in groups:
        threads, processes = group["count"], len(group["processes"])
        many = (
            f"{threads} thread{'s' * (threads > 1)} in {processes} process{'es' * (processes > 1)}"
        )
        pids = ", ".join(map(str, group["processes"][:6])) + (" …" if processes > 6 else "")
        gil = ", holding the GIL" if group["holds_gil"] else ""
        lines.append(f"{many} ({pids}): {group['where'] or '?'}{gil}")
        lines.append(f"    {group['wait'] or 'running'}")
        if group["source"]:
            lines.append(f"    │ {group['source'].strip()}")
        lines += [f"    {row['text']}" for row in group["folded"]]
        lines.append("")
    return "\n".join(lines).rstrip()


def compare(looks: Sequence[Iterable[Trace]]) -> list[dict[str, Any]]:
    """What each thread did over several looks: ``same``, ``moving``, ``gone`` or ``new``.

    Rows ``{pid tid name change where}``; "same" is the same stack in every look.
    """
    seen: list[dict[tuple[int, int], Mapping[str, Any]]] = [
        {(trace["pid"], thread["tid"]): thread for trace in look for thread in trace["threads"]}
        for look in looks
    ]
    if not seen:
        return []
    rows = []
    for pid, tid in dict.fromkeys(key for look in seen for key in look):
        found = [look.get((pid, tid)) for look in seen]
        present = [thread for thread in found if thread is not None]
        if found[-1] is None:
            change = "gone"
        elif found[0] is None:
            change = "new"
        elif all(_key(thread) == _key(present[0]) for thread in present):
            change = "same"
        else:
            change = "moving"
        where = innermost_user(present[-1]["frames"]) or next(iter(present[-1]["frames"]), None)
        rows.append(
            {
                "pid": pid,
                "tid": tid,
                "name": present[-1]["name"],
                "change": change,
                "where": frame_text(where) if where else present[-1]["wait"],
            }
        )
    return rows
