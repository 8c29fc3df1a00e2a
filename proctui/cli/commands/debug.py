"""Commands that look inside: stack, hangs, debug."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.ask import confirm
from proctui.cli.output import Line, emit, print_lines, span
from proctui.errors import RefusedError, check_pid

__all__ = ["debug", "hangs", "stack"]

HANG_FOUND = 6
_VERDICT_STYLE = {
    "deadlock-proven": "bad",
    "suspected": "warn",
    "waiting": "",
    "running": "good",
    "idle": "dim",
}
"""The worst first."""


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
    for line in str(result["text"]).split("\n"):
        yield [span(line, "head" if line.startswith(("Process ", "Thread ")) else "")]


def hangs(args: Namespace) -> int:
    from proctui.tools.hangs import hang_found, hangs_in

    result = dict(hangs_in(args.pid, args.seconds, session=args.session))
    status = emit(result, args, _hangs)
    return HANG_FOUND if hang_found(result) else status


def _hangs(result: Mapping[str, Any]) -> Iterable[Line]:
    if not result["verdicts"]:
        yield "no processes to look at"
    worst_first = list(_VERDICT_STYLE)
    for one in sorted(result["verdicts"], key=lambda row: worst_first.index(row["verdict"])):
        style = _VERDICT_STYLE[one["verdict"]]
        name = f"{one['name']} ({one['label']})" if one["label"] else one["name"]
        yield [
            span(f"{one['verdict']:<16}", style),
            span(one["identity"], "key"),
            span(f"  {name}"),
        ]
        for reason in one["evidence"]:
            yield ["                ", span(reason)]
        if one["cycle"]:
            yield ["                ", span(f"cycle: {' → '.join(map(str, one['cycle']))}", "bad")]


def debug(args: Namespace) -> int:
    from proctui.tools.debugger import attach_debugger, plan_attachment

    pid = check_pid(args.pid, signalling=True)
    plan = plan_attachment(pid, args.how or "auto", args.port)
    if args.json and plan["interactive"]:
        raise RefusedError(
            f"{plan['how']} needs a terminal to talk to, so nothing of it is JSON",
            "run it there: " + " ".join(plan["command"]),
        )
    if not args.json:
        print_lines(_attachment(plan))
    if not args.yes and not confirm("Attach it?", instead="add --yes, or run it in a terminal"):
        return 1
    # A free port was looked for and shown: it is that one.
    done = attach_debugger(pid, plan["how"], plan["port"], planned=plan["identity"])
    return emit(done, args, _attached)


def _attached(result: Mapping[str, Any]) -> Iterable[Line]:
    if "listen" in result:
        yield [span("listens ", "good"), span(result["listen"]), "  for a debugger that speaks DAP"]


def _attachment(result: Mapping[str, Any]) -> Iterable[Line]:
    yield [span("command ", "head"), span(" ".join(result["command"]))]
    for risk in result["risks"]:
        yield [span("risk    ", "warn"), span(risk)]
