"""``find_hangs`` and ``is_responding``: does it work, wait, or hang."""

from __future__ import annotations

from typing import Any, cast

from proctui.errors import BadArgument, NoSuchProcess, NoSuchSession, check_pid
from proctui.tools.context import default_root, looking
from proctui.tools.results import Hangs

__all__ = ["find_hangs", "hangs_in", "is_responding"]

_BAD = frozenset({"suspected", "deadlock-proven"})


def find_hangs(pid: int | None = None) -> Hangs:
    """A verdict for ``pid`` and all its descendants (default: the session's processes).

    Looks for two seconds: less can't tell a pause from a hang.
    """
    result = dict(hangs_in(pid))
    result.pop("stacks", None)
    return cast(Hangs, result)


def hangs_in(pid: int | None = None, seconds: float = 2.0, *, session: str | None = None) -> Hangs:
    """The same with the time to look and the session as the command line gives them."""
    if pid is not None:
        check_pid(pid)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e6:
        raise BadArgument("seconds must be 0 or more")
    with looking(session) as look:
        view = look()
    if pid is not None:
        if view.proc(pid) is None:
            raise NoSuchProcess(f"no process {pid}", "a thread's id is not a process either")
        pids = [pid, *view.descendants(pid)]
    else:
        leader = default_root(view)
        pids = sorted(view.job | ({leader} if leader in view.job else set()))
        if not pids and view.session is None:
            raise NoSuchSession(
                "there is no session here, so a pid is needed", "`proctui hangs PID`"
            )
    from proctui.stacks import find_hangs as find

    return cast(Hangs, find(pids, seconds=seconds))


def is_responding(pid: int) -> bool:
    """False where ``pid`` is suspected to hang, is provably deadlocked, or is stopped."""
    check_pid(pid)
    from proctui.stacks import is_responding as responding

    return responding(pid)


def hang_found(result: dict[str, Any]) -> bool:
    return any(one["verdict"] in _BAD for one in result["verdicts"])
