"""``plan_kill`` and ``execute_kill``: the guard for programs.

A plan is frozen in this process; what the caller gets is its description, and
what he gives back only names it.  Editing the description changes nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from signal import SIGTERM
from typing import TYPE_CHECKING, Any, cast

from proctui.errors import BadArgument, RefusedError, check_pid
from proctui.tools.common import check_flag
from proctui.tools.context import looking
from proctui.tools.results import Kill

if TYPE_CHECKING:
    from proctui.killing.plan import Plan, Scope

__all__ = ["describe", "execute_kill", "plan_kill", "refusal", "scope_of"]

_KEPT = 256
_plans: OrderedDict[str, tuple[Plan, str | None]] = OrderedDict()
_lock = threading.Lock()


def plan_kill(
    pid: int, *, tree: bool = False, group: bool = False, session: str | None = None
) -> Kill:
    """What a kill of ``pid`` would signal, what it refuses and why; nothing is signalled.

    ``tree`` takes its descendants along, ``group`` its whole process group.
    Where nobody could be signalled the result carries an ``error`` of kind
    ``refused`` beside the plan.
    """
    check_pid(pid, signalling=True)
    scope = scope_of(tree, group)
    if not isinstance(cast(object, session), (str, type(None))):
        raise BadArgument(f"session must be text, not {type(session).__name__}")
    from proctui.killing.plan import make_plan

    with looking(session, signalling=True) as look:
        plan = make_plan(look, [pid], scope=scope)
    with _lock:
        _plans[plan.id] = (plan, session)
        _plans.move_to_end(plan.id)
        while len(_plans) > _KEPT:
            _plans.popitem(last=False)
    return describe(plan)


def execute_kill(plan: object, *, signal: int = SIGTERM, grace: float = 5.0) -> Kill:
    """Carry out a plan of :func:`plan_kill` (its result, its ``plan``, or its id).

    TERM is followed by KILL after ``grace`` seconds.  Only processes of the
    plan that are still the planned ones, and still judged as spawned, are
    signalled.  Raises :class:`RefusedError` for a plan this process did not make.
    """
    name = _id_of(plan)
    with _lock:
        known = _plans.get(name)
    if known is None:
        raise RefusedError(
            f"no plan {name[:40]!r} was made here", "make one with plan_kill, then execute that"
        )
    frozen, session = known
    from proctui.killing.execute import execute

    with looking(session, signalling=True) as look:
        report = execute(frozen, look, signal=signal, grace=grace)
    return cast(Kill, report.to_dict())


def scope_of(tree: bool, group: bool) -> Scope:
    """``tree`` and ``group`` together would blur which rule refuses what."""
    if check_flag(tree, "tree") and check_flag(group, "group"):
        raise BadArgument("tree and group can't be asked for together")
    check_flag(group, "group")
    return "tree" if tree else "group" if group else "single"


def describe(plan: Plan) -> Kill:
    """The document of a plan nobody has executed."""
    document: dict[str, Any] = {
        "plan": plan.to_dict(),
        "results": [],
        "warnings": list(plan.warnings),
    }
    error = refusal(plan)
    if error is not None:
        document["error"] = error.body()
    return cast(Kill, document)


def refusal(plan: Plan) -> RefusedError | None:
    """Why nobody of this plan would be signalled, ``None`` where somebody would."""
    from proctui.killing.plan import require_targets

    try:
        require_targets(plan)
    except RefusedError as error:
        return error
    return None


def _id_of(plan: object) -> str:
    if isinstance(plan, Mapping):
        plan = plan.get("plan", plan)
    if isinstance(plan, Mapping):
        plan = plan.get("id")
    name = getattr(plan, "id", plan)
    if not isinstance(name, str):
        raise BadArgument("a plan is what plan_kill returned, or its id")
    return name


def execute_by_id(plan_id: str) -> Kill:
    """The MCP tool: a plan's id and nothing else."""
    return execute_kill(plan_id)
