"""Small pieces that several results share."""

from __future__ import annotations

import time
from typing import Any

from proctui.awareness.view import View
from proctui.errors import AccessDenied, BadArgument, NoSuchProcess
from proctui.model import Proc
from proctui.tools.results import ProcessRef

__all__ = [
    "check_flag",
    "cpu_share",
    "find",
    "partial",
    "reference",
]


def find(view: View, pid: int) -> Proc:
    """The process in this look; raises :class:`NoSuchProcess` (a thread's id has none either)."""
    proc = view.proc(pid)
    if proc is None:
        raise NoSuchProcess(f"no process {pid}", "`proctui tree` shows those there are")
    return proc


def reference(view: View, pid: int) -> ProcessRef:
    proc = find(view, pid)
    return {
        "pid": pid,
        "identity": str(proc.identity),
        "name": proc.name,
        "role": str(view.role(pid)),
    }


def check_flag(value: object, name: str) -> bool:
    """A plain bool passes; ``1`` or ``"no"`` would be guessed at, so they don't."""
    if type(value) is not bool:
        raise BadArgument(f"{name} must be true or false, not {type(value).__name__}")
    return value


def cpu_share(proc: Proc) -> float | None:
    """Percent of one core: since the look before, at first sight over its life (as ps(1) does)."""
    if proc.cpu is not None:
        return round(proc.cpu, 1)
    if proc.started is None or proc.user_time is None or proc.system_time is None:
        return None
    age = time.time() - proc.started
    if age < 0.05:
        return None
    return round(min((proc.user_time + proc.system_time) / age * 100, 1e6), 1)


def partial(result: dict[str, Any], message: str) -> None:
    """Mark a result of which only a part may be read: the hint as warning, the kind as error."""
    error = AccessDenied(message, "run it as root, or as the user whose process it is")
    result["warnings"] = [*result.get("warnings", ()), f"{message}: {error.hint}"]
    result["error"] = error.body()
