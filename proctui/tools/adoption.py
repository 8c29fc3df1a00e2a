"""What ``proctui adopt`` needs: who it would be, and the taking itself."""

from __future__ import annotations

from typing import Any

from proctui.errors import NoSuchSession, RefusedError
from proctui.tools.common import find
from proctui.tools.context import looking

__all__ = ["adopt", "candidate"]


def candidate(pid: int, *, session: str | None = None) -> dict[str, Any]:
    """Who would be adopted into which session; raises :class:`RefusedError` where it can't be."""
    from proctui.awareness.naming import may_be_adopted

    with looking(session, signalling=True) as look:
        view = look()
        if view.session is None:
            raise NoSuchSession("there is no session to adopt it into", "`proctui run -- CMD`")
        proc = find(view, pid)
        reason = may_be_adopted(view, proc.identity)
        if reason is not None:
            raise RefusedError(f"process {pid} can't be adopted: {reason}")
        info = view.info(pid)
        return {
            "target": proc.identity,
            "watched": view.session,
            "name": proc.name,
            "cmdline": None if info is None or info.cmdline is None else list(info.cmdline),
            "role": str(view.role(pid)),
            "evidence": list(view.verdict(pid).evidence),
        }


def adopt(found: dict[str, Any]) -> dict[str, Any]:
    """Take exactly the process that was shown; recorded with the user's name and the time."""
    from proctui.awareness.naming import adopt as take

    return take(found["watched"], found["target"])
