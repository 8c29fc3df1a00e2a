"""Ending a job, or what it left behind, through the guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proctui.awareness.view import View
from proctui.errors import ProctuiError

if TYPE_CHECKING:
    from proctui.killing.plan import Plan

__all__ = ["end_job", "end_strays"]


def end_strays(session_id: str, grace: float = 5.0) -> dict[str, Any]:
    """End a session's certain strays; the document of ``proctui strays --end``."""
    from proctui.killing.plan import make_strays_plan

    return _end(session_id, make_strays_plan, grace)


def end_job(session_id: str, grace: float = 5.0) -> dict[str, Any]:
    """End every process that certainly comes from the job; the same document."""
    from proctui.killing.plan import make_job_plan

    return _end(session_id, make_job_plan, grace)


def _end(
    session_id: str, make: Callable[[Callable[[], View]], Plan], grace: float
) -> dict[str, Any]:
    from proctui.awareness.opening import open_watch
    from proctui.killing.execute import execute

    try:
        watch = open_watch(session_id, signalling=True)
        try:
            plan = make(watch.look)
            if not plan.targets and plan.stopped is None:
                return {"plan": None, "results": []}
            return execute(plan, watch.look, grace=grace).to_dict()
        finally:
            watch.close()
    except ProctuiError as error:
        return {"plan": None, "results": [], "error": dict(error.body())}
