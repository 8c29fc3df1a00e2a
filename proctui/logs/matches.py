"""``--matches``: the matching lines and nothing else, byte for byte as they stand in the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from proctui.errors import BadArgument, TimedOut
from proctui.logs.blocks import grep_part, guard, inverted
from proctui.logs.helper import HelperGone, Worker, run_tasks
from proctui.logs.matcher import Matcher, clipped_words
from proctui.logs.opening import OpenLog, open_log
from proctui.logs.ranges import check_count, cut_parts, starting_byte

__all__ = ["Search", "iter_matches"]

_HERE: Final = 24 << 20
_PART: Final = 8 << 20


def iter_matches(
    path: str | os.PathLike[str],
    pattern: str | None,
    last_n_lines: int | None = None,
    *,
    ignore_case: bool = False,
    invert: bool = False,
    context: int = 0,
    workers: int = 2,
    stdin: bool = False,
    notes: list[str] | None = None,
) -> Iterator[bytes]:
    """Yield the matching lines of a log in blocks of bytes, each line with its newline.

    Without a pattern every line matches.  ``context`` adds lines around a
    match, groups are divided by ``--`` as with grep.  Standard input
    (``"-"`` with ``stdin``) is answered as it comes.  ``notes`` gets what the
    lines don't tell, at the end.  Raises the errors of
    :func:`~proctui.logs.analyze.analyze` at once, and :class:`TimedOut` in
    the middle where the pattern exploded.
    """
    if last_n_lines is not None:
        check_count(last_n_lines, "last_n_lines", 1)
    check_count(context, "context", 0)
    matcher = Matcher("" if pattern is None else pattern, ignore_case)
    if stdin and path == "-" and last_n_lines is None:
        return _with_context(_stream(0, matcher, invert), context)
    log = open_log(path, stdin=stdin)
    try:
        begin = starting_byte(log, last_n_lines)
    except BaseException:
        log.close()
        raise
    if context:
        return _with_context(_located(log, begin, matcher, invert), context)
    return _blocks(log, begin, matcher, invert, workers, [] if notes is None else notes)


def _blocks(
    log: OpenLog, begin: int, matcher: Matcher, invert: bool, workers: int, notes: list[str]
) -> Iterator[bytes]:
    clipped = 0

    def told(answer: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal clipped
        if answer[0] == "part":
            clipped += answer[2]
        return answer

    with log:
        begin = 0 if begin == log.begin and not matcher.regex and not log.spooled else begin
        if log.end - begin <= _HERE and not matcher.dangerous:
            for answer in grep_part(log.fd, begin, log.end, matcher, invert, guard(False)):
                if told(answer)[0] == "bytes":
                    yield answer[1]
            _note_clipped(notes, clipped)
            _check_whole(log)
            return
        parts = cut_parts(log, begin, None, _PART)
        tasks = [
            {
                "op": "grep",
                "fd": log.fd,
                "begin": one,
                "end": two,
                "pattern": (matcher.regex, matcher.ignore_case),
                "invert": invert,
            }
            for one, two in parts
        ]
        answers = run_tasks(tasks, log.fd, max(1, workers))
        heard = ((index, told(answer)) for index, answer in answers)
        yield from _in_order(heard, len(parts))
        _note_clipped(notes, clipped)
        _check_whole(log)


def _note_clipped(notes: list[str], clipped: int) -> None:
    if clipped:
        notes.append(clipped_words(clipped))


def _check_whole(log: OpenLog) -> None:
    if log.cut is not None:
        raise BadArgument(f"{log.path}: {log.cut}: only what comes before was searched")


def _in_order(answers: Iterator[tuple[int, tuple[Any, ...]]], parts: int) -> Iterator[bytes]:
    """The parts' bytes one after the other, the current part's as they come."""
    kept: dict[int, list[bytes]] = {}
    finished: set[int] = set()
    current = 0
    for index, answer in answers:
        if answer[0] == "bytes":
            if index == current:
                yield answer[1]
            else:
                kept.setdefault(index, []).append(answer[1])
        elif answer[0] == "part":
            finished.add(index)
        elif answer[0] == "stopped" and index == current:
            raise _stopped()
        elif answer[0] == "stopped":
            kept.setdefault(index, []).append(b"")
            parts = min(parts, index)
        while current in finished and current < parts:
            current += 1
            yield from kept.pop(current, [])
        if current == parts:
            break
    if parts in kept:
        raise _stopped()


def _stopped() -> TimedOut:
    return TimedOut(
        "the pattern was stopped: it takes too long on this log",
        "nested repetitions like (a+)+ explode; simplify the pattern, or install google-re2",
    )


def _located(
    log: OpenLog, begin: int, matcher: Matcher, invert: bool
) -> Iterator[tuple[bytes, bool]]:
    """Every line with whether it matches."""
    with log:
        os.lseek(log.fd, begin, os.SEEK_SET)
        yield from _stream(log.fd, matcher, invert, log.end)


def _stream(
    fd: int, matcher: Matcher, invert: bool, end: int | None = None
) -> Iterator[tuple[bytes, bool]]:
    """Every line with whether it matches, read as it comes."""
    search = Search(matcher)
    rest = b""
    try:
        while True:
            data = os.read(fd, 1 << 18)
            rest += data
            cut = rest.rfind(b"\n") + 1 if data else len(rest)
            piece, rest = rest[:cut], rest[cut:]
            if piece:
                found = search.lines(piece)
                starts = {start for start, _ in (inverted(piece, found) if invert else found)}
                at = 0
                while at < len(piece):
                    stop = piece.find(b"\n", at) + 1 or len(piece)
                    yield piece[at:stop], at in starts
                    at = stop
            if not data:
                return
    finally:
        search.close()


class Search:
    """Matching lines of pieces of text, in a helper if the pattern may explode."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._worker: Worker | None = None

    def lines(self, piece: bytes) -> list[tuple[int, int]]:
        if not self._matcher.dangerous:
            return self._matcher.lines(piece)
        if self._worker is None:
            self._worker = Worker()
        request = {"op": "lines", "pattern": (self._matcher.regex, self._matcher.ignore_case)}
        try:
            found: list[tuple[int, int]] = self._worker.ask({**request, "data": piece})
        except HelperGone as error:
            raise _stopped() from error
        return found

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()


def _with_context(lines: Iterator[tuple[bytes, bool]], context: int) -> Iterator[bytes]:
    before: list[bytes] = []
    after = 0
    shown = -1
    for number, (line, hit) in enumerate(lines):
        whole = line if line.endswith(b"\n") else line + b"\n"
        if hit:
            first = number - len(before)
            gap = b"--\n" if context and 0 <= shown < first - 1 else b""
            yield gap + b"".join(before) + whole
            before.clear()
            shown = number
            after = context
        elif after:
            after -= 1
            shown = number
            yield whole
        elif context:
            before.append(whole)
            del before[:-context]
