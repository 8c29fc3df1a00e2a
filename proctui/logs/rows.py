"""Rows of the log pane: an entry's lines, a folded traceback as one."""

from __future__ import annotations

from typing import Final, NamedTuple

from proctui.logs import levels
from proctui.logs.entries import Entry
from proctui.logs.layout import clean
from proctui.logs.styling import Span, styled

__all__ = ["FOLD", "Row", "row_of", "rows_of"]

FOLD: Final = -1
"""In place of a line's index: the row that stands for a folded traceback."""


class Row(NamedTuple):
    """``spans`` name stretches of ``text``: ``head`` (timestamp and level), ``level-…``, ``match``,
    ``search``, ``count``, ``fold``, ``ansi-…``; ``kind`` is ``line``, ``fold``, ``event`` or
    ``mark``; ``hit`` is false for context; ``source`` is empty where there is only one."""

    kind: str
    text: str
    spans: tuple[Span, ...]
    level: str
    source: str
    hit: bool
    time: float | None
    first: bool


def rows_of(entry: Entry) -> list[tuple[Entry, int]]:
    """The rows of an entry: (entry, line's index or :data:`FOLD`)."""
    trace = entry.trace
    if trace is None or entry.open:
        return [(entry, index) for index in range(len(entry.lines))]
    before = [(entry, index) for index in range(trace.first)]
    behind = [(entry, index) for index in range(trace.end, len(entry.lines))]
    if trace.first == 0 and entry.message:
        # The header itself holds the mark: it stays.
        before = [(entry, 0)]
    return [*before, (entry, FOLD), *behind]


def row_of(entry: Entry, line: int, source: str) -> Row:
    """One row, ready to be shown."""
    level = levels.NAMES[entry.level]
    if line == FOLD:
        return _fold_row(entry, source, level)
    shown = styled(entry.lines[line])
    spans = list(shown.spans)
    text = shown.text
    if entry.kind == "entry":
        if line == 0 and entry.message:
            head = clean(entry.lines[0])[: entry.message]
            width = min(len(head.decode("utf-8", "replace").expandtabs(8)), len(text))
            spans.append(Span(0, width, "head"))
            start = width - len(head.rstrip()[_word_start(head) :].decode("utf-8", "replace"))
            if entry.level != levels.UNKNOWN and start < width:
                spans.append(Span(max(0, start), width, f"level-{level}"))
        spans += [Span(one, two, "match") for one, two in entry.matches.get(line, ())]
        spans += [Span(one, two, "search") for one, two in entry.found.get(line, ())]
        if line == 0 and entry.count > 1:
            suffix = f"  ×{entry.count}"
            spans.append(Span(len(text), len(text) + len(suffix), "count"))
            text += suffix
    kind = "line" if entry.kind == "entry" else entry.kind
    return Row(kind, text, tuple(spans), level, source, entry.hit, entry.time, line == 0)


def _word_start(head: bytes) -> int:
    """Where the last word of a head begins."""
    stripped = head.rstrip()
    return max(stripped.rfind(one) for one in (b" ", b"\t", b"=", b"[")) + 1


def _fold_row(entry: Entry, source: str, level: str) -> Row:
    trace = entry.trace
    assert trace is not None
    last = styled(entry.lines[max(trace.end - 1, trace.first)]).text.strip()
    count = trace.end - trace.first
    text = f"  ▸ {last[:400]}  ({count} lines)"
    spans = [Span(2, 3, "fold"), Span(4, 4 + len(last[:400]), "trace")]
    inside = range(trace.first, trace.end)
    if any(line in entry.found for line in inside):
        spans.append(Span(4, len(text), "search"))
    elif any(line in entry.matches for line in inside):
        spans.append(Span(4, len(text), "match"))
    return Row("fold", text, tuple(spans), level, source, entry.hit, entry.time, trace.first == 0)
