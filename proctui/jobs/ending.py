"""Ending a job, or what it left behind, through the guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proctui.awareness.view import View
from proctui.errors import Changed, NoSuchProcess, ProctuiError
from proctui.model import Certainty, Identity

__all__ = ["end_job", "end_strays"]

_ATTEMPTS = 5


def end_strays(session_id: str, grace: float = 5.0) -> dict[str, Any]:
    """End a session's certain strays; the document of ``proctui strays --end``."""
    return _end(session_id, lambda view: view.strays, grace)


def end_job(session_id: str, grace: float = 5.0) -> dict[str, Any]:
    """End every process that certainly comes from the job; the same document."""
    return _end(session_id, lambda view: view.job, grace)


def _end(session_id: str, which: Callable[[View], frozenset[int]], grace: float) -> dict[str, Any]:
    from proctui.awareness.watch import open_watch
    from proctui.killing.execute import execute
    from proctui.killing.plan import make_plan

    try:
        watch = open_watch(session_id, signalling=True)
        try:
            for attempt in range(_ATTEMPTS):
                targets = _certain(watch.look(), which)
                if not targets:
                    break
                try:
                    plan = make_plan(watch.look, targets)
                except (NoSuchProcess, Changed):
                    # One of them ended between the two looks: look again.
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                return execute(plan, watch.look, grace=grace).to_dict()
            return {"plan": None, "results": []}
        finally:
            watch.close()
    except ProctuiError as error:
        return {"plan": None, "results": [], "error": dict(error.body())}


def _certain(view: View, which: Callable[[View], frozenset[int]]) -> list[Identity]:
    return [
        identity
        for pid in sorted(which(view))
        if view.verdict(pid).certainty is Certainty.CERTAIN
        and (identity := view.identity(pid)) is not None
    ]
