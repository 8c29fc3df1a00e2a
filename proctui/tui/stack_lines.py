"""Stacks, merged stacks and hang verdicts as blocks that the stack pane can fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proctui.stacks.catalogue import innermost_user
from proctui.stacks.merging import fold_frames, merge
from proctui.stacks.trace import source_line
from proctui.tui.dumps import Block, Dump, Row, Run, Runs

__all__ = ["hang_dump", "merged_dump", "trace_dump"]


def _frame_rows(frames: Sequence[Mapping[str, Any]], source: str | None) -> tuple[Row, ...]:
    user = innermost_user(frames)
    rows: list[Row] = []
    shown = False
    for row in fold_frames(frames):
        mine = not row["library"]
        hidden: tuple[Runs, ...] = ()
        if len(row["frames"]) > 1:
            hidden = tuple(_frame(frame, "dim") for frame in row["frames"])
        if len(row["frames"]) == 1:
            runs = _frame(row["frames"][0], "strong" if mine else "dim")
        else:
            runs = (("    ", ""), (row["text"], "dim"))
        rows.append(Row(runs, hidden))
        if mine and not shown and user is not None and row["frames"][0] is user and source:
            rows.append(Row((("      │ ", "guide"), (source.strip(), "accent"))))
            shown = True
    return tuple(rows)


def _frame(frame: Mapping[str, Any], style: str) -> Runs:
    line = f":{frame['line']}" if frame.get("line") else ""
    place = f"{frame.get('file') or '?'}{line}"
    kind = "" if frame.get("kind") == "python" else f"  {frame.get('kind')}"
    return (("    ", ""), (str(frame["function"]), style), (f"  {place}{kind}", "dim"))


def _thread_title(thread: Mapping[str, Any]) -> Runs:
    runs: list[Run] = [(f"{thread['tid']} ", "figure")]
    if thread.get("name"):
        runs.append((f"{thread['name']} ", "strong"))
    state = str(thread.get("state") or "?")
    runs.append((f"{state} ", "good" if state == "R" else "dim"))
    if thread.get("holds_gil"):
        runs.append(("holds the GIL ", "hot"))
    elif thread.get("active"):
        runs.append(("active ", "good"))
    if thread.get("wait"):
        runs.append((str(thread["wait"]), "accent"))
    return tuple(runs)


def _notes(results: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    notes: list[str] = []
    for result in results:
        notes += [str(one) for one in result.get("warnings", ())]
        error = result.get("error")
        if error:
            hint = f" {error['hint']}" if error.get("hint") else ""
            notes.append(f"{result.get('pid')}: {error['message']}.{hint}")
    return tuple(dict.fromkeys(notes))


def trace_dump(trace: Mapping[str, Any], name: str) -> Dump:
    """All threads of one process; reads the source line where each stands."""
    blocks = []
    for thread in trace["threads"]:
        frames = thread["frames"]
        where = innermost_user(frames)
        source = None
        if where is not None and where.get("file"):
            source = source_line(trace["pid"], where["file"], where["line"])
        blocks.append(Block(_thread_title(thread), _frame_rows(frames, source)))
    tool = trace.get("tool")
    paused = trace.get("paused_ms") or 0
    how = f"{tool or 'kernel state'}, " + (f"paused {paused:g} ms" if paused else "never paused")
    count = len(blocks)
    noun = "thread" if count == 1 else "threads"
    headline = f"{name} {trace['pid']} · {count} {noun} · {how}"
    return Dump(headline, tuple(blocks), _notes([trace]), about=f"stack of {trace['pid']}")


def merged_dump(traces: Sequence[Mapping[str, Any]], asked: int) -> Dump:
    """The stacks of many processes, identical ones as one block."""
    groups = merge(traces)
    blocks = []
    for group in groups:
        threads, processes = group["count"], len(group["processes"])
        many = f"{threads} {'thread' if threads == 1 else 'threads'}"
        if processes > 1:
            many += f" in {processes} processes"
        pids = ", ".join(str(pid) for pid in group["processes"][:6])
        pids += " …" if processes > 6 else ""
        title: list[Run] = [(many, "strong"), (f"  {pids}  ", "dim")]
        if group["holds_gil"]:
            title.append(("holds the GIL ", "hot"))
        title.append((str(group["wait"] or group["where"]), "accent"))
        blocks.append(Block(tuple(title), _frame_rows(group["frames"], group["source"])))
    total = sum(group["count"] for group in groups)
    headline = f"{_many(total, 'thread')} of {_many(len(traces), 'process')}"
    if len(traces) < asked:
        headline += f" (of {asked} asked)"
    headline += f" · {_many(len(groups), 'different stack')}"
    about = f"stacks below {traces[0]['pid']}" if traces else "stacks"
    return Dump(headline, tuple(blocks), _notes(traces), about=about)


def _many(number: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{plural * (number != 1)}"


_VERDICTS = {
    "deadlock-proven": (0, "bad", "DEADLOCK, proven"),
    "suspected": (1, "warn", "hang suspected"),
    "waiting": (2, "quiet", "waiting"),
    "running": (3, "good", "running"),
    "idle": (4, "dim", "idle"),
}


def hang_dump(found: Mapping[str, Any]) -> Dump:
    """Verdicts, the worst first, each with its evidence; then who waits for whom."""
    rows = sorted(found["verdicts"], key=lambda row: (_VERDICTS[row["verdict"]][0], row["pid"]))
    blocks = []
    for row in rows:
        _rank, style, word = _VERDICTS[row["verdict"]]
        name = row.get("label") or row.get("name") or "?"
        title: Runs = (
            (f"{row['pid']} ", "figure"),
            (f"{name}  ", "strong"),
            (word, style),
        )
        lines = [Row((("    ", ""), (str(one), "quiet")), prose=True) for one in row["evidence"]]
        if row.get("cycle"):
            chain = " → ".join(str(one) for one in [*row["cycle"], row["cycle"][0]])
            lines.append(Row((("    cycle ", "dim"), (chain, style))))
        blocks.append(Block(title, tuple(lines)))
    if found["graph"]:
        edges = tuple(
            Row(
                (("    ", ""), (f"{edge['from']} ", "strong"), (str(edge["why"]), "quiet")),
                prose=True,
            )
            for edge in found["graph"]
        )
        blocks.append(Block((("who waits for whom", "title"),), edges))
    bad = sum(1 for row in rows if _VERDICTS[row["verdict"]][0] < 2)
    verdict = f"{bad} hung" if bad else "nothing hangs"
    seconds = found.get("seconds")
    looked = f" · looked for {seconds:g} s" if seconds is not None else ""
    headline = f"{_many(len(rows), 'process')} · {verdict}{looked}"
    notes = tuple(str(one) for one in found.get("warnings", ()))
    return Dump(headline, tuple(blocks), notes, about="hangs")
