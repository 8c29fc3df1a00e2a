"""Behind a fence: what the kernel would refuse us is asked of the session's runner, outside."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

__all__ = ["through_the_fence"]


def through_the_fence(arguments: Sequence[str], parsed: Namespace) -> int | None:
    """The exit status of a command that the broker ran for us; ``None`` where we run it ourselves."""
    if not arguments or not _behind_something():
        return None
    from proctui.jobs import broker

    if arguments[0] not in broker.COMMANDS:
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


def _behind_something() -> bool:
    """A fence always leaves ``no_new_privs`` and a seccomp filter behind (proc_pid_status(5)).

    Asked before anything is imported: nearly always the answer is no.
    """
    try:
        with open("/proc/self/status", "rb") as file:
            status = file.read()
    except OSError:
        return False
    return b"\nNoNewPrivs:\t1" in status and b"\nSeccomp:\t2" in status


def _print(answer: tuple[int, str, str]) -> int:
    status, out, trouble = answer
    sys.stdout.write(out)
    sys.stdout.flush()
    sys.stderr.write(trouble)
    return status
