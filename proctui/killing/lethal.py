"""KILL for a tree, a group or strays, so that nobody slips out by forking.

The session's own control group at once, where it holds targets only.  Else
everybody is stopped, parents first, until a look at the still tree shows
nobody new, then killed, and looked for again.  What hops faster than anybody
can look is not promised: it is told.
"""

from __future__ import annotations

import signal
import time

from proctui.awareness.view import View
from proctui.killing import cgroup
from proctui.killing.crew import Crew
from proctui.killing.freeze import Freezer

__all__ = ["end_all"]

ROUNDS = 40
"""Looks within one freeze, and freezes within one kill, before what is left is reported."""
PAUSE = 0.01
"""Seconds between empty looks."""
STOPPING = 0.5
"""Seconds everybody has to come to a stop."""


def end_all(crew: Crew, view: View) -> None:
    """KILL every open member and what it forks meanwhile; ``view`` has just judged them."""
    if crew.plan.scope == "single":
        _send_all(crew)
        crew.wait_killed()
        return
    crew.join(view)
    if not _until_quiet(crew, view):
        crew.unfinished = True
        crew.warnings.append(
            "new processes kept appearing faster than they could be killed: some may have got away"
        )
    if crew.unlisted:
        pids = ", ".join(map(str, sorted(crew.unlisted)))
        crew.warnings.append(f"killed with the session's control group, never seen before: {pids}")


def _until_quiet(crew: Crew, view: View) -> bool:
    """Kill until looks show nobody new; whether they did in the end."""
    quiet = 0
    with Freezer() as freezer:
        for _ in range(ROUNDS):
            if not _kill_cgroup(crew, view) and crew.living():
                _kill_frozen(crew, freezer)
            crew.wait_killed()
            view = crew.look()
            joined = crew.join(view)
            crew.judge(view)
            if joined or crew.vanished:
                quiet = 0
                continue
            quiet += 1
            if quiet >= crew.patience:
                return True
            time.sleep(PAUSE)
    return False


def _send_all(crew: Crew) -> None:
    for member in crew.open():
        crew.send(member, signal.SIGKILL)


def _kill_cgroup(crew: Crew, view: View) -> bool:
    """The control group, if the whole job is to die; whether it held every living member."""
    if not crew.holds_whole_job(view):
        return False
    living = {one.entry.pid: one for one in crew.living()}
    killed = cgroup.kill_all(view, {pid: one.entry.identity for pid, one in living.items()})
    for pid in killed & living.keys():
        living[pid].sent = signal.SIGKILL
    crew.turbulent = crew.turbulent or not killed <= living.keys()
    crew.unlisted |= killed - {one.entry.pid for one in crew.members}
    return bool(killed) and living.keys() <= killed


def _kill_frozen(crew: Crew, freezer: Freezer) -> None:
    if freezer.ready():
        _freeze(crew, freezer)
    _send_all(crew)
    freezer.settle(
        one.pin for one in crew.members if one.pin is not None and one.sent == signal.SIGKILL
    )


def _freeze(crew: Crew, freezer: Freezer) -> None:
    fresh = crew.living()
    for _ in range(ROUNDS):
        by_pin = {id(one.pin): one for one in fresh}
        for pin, error in freezer.stop([one.pin for one in fresh if one.pin is not None]):
            if error is not None:
                crew.failed(by_pin[id(pin)], error)
        crew.until_still(crew.open(), STOPPING)
        view = crew.look()
        fresh = crew.join(view)
        crew.judge(view)
        if not fresh and not crew.vanished:
            return
