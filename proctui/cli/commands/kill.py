"""Commands that end processes: kill and strays.  Plan, confirm, execute, report."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from proctui.cli.ask import confirm
from proctui.cli.commands.look import role_span
from proctui.cli.output import Line, print_json, print_lines, span, status_of, table, warn
from proctui.errors import ProctuiError, RefusedError, check_pid

if TYPE_CHECKING:
    from proctui.awareness.view import View
    from proctui.killing.plan import Plan

__all__ = ["kill", "strays"]

_GOOD = frozenset({"exited", "zombie", "gone"})


def kill(args: Namespace) -> int:
    with _nothing_else():
        return _kill(args)


@contextlib.contextmanager
def _nothing_else() -> Iterator[None]:
    """Whoever reads ``plan`` and ``results`` finds them, empty, where it came to no plan."""
    try:
        yield
    except ProctuiError as error:
        plan: dict[str, Any] = {"id": None, "targets": [], "refused": []}
        error.result = {"plan": plan, "results": [], **(error.result or {})}
        raise


def _kill(args: Namespace) -> int:
    from proctui.killing.plan import make_plan
    from proctui.machine.identity import identify, parse_target
    from proctui.tools.context import looking
    from proctui.tools.kill import scope_of

    scope = scope_of(args.tree, args.group)
    targets = []
    for text in args.targets:
        if text.isascii() and text.isdigit() and len(text) <= 40:
            pid, identity = check_pid(int(text), signalling=True), None
        else:
            pid, identity = parse_target(text)
            check_pid(pid, signalling=True)
        targets.append(pid if identity is None else identity)
    with looking(args.session, signalling=True) as look:
        named = [one if not isinstance(one, int) else identify(one) for one in targets]
        likely = _named_keys(look, named)
        plan = make_plan(look, named, scope=scope, likely_ok=likely)
        return _carry_out(plan, look, args, signal=args.signal, grace=args.grace)


def _named_keys(look: Callable[[], View], named: Iterable[Any]) -> frozenset[Any]:
    """Full identities of what was named: naming is the confirmation that a likely one needs."""
    from proctui.killing.signals import same

    view = look()
    found = [(one, view.identity(one.pid)) for one in named]
    return frozenset(full.key for one, full in found if full is not None and same(one, full))


def strays(args: Namespace) -> int:
    from proctui.tools.context import looking
    from proctui.tools.sessions import strays_of

    if args.end:
        with _nothing_else():
            return _end_strays(args)
    with looking(args.session) as look:
        return _print(strays_of(look()), args, _listing)


def _end_strays(args: Namespace) -> int:
    from proctui.killing.plan import make_strays_plan
    from proctui.tools.context import looking
    from proctui.tools.sessions import strays_of

    with looking(args.session, signalling=True) as look:
        listed = strays_of(look())
        plan = make_strays_plan(look)
        status = _carry_out(plan, look, args, beside=listed)
        if not args.json:
            for one in listed["strays"]:
                if one["certainty"] == "likely":
                    warn(
                        f"left alone, only likely the session's: {one['pid']} {one['name']} "
                        f"({'; '.join(one['evidence'])})"
                    )
        return status


def _carry_out(
    plan: Plan,
    look: Callable[[], View],
    args: Namespace,
    *,
    signal: int = 15,
    grace: float = 5.0,
    beside: Mapping[str, Any] | None = None,
) -> int:
    """Show the plan, ask where nobody has said yes, execute, report."""
    from proctui.killing.execute import execute
    from proctui.tools.kill import describe

    planned: dict[str, Any] = {**dict(beside or {}), **describe(plan)}
    if not args.json:
        print_lines(_plan(planned["plan"]))
    if args.dry_run:
        return _finish(planned, args, done=not plan.refused and plan.stopped is None)
    if plan.targets and not args.yes:
        try:
            if not confirm(
                f"Signal {len(plan.targets)} process{'es' if len(plan.targets) > 1 else ''}?",
                instead="add --yes, or run it in a terminal",
            ):
                raise RefusedError("not confirmed: nothing was signalled")
        except RefusedError as error:
            return _finish({**planned, "error": error.body()}, args, done=False)
    report = execute(plan, look, signal=signal, grace=grace)
    return _finish({**dict(beside or {}), **report.to_dict()}, args, done=report.done)


def _finish(document: Mapping[str, Any], args: Namespace, *, done: bool) -> int:
    if args.json:
        print_json(document)
    else:
        print_lines(_results(document))
        for warning in document.get("warnings", ()):
            warn(warning)
        error = document.get("error")
        if error:
            warn(f"{error['message']}" + (f" ({error['hint']})" if error["hint"] else ""))
    return status_of(document) or (0 if done else 1)


def _plan(plan: Mapping[str, Any]) -> Iterable[Line]:
    yield [span("plan ", "head"), plan["id"]]
    for heading, style in (("targets", "good"), ("refused", "bad")):
        entries = plan[heading]
        if not entries:
            yield [span(f"  {heading}: ", style), "none"]
            continue
        yield [span(f"  {heading}:", style)]
        for line in table(
            [("IDENTITY", "<"), ("NAME", "<"), ("ROLE", "<"), ("WHY", "<")],
            (
                [
                    span(one["identity"]),
                    span(one["name"]),
                    role_span(one["role"], one["certainty"]),
                    span(one["reason"] or "; ".join(one["evidence"])),
                ]
                for one in entries
            ),
        ):
            yield ["    ", *line]


def _results(document: Mapping[str, Any]) -> Iterable[Line]:
    rows = document["results"]
    if not rows:
        return
    yield [span("results", "head")]
    for line in table(
        [("IDENTITY", "<"), ("NAME", "<"), ("OUTCOME", "<"), ("SIGNAL", "<"), ("NOTE", "<")],
        (
            [
                span(one["identity"]),
                span(one["name"]),
                span(one["outcome"], "good" if one["outcome"] in _GOOD else "bad"),
                span(one["signal_sent"] or ""),
                span(one["reason"] or ""),
            ]
            for one in rows
        ),
    ):
        yield ["    ", *line]


def _print(
    document: Mapping[str, Any],
    args: Namespace,
    render: Callable[[Mapping[str, Any]], Iterable[Line]],
) -> int:
    if args.json:
        print_json(document)
    else:
        print_lines(render(document))
    return status_of(document)


def _listing(document: Mapping[str, Any]) -> Iterable[Line]:
    rows = document["strays"]
    if not rows:
        yield "no strays"
        return
    yield from table(
        [("IDENTITY", "<"), ("NAME", "<"), ("ROLE", "<"), ("EVIDENCE", "<")],
        (
            [
                span(one["identity"]),
                span(one["name"], "stray"),
                role_span(one["role"], one["certainty"]),
                span("; ".join(one["evidence"])),
            ]
            for one in rows
        ),
    )
