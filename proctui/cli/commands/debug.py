"""Commands that look inside: stack, hangs, debug."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.ask import confirm
from proctui.cli.output import Line, emit, print_lines, span
from proctui.errors import check_pid

__all__ = ["debug", "hangs", "stack"]

HANG_FOUND = 6
_VERDICT_STYLE = {
    "running": "good",
    "idle": "dim",
    "waiting": "",
    "suspected": "warn",
    "deadlock-proven": "bad",
}


def stack(args: Namespace) -> int:
    from proctui.tools.stack import stack_of

    result = stack_of(
        args.pid,
        all_threads=args.all_threads,
        tree=args.tree,
        native=args.native,
        exact=args.exact,
        show_locals=args.locals,
    )
    return emit(result, args, _stack)


def _stack(result: Mapping[str, Any]) -> Iterable[Line]:
    for one in result.get("processes") or [result]:
        if one.get("processes") is None and one is not result:
            yield [span(f"process {one['pid']}", "head")]
        for line in str(one["text"]).split("\n"):
            yield [span(line, "head" if line.startswith("Thread ") else "")]


def hangs(args: Namespace) -> int:
    from proctui.tools.hangs import hang_found, hangs_in

    result = dict(hangs_in(args.pid, args.seconds, session=args.session))
    status = emit(result, args, _hangs)
    return HANG_FOUND if hang_found(result) else status


def _hangs(result: Mapping[str, Any]) -> Iterable[Line]:
    if not result["verdicts"]:
        yield "no processes to look at"
    for one in result["verdicts"]:
        style = _VERDICT_STYLE.get(one["verdict"], "")
        yield [span(f"{one['verdict']:<16}", style), span(one["identity"] or one["pid"], "key")]
        for reason in one["evidence"]:
            yield ["                ", span(reason)]
        if one["cycle"]:
            yield ["                ", span(f"cycle: {' → '.join(map(str, one['cycle']))}", "bad")]


def debug(args: Namespace) -> int:
    from proctui.tools.debugger import attach_debugger, plan_attachment

    pid = check_pid(args.pid, signalling=True)
    plan = plan_attachment(pid, args.how or "auto", args.port)
    if not args.json:
        print_lines(_attachment(plan))
    if not args.yes and not confirm("Attach it?", instead="add --yes, or run it in a terminal"):
        return 1
    return emit(attach_debugger(pid, args.how or "auto", args.port), args, lambda result: ())


def _attachment(result: Mapping[str, Any]) -> Iterable[Line]:
    yield [span("command ", "head"), span(" ".join(result["command"]))]
    for risk in result["risks"]:
        yield [span("risk    ", "warn"), span(risk)]
