"""Behind a fence: what the kernel would refuse us is asked of the session's runner, outside."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

__all__ = ["through_the_fence"]


def through_the_fence(arguments: Sequence[str], parsed: Namespace) -> int | None:
    """The exit status of a command that the broker ran for us; ``None`` where we run it ourselves."""
    from proctui.jobs import broker

    if not arguments or arguments[0] not in broker.COMMANDS or not broker.may_be_fenced():
        return None
    from proctui.awareness.select import resolve_session
    from proctui.errors import ProctuiError

    try:
        session = resolve_session(None)
    except ProctuiError:
        return None
    if session is None or not broker.walled_off(session):
        return None
    ending = arguments[0] == "kill" or (arguments[0] == "strays" and getattr(parsed, "end", False))
    if ending and not parsed.yes and not parsed.dry_run:
        from proctui.cli.ask import confirm, has_terminal

        if has_terminal() and not parsed.json:
            shown = broker.delegate(session, [*arguments, "--dry-run"])
            _print(shown)
            if shown[0] not in (0, 1) or not confirm("Go on?", instead="add --yes"):
                return 1
            arguments = [*arguments, "--yes"]
    return _print(broker.delegate(session, arguments))


def _print(answer: tuple[int, str, str]) -> int:
    status, out, trouble = answer
    sys.stdout.write(out)
    sys.stdout.flush()
    sys.stderr.write(trouble)
    return status
