"""``attach_debugger``: the one tool that changes its target, so it is asked for twice."""

from __future__ import annotations

from typing import cast

from proctui.errors import BadArgument, check_pid
from proctui.tools.results import Attachment

__all__ = ["HOW", "attach_debugger", "plan_attachment"]

HOW = ("auto", "pdb", "debugpy", "gdb")


def attach_debugger(
    pid: int, how: str = "auto", port: int | None = None, *, planned: str | None = None
) -> Attachment:
    """Attach to a running process; refused for self, ancestors, pid 1 and what can't be traced.

    ``planned`` is the identity that a plan named: :class:`proctui.errors.Changed`
    where the pid is another process by now.
    """
    _check(pid, how, port)
    from proctui.stacks import debugger

    return cast(Attachment, debugger.attach(pid, how=how, port=port, planned=planned))


def plan_attachment(pid: int, how: str = "auto", port: int | None = None) -> Attachment:
    """The exact command and its risks; nothing is attached."""
    _check(pid, how, port)
    from proctui.stacks import debugger

    return cast(Attachment, debugger.plan(pid, how=how, port=port))


def _check(pid: int, how: str, port: int | None) -> None:
    check_pid(pid, signalling=True)
    if how not in HOW:
        raise BadArgument(f"how must be one of {', '.join(HOW)}")
    if port is not None and (type(port) is not int or not 0 < port < 65536):
        raise BadArgument("port must be a whole number from 1 to 65535")
