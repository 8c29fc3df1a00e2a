"""The command that reads logs: analysis, grep, tail, and which logs a process writes."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.output import Line, emit, fields, print_json, span, table, warn
from proctui.errors import BadArgument, NoSuchProcess, check_pid
from proctui.text import decode, sanitize
from proctui.tools.call import harmless
from proctui.tools.logs import check_last
from proctui.units import human_bytes

__all__ = ["logs"]

_SHOWN = 20


def logs(args: Namespace) -> int:
    if (args.file is None) == (args.of is None):
        raise BadArgument("name either a FILE or --of PID", "proctui logs app.log")
    check_last(args.last)
    if args.of is not None:
        return _of(args)
    if args.matches:
        return _matches(args)
    if args.follow:
        return _follow(args)
    from proctui.logs.analyze import analyze

    result = analyze(
        args.file,
        args.pattern,
        args.last,
        ignore_case=args.ignore_case,
        invert=args.invert,
        context=args.context,
        stdin=args.file == "-",
    )
    return emit(result, args, _analysis)


def _of(args: Namespace) -> int:
    pid = check_pid(args.of)
    from proctui.logs.finding import discover
    from proctui.tools.context import looking

    with looking() as look:
        view = look()
    if view.proc(pid) is None:
        raise NoSuchProcess(f"no process {pid}", "a thread's id is not a process either")
    return emit(discover(pid), args, _discovered)


def _discovered(result: Mapping[str, Any]) -> Iterable[Line]:
    if result["logs"]:
        yield from table(
            [("PID", ">"), ("FD", ">"), ("PATH", "<"), ("WHY", "<")],
            (
                [
                    str(one["pid"]),
                    str(one["fd"]),
                    span(str(one["path"]) + (" (deleted)" if one["deleted"] else "")),
                    span(one["why"]),
                ]
                for one in result["logs"]
            ),
        )
    else:
        yield "no logs found"
    for note in result["notes"]:
        yield [span(note, "dim")]


def _matches(args: Namespace) -> int:
    """Bytes as they stand in the file; on a terminal with their control characters visible."""
    from proctui.logs.matches import iter_matches

    notes: list[str] = []
    found = iter_matches(
        args.file,
        args.pattern,
        args.last,
        ignore_case=args.ignore_case,
        invert=args.invert,
        context=args.context,
        stdin=args.file == "-",
        notes=notes,
    )
    if args.json:
        lines = b"".join(found).split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        print_json(
            {
                "matches": [decode(line) for line in lines],
                "total": len(lines),
                "warnings": notes,
            }
        )
        return 0
    terminal = sys.stdout.isatty()
    sys.stdout.flush()
    out = sys.stdout.buffer
    for block in found:
        out.write(_visible(block) if terminal else block)
        out.flush()
    for note in notes:
        warn(note)
    return 0


def _visible(block: bytes) -> bytes:
    return b"\n".join(decode(line).encode() for line in block.split(b"\n"))


def _follow(args: Namespace) -> int:
    """Ends with Ctrl-C only; each line is out as soon as it is known."""
    from proctui.logs.tail import follow

    terminal = sys.stdout.isatty()
    for event in follow(
        args.file,
        args.pattern,
        last=args.last or 0,
        ignore_case=args.ignore_case,
        invert=args.invert,
        context=args.context,
        stdin=args.file == "-",
    ):
        if args.json:
            sys.stdout.write(json.dumps(harmless(event)) + "\n")
        elif event.get("text") is not None:
            text = event["text"]
            sys.stdout.write((sanitize(text) if terminal else text) + "\n")
        else:
            print(f"proctui: {sanitize(str(event.get('note')))}", file=sys.stderr)
        sys.stdout.flush()
    return 0


def _analysis(result: Mapping[str, Any]) -> Iterable[Line]:
    from proctui.logs.text import timeline_rows

    file, scanned, levels = result["file"], result["scanned"], result["levels"]
    yield [span(file["path"], "head"), f"  {human_bytes(file['size'])}, {scanned['lines']} lines"]
    when = result["time"]
    if when["first"]:
        yield from fields([("time", span(f"{when['first']} to {when['last']}"))])
    names = ("critical", "error", "warning", "info", "debug", "unknown")
    text = ", ".join(f"{name} {levels[name]}" for name in names if levels[name])
    yield from fields([("levels", span(f"{text or 'none'} ({levels['method']})"))])
    yield from fields([(name, span(row)) for name, row in timeline_rows(result["timeline"])])
    pattern = result["pattern"]
    if pattern["regex"] is not None:
        yield from _pattern(pattern)
    if result["errors"]:
        yield ""
        yield [span("errors", "head")]
        yield from table(
            [("COUNT", ">"), ("LEVEL", "<"), ("FIRST", ">"), ("LAST", ">"), ("TEMPLATE", "<")],
            (
                [
                    str(one["count"]),
                    span(one["level"], "bad"),
                    str(one["first"]["line"]),
                    str(one["last"]["line"]),
                    span(one["template"]),
                ]
                for one in result["errors"][:_SHOWN]
            ),
        )
    if result["tracebacks"]:
        yield ""
        yield [span("tracebacks", "head")]
        yield from table(
            [("COUNT", ">"), ("EXCEPTION", "<"), ("FIRST", ">"), ("LAST FRAME", "<")],
            (
                [
                    str(one["count"]),
                    span(one["exception"], "bad"),
                    str(one["first"]["line"]),
                    span(_frame(one["last_frame"])),
                ]
                for one in result["tracebacks"][:_SHOWN]
            ),
        )
    timeline = result["timeline"]
    for name in ("spikes", "gaps"):
        if timeline[name]:
            yield ""
            yield [span(name, "head")]
            for one in timeline[name][:_SHOWN]:
                yield ["  ", span(one if isinstance(one, str) else json.dumps(one))]


def _pattern(pattern: Mapping[str, Any]) -> Iterable[Line]:
    yield from fields(
        [("pattern", span(f"{pattern['regex']} ({pattern['engine']}): {pattern['total']} lines"))]
    )
    for match in pattern["matches"][:_SHOWN]:
        for line in match["before"]:
            yield [span("        ", "dim"), span(line, "dim")]
        yield [span(f"{match['line']:>7} ", "key"), *_marked(match)]
        for line in match["after"]:
            yield [span("        ", "dim"), span(line, "dim")]
    left = pattern["total"] - min(len(pattern["matches"]), _SHOWN)
    if left > 0:
        yield [span(f"… and {left} more (--matches shows all)", "dim")]


def _marked(match: Mapping[str, Any]) -> list[Any]:
    pieces: list[Any] = []
    at = 0
    for start, end in match["spans"]:
        pieces += [span(match["text"][at:start]), span(match["text"][start:end], "bad")]
        at = end
    return [*pieces, span(match["text"][at:])]


def _frame(frame: Mapping[str, Any] | None) -> str:
    return "" if not frame else f"{frame['file']}:{frame['line']} {frame['func']}"
