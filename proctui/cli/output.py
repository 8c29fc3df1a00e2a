"""How results look: one JSON document, or text that is plain in a pipe and coloured on a terminal.

Text is made as lines of spans, a span being a string with the name of a
style; rich is imported only where a terminal will show the colours.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from proctui.errors import ProctuiError
from proctui.text import sanitize, sanitize_lines
from proctui.tools.call import error_result, harmless

__all__ = [
    "STYLES",
    "Cell",
    "Line",
    "Span",
    "document_begun",
    "emit",
    "fields",
    "print_error",
    "print_json",
    "print_lines",
    "span",
    "status_of",
    "table",
    "warn",
    "wrapped",
]

_begun = False
Span = tuple[str, str]
Cell = Span | str
Line = Sequence[Cell] | str

STYLES = {
    "head": "bold",
    "dim": "dim",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "key": "cyan",
    "role.self": "bold magenta",
    "role.ancestor": "magenta",
    "role.protected": "magenta",
    "role.baseline": "blue",
    "role.spawned": "green",
    "role.unknown": "",
    "stray": "bold yellow",
}
_STATUS_OF_KIND = {
    "refused": 1,
    "timed-out": 1,
    "changed": 1,
    "bad-argument": 2,
    "no-such-process": 3,
    "no-such-session": 3,
    "no-such-file": 3,
    "permission-denied": 4,
    "not-supported": 5,
    "tool-missing": 5,
}


def span(value: object, style: str = "") -> Span:
    """One piece of text; it can't start a line of its own."""
    return (sanitize(str(value)), style)


def emit(
    result: Mapping[str, Any],
    args: Any,
    render: Callable[[Mapping[str, Any]], Iterable[Line]],
    *,
    fit: bool = False,
) -> int:
    """Print a result as ``--json`` or as text, tell its warnings, return its exit status."""
    if args.json:
        print_json(result)
    else:
        print_lines(render(result), fit=fit)
        error = result.get("error")
        told = str(error["message"]) if isinstance(error, Mapping) else None
        for warning in result.get("warnings", ()):
            if told is None or not str(warning).startswith(told):
                warn(str(warning))
        if isinstance(error, Mapping):
            _tell(str(told), error.get("hint"))
    return status_of(result)


def status_of(result: Mapping[str, Any]) -> int:
    """0, or the status of the ``error`` a partial result carries."""
    error = result.get("error")
    return _STATUS_OF_KIND.get(error["kind"], 1) if isinstance(error, Mapping) else 0


def print_json(document: Mapping[str, Any] | Sequence[Any], *, indent: int | None = 2) -> None:
    """Exactly one JSON document on stdout: once it is begun, no other may follow."""
    global _begun
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    text = json.dumps(harmless(document), indent=indent, ensure_ascii=encoding != "utf8")
    with _whole():
        _begun = True
        _write(text + "\n")


def document_begun() -> bool:
    """Whether stdout has its document already, or a part of it."""
    return _begun


def _write(text: str) -> None:
    """All of it: under ``PYTHONUNBUFFERED`` what a signal cuts off would be lost without a word."""
    out = sys.stdout
    out.flush()
    try:
        descriptor = out.fileno()
    except (OSError, ValueError, AttributeError):  # no real file: somebody caught it for a test
        out.write(text)
        return
    left = memoryview(text.encode(out.encoding or "ascii", "backslashreplace"))
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """A first Ctrl-C does not cut a document in two; a second one leaves a reader that is stuck."""

    def not_yet(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, not_yet)
    except ValueError:  # another thread's: no signal comes here
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def print_error(error: ProctuiError, *, as_json: bool) -> None:
    """``proctui: message`` and the hint on stderr, the error document on stdout if asked for."""
    if as_json:
        print_json(error_result(error))
        return
    _tell(error.message, error.hint)


def warn(message: str) -> None:
    """One line to stderr."""
    sys.stdout.flush()
    print(f"proctui: {sanitize_lines(message)}", file=sys.stderr)


def _tell(message: str, hint: object) -> None:
    warn(message)
    if hint:
        print(f"  hint: {sanitize_lines(str(hint))}", file=sys.stderr)


def print_lines(lines: Iterable[Line], *, fit: bool = False, stream: TextIO | None = None) -> None:
    """Write lines; on a terminal in colour and, with ``fit``, cut at its width."""
    out = stream or sys.stdout
    if not _is_terminal(out):
        for line in lines:
            out.write(_plain(line) + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text()
        for piece, style in _spans(line):
            text.append(piece, style=STYLES.get(style, ""))
        if fit:
            console.print(text, no_wrap=True, overflow="ellipsis")
        else:
            console.print(text, soft_wrap=True)


def _is_terminal(stream: TextIO | None) -> bool:
    return (
        stream is not None
        and stream.isatty()
        and os.environ.get("TERM", "dumb") != "dumb"
        and not os.environ.get("NO_COLOR")
    )


def _spans(line: Line) -> list[Span]:
    cells: Sequence[Cell] = (line,) if isinstance(line, str) else line
    return [(cell, "") if isinstance(cell, str) else cell for cell in cells]


def _plain(line: Line) -> str:
    return "".join(text for text, _ in _spans(line)).rstrip()


def _columns(text: str) -> int:
    """How many columns of a terminal it takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]]) -> Iterable[Line]:
    """Aligned columns; each is (heading, ``<`` or ``>``), the last is never padded."""
    grid = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
    widths = [
        max([len(heading), *(_columns(row[at][0]) for row in grid)])
        for at, (heading, _) in enumerate(columns)
    ]

    def padded(cells: Sequence[Span]) -> list[Span]:
        line: list[Span] = []
        for at, (text, style) in enumerate(cells):
            space = " " * (widths[at] - _columns(text))
            if columns[at][1] == ">":
                text = space + text
            elif at < len(columns) - 1:
                text += space
            line += [(text, style), ("  ", "")]
        return line[:-1]

    yield padded([(heading, "head") for heading, _ in columns])
    for row in grid:
        yield padded(row)


def fields(
    pairs: Iterable[tuple[str, Cell]], *, width: int = 12, wrap: bool = False
) -> Iterable[Line]:
    """``name  value`` lines with the names in one column.

    With ``wrap`` a terminal gets long values on several lines, below each
    other; a pipe always gets one line each.
    """
    for name, value in pairs:
        text, style = value if isinstance(value, tuple) else (value, "")
        for at, piece in enumerate(wrapped(text, width + 1) if wrap else [text]):
            yield [(f"{'' if at else name:<{width}} ", "key"), (piece, style)]


def wrapped(text: str, indent: int) -> list[str]:
    """The lines that ``text`` takes on a terminal behind ``indent`` columns; one in a pipe."""
    if not _is_a_screen():
        return [text]
    return textwrap.wrap(text, max(20, shutil.get_terminal_size().columns - indent)) or [text]


def _is_a_screen() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False
