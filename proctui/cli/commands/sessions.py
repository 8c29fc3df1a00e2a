"""Commands about sessions: list them, adopt a process into one."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.ask import has_terminal, read_line
from proctui.cli.output import Line, emit, span, table
from proctui.errors import RefusedError, check_pid

__all__ = ["adopt", "sessions"]

_SHOWN = 10
"""Rows of ended sessions, and of those elsewhere; there may be hundreds."""
_ID = 12
"""Letters of an id: enough for ``--session``, which takes its beginning."""
_SECONDS = len("2026-01-02T03:04:05")
_STYLE = {"live": "good", "orphaned": "warn", "ended": "dim"}


def sessions(args: Namespace) -> int:
    from proctui.tools.sessions import list_sessions

    return emit(list_sessions(), args, _sessions)


def _sessions(result: Mapping[str, Any]) -> Iterable[Line]:
    rows = result["sessions"]
    if not rows:
        yield "no sessions (`proctui run -- CMD` starts one)"
        return
    over = [row for row in rows if row["state"] == "ended"][_SHOWN:]
    away = [row for row in rows if row["state"] != "ended" and row["foreign"]][_SHOWN:]
    rows = [row for row in rows if row not in over and row not in away]
    yield from table(
        [
            ("ID", "<"),
            ("STATE", "<"),
            ("STRAYS", ">"),
            ("LEADER", "<"),
            ("STARTED", "<"),
            ("LABEL", "<"),
        ],
        (
            [
                row["id"][:_ID],
                span(row["state"], _STYLE.get(row["state"], "")),
                "?" if row["strays"] is None else str(row["strays"]),
                span(_leader(row)),
                span((row["started"] or "?")[:_SECONDS].replace("T", " ")),
                span(row["label"]),
            ]
            for row in rows
        ),
    )
    if away:
        yield f"and {len(away)} more of other pid namespaces (--json lists them)"
    if over:
        yield f"and {len(over)} more that ended (--json lists them)"


def _leader(row: Mapping[str, Any]) -> str:
    leader = row["leader"]
    if leader is None:
        return "none"
    where = "in another pid namespace" if row["foreign"] else leader["name"]
    return f"{leader['pid']} {where}".rstrip()


def adopt(args: Namespace) -> int:
    """Ask for the pid once more: whoever types it has looked at it."""
    pid = check_pid(args.pid, signalling=True)
    if not has_terminal():
        raise RefusedError(
            "only a person at a terminal can adopt a process",
            "run `proctui adopt` in a terminal of your own",
        )
    from proctui.tools.adoption import adopt as take
    from proctui.tools.adoption import candidate

    found = candidate(pid, session=args.session)
    words = " ".join(found["cmdline"] or [found["name"]])[:120]
    described = f"{found['target']} {words} ({found['role']}: {'; '.join(found['evidence'])})"
    session = found["watched"]
    typed = read_line(
        f"Adopt {described} into session {session.id[:12]} ({session.label})? Type its pid:"
    )
    if typed != str(pid):
        raise RefusedError("nothing was adopted: the typed pid is another one")
    return emit(take(found), args, _adopted)


def _adopted(result: Mapping[str, Any]) -> Iterable[Line]:
    yield [
        span("adopted ", "good"),
        span(f"{result['identity']} {result['name']} into {result['session']}"),
    ]
