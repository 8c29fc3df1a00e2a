"""Small pieces that several results share."""

from __future__ import annotations

import os
from typing import Any

from proctui.awareness.view import View
from proctui.errors import AccessDenied, BadArgument, NoSuchProcess, ProctuiError
from proctui.machine.identity import identify
from proctui.model import Proc
from proctui.tools.results import ProcessRef

__all__ = [
    "check_flag",
    "cpu_share",
    "find",
    "partial",
    "reference",
    "resident",
]


def find(view: View, pid: int) -> Proc:
    """The process in this look.

    Raises :class:`NoSuchProcess` (a thread's id has none either), and
    :class:`AccessDenied` where ``/proc`` hides one that exists.
    """
    proc = view.proc(pid)
    if proc is None:
        if _is_hidden(pid):
            raise AccessDenied(
                f"process {pid} is hidden from us", "/proc is mounted with hidepid; run it as root"
            )
        raise NoSuchProcess(f"no process {pid}", "`proctui tree` shows those there are")
    return proc


def _is_hidden(pid: int) -> bool:
    """Whether a pidfd can be had of a process whose files in ``/proc`` can't be opened."""
    try:
        os.close(os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC))
        return False
    except OSError:
        pass
    try:
        identify(pid)
    except (ProctuiError, OSError) as error:
        return isinstance(error, AccessDenied)
    return True


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


def cpu_share(proc: Proc, now: float) -> float | None:
    """Percent of one core: since the look before, at first sight over its life (as ps(1) does)."""
    if proc.cpu is not None:
        return round(proc.cpu, 1)
    if proc.started is None or proc.user_time is None or proc.system_time is None:
        return None
    age = now - proc.started
    if age < 0.05:
        return None
    used = proc.user_time + proc.system_time
    return round(min(used / age * 100, 1e6), 1) if used else 0.0


def resident(proc: Proc) -> int | None:
    """RSS in bytes; of memory that threads use on, an ended main thread's row says 0."""
    return None if proc.state in "ZX" and (proc.threads or 1) > 1 else proc.rss


def partial(result: dict[str, Any], message: str) -> None:
    """Mark a result of which only a part may be read: the hint as warning, the kind as error."""
    error = AccessDenied(message, _who_may())
    result["warnings"] = [*result.get("warnings", ()), f"{message}: {error.hint}"]
    result["error"] = error.body()


def _who_may() -> str:
    if os.geteuid() != 0:
        return "run it as root, or as the user whose process it is"
    from proctui.tools.doctor_kernel import CAP_SYS_PTRACE, has_capability

    if has_capability(CAP_SYS_PTRACE):
        return "it has capabilities that this root lacks; only a root with all of them may look"
    return "root needs CAP_SYS_PTRACE for it (in a container: docker run --cap-add SYS_PTRACE)"
