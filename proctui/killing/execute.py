"""Carries a plan out: pin, look again, signal, wait, escalate, verify, write down.

Takes the plan and nothing else.  Every target is pinned by a pidfd whose
identity must be the planned one, then judged again by a fresh look; only then
is it signalled, through the pidfd.  After TERM and the grace what still lives
is killed together with what it has forked meanwhile, also where the leader is
long dead: the session's own control group at once, else frozen to a fixed
point first.  What came of each is read from the pidfds.
"""

from __future__ import annotations

import signal as system_signals
import time
from collections.abc import Callable, Iterable

from proctui.awareness.view import View
from proctui.errors import BadArgument, RefusedError
from proctui.killing import audit, lethal, signals
from proctui.killing.crew import Crew, Member
from proctui.killing.plan import Plan
from proctui.killing.report import Report

__all__ = ["execute"]

SETTLE = 1.0
"""Seconds in which the effect of a signal that is not TERM or KILL is watched, at most."""
LONGEST_GRACE = 1e9
NEWCOMERS = 0.02
"""Seconds between two looks for newcomers within the grace."""

Progress = Callable[[str, int, int], None]


def execute(
    plan: Plan,
    look: Callable[[], View],
    *,
    signal: int = system_signals.SIGTERM,
    grace: float = 5.0,
    on_progress: Progress | None = None,
    escalate: bool = True,
) -> Report:
    """Signal the plan's targets and report what came of each.

    TERM is followed by KILL after ``grace`` seconds unless ``escalate`` is
    false; KILL freezes a tree first; any other signal is sent once.
    ``on_progress(stage, left, total)`` is told of the stages ``term``,
    ``kill`` and ``verify``.  A plan without targets signals nobody and is
    audited too.  Raises :class:`BadArgument`, and :class:`RefusedError` where
    the audit line can be written nowhere.
    """
    signum = signals.check_signal(signal)
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):
        raise BadArgument(f"grace must be a number of seconds, not {type(grace).__name__}")
    if not 0 <= grace < LONGEST_GRACE:
        raise BadArgument("grace must be 0 or more seconds, and less than thirty years")
    if type(plan) is not Plan:
        raise BadArgument("only a plan can be carried out")
    if not plan.is_intact():
        raise RefusedError(f"plan {plan.id} was changed after it was made", "make a new one")
    if not plan.targets:
        nobody = not plan.refused and plan.stopped is None
        place = None if nobody else audit.refuse(plan, plan.directory, signum)
        return Report(plan, signum, (), place, plan.warnings)
    record = audit.begin(plan, plan.directory, signum, float(grace))
    progress = on_progress or (lambda stage, left, total: None)
    crew = Crew(plan, look)
    written = False
    try:
        view = crew.judge(look())
        if signum == system_signals.SIGKILL:
            progress("kill", len(crew.open()), len(crew.members))
            lethal.end_all(crew, view)
        elif signum == system_signals.SIGTERM:
            _terminate(crew, view, float(grace), escalate, progress)
        else:
            _once(crew, signum, float(grace))
        progress("verify", len(crew.open()), len(crew.members))
        crew.verify()
    finally:
        results = crew.results()
        written = record.finish([one.to_dict() for one in results])
        crew.close()
    if not written:
        crew.warnings.append("the audit line is on disk, but its results could not be added")
    return Report(
        plan, signum, results, record.path, (*plan.warnings, *crew.warnings), crew.unfinished
    )


def _terminate(crew: Crew, view: View, grace: float, escalate: bool, progress: Progress) -> None:
    """TERM, unfrozen, to all and to whom they fork; after the grace KILL for what is left."""
    deadline = time.monotonic() + grace
    quiet = 0
    _ask(crew, view, crew.open())
    while True:
        progress("term", len(crew.open()), len(crew.members))
        left = bool(crew.wait(deadline - time.monotonic()))
        if crew.plan.scope == "single":
            break
        view = crew.judge(crew.look())
        joined = crew.join(view)
        quiet = 0 if joined or crew.vanished else quiet + 1
        if quiet >= crew.patience:
            break
        left = True
        if time.monotonic() >= deadline:
            break
        _ask(crew, view, joined)
        time.sleep(NEWCOMERS)
    if escalate and left:
        progress("kill", len(crew.open()), len(crew.members))
        lethal.end_all(crew, crew.judge(crew.look()))


def _ask(crew: Crew, view: View, members: Iterable[Member]) -> None:
    """TERM, and CONT where it is stopped and could not hear it."""
    for member in members:
        crew.send(member, system_signals.SIGTERM)
        proc = view.proc(member.entry.pid)
        if proc is not None and proc.state == "T" and member.sent is not None:
            crew.send(member, system_signals.SIGCONT, note=False)


def _once(crew: Crew, signum: system_signals.Signals, grace: float) -> None:
    """Any other signal: sent once, its effect watched for a moment."""
    for member in crew.open():
        crew.send(member, signum)
    watched = min(grace, SETTLE)
    if signum in (system_signals.SIGSTOP, system_signals.SIGTSTP):
        crew.until_still(crew.open(), watched)
    elif signum != system_signals.SIGCONT:
        crew.wait(watched)
