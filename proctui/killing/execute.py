"""Carries a plan out: pin, look again, signal, wait, escalate, verify, write down.

Takes the plan and nothing else.  Every target is pinned by a pidfd whose
identity must be the planned one, then judged again by a fresh look; only then
is it signalled, through the pidfd.  After TERM and the grace what still lives
is killed together with what it has forked meanwhile, also where the leader is
long dead: the session's own control group at once, else frozen to a fixed
point first.  What came of each is read from the pidfds.
"""

from __future__ import annotations

import errno
import math
import os
import signal as system_signals
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from proctui.awareness.view import View
from proctui.errors import BadArgument, Changed, NoSuchProcess, ProctuiError
from proctui.killing import audit, cgroup, family, signals, states
from proctui.killing.freeze import Freezer
from proctui.killing.plan import Plan, PlanEntry, objection
from proctui.killing.report import Report, Result
from proctui.killing.signals import Pin

__all__ = ["execute"]

SETTLE = 1.0
"""Seconds in which the effect of a signal that is not TERM or KILL is watched, at most."""
KILL_WAIT = 5.0
"""Seconds a process has to vanish after KILL (the kernel may have gigabytes to give back)."""
REAP_WAIT = 0.25
"""Seconds a dead one's parent has to reap it before it is called a zombie."""
ROUNDS = 40
"""Looks within one freeze, and freezes within one kill, before what is left is reported."""

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
    if not math.isfinite(grace) or grace < 0:
        raise BadArgument("grace must be 0 or more seconds")
    if type(plan) is not Plan:
        raise BadArgument("only a plan can be carried out")
    if not plan.targets:
        nobody = not plan.refused and plan.stopped is None
        place = None if nobody else audit.refuse(plan, plan.directory, signum)
        return Report(plan, signum, (), place, plan.warnings)
    record = audit.begin(plan, plan.directory, signum, float(grace))
    run = _Run(plan, look, on_progress or (lambda stage, left, total: None))
    written = False
    try:
        run.carry_out(signum, float(grace), escalate)
    finally:
        results = run.results()
        written = record.finish([one.to_dict() for one in results])
        run.close()
    if not written:
        run.warnings.append("the audit line is on disk, but its results could not be added")
    return Report(plan, signum, results, record.path, (*plan.warnings, *run.warnings))


@dataclass(slots=True)
class _Member:
    """One process being dealt with; ``outcome`` stays ``None`` while it may still change."""

    entry: PlanEntry
    pin: Pin | None = None
    outcome: str | None = None
    errno: int | None = None
    sent: int | None = None
    reason: str | None = None
    joined: bool = False

    def give_up(self, outcome: str, reason: str | None, number: int | None = None) -> None:
        self.outcome, self.reason, self.errno = outcome, reason, number


class _Run:
    def __init__(self, plan: Plan, look: Callable[[], View], progress: Progress) -> None:
        self.plan = plan
        self.look = look
        self.progress = progress
        self.members = [_Member(entry) for entry in plan.targets]
        self.keys = {entry.identity.key for entry in plan.targets}
        self.kin = family.Family(plan)
        self.warnings: list[str] = []

    # -- the stages

    def carry_out(self, signum: system_signals.Signals, grace: float, escalate: bool) -> None:
        for member in self.members:
            self._pin(member)
        view = self._judge(self.look())
        if signum == system_signals.SIGKILL:
            self._kill(view)
        elif signum == system_signals.SIGTERM:
            self._terminate(view, grace, escalate)
        else:
            self._once(signum, grace)
        self._verify()

    def _terminate(self, view: View, grace: float, escalate: bool) -> None:
        deadline = time.monotonic() + grace
        self._ask(view, self._open())
        while True:
            self.progress("term", len(self._open()), len(self.members))
            left = self._wait(deadline - time.monotonic())
            if self.plan.scope == "single":
                break
            view = self.look()
            joined = self._join(view)
            if not joined:
                break
            if time.monotonic() >= deadline:
                left += joined
                break
            self._ask(view, joined)
            time.sleep(0.02)
        if escalate and left:
            self._kill(self._judge(self.look()))

    def _ask(self, view: View, members: Iterable[_Member]) -> None:
        """TERM, and CONT where it is stopped and could not hear it."""
        for member in members:
            self._send(member, system_signals.SIGTERM)
            proc = view.proc(member.entry.pid)
            if proc is not None and proc.state == "T" and member.sent is not None:
                self._send(member, system_signals.SIGCONT, note=False)

    def _once(self, signum: system_signals.Signals, grace: float) -> None:
        for member in self._open():
            self._send(member, signum)
        deadline = time.monotonic() + min(grace, SETTLE)
        if signum == system_signals.SIGCONT:
            return
        if signum in (system_signals.SIGSTOP, system_signals.SIGTSTP):
            self._until_still(self._open(), deadline - time.monotonic())
            return
        self._wait(deadline - time.monotonic())

    def _kill(self, view: View) -> None:
        self.progress("kill", len(self._open()), len(self.members))
        if self.plan.scope == "single":
            for member in self._open():
                self._send(member, system_signals.SIGKILL)
            self._wait_killed()
            return
        self._join(view)
        for _ in range(ROUNDS):
            if not self._kill_cgroup(view):
                self._kill_frozen(view)
            self._wait_killed()
            view = self.look()
            if not self._join(view):
                return
            self._judge(view)
        self.warnings.append("new processes kept appearing: what is left was not hit")

    def _kill_cgroup(self, view: View) -> bool:
        """The whole job at once where it has a control group of its own, with nobody else in it."""
        targets = {one.entry.pid: one for one in self._open()}
        if not targets or not view.job <= set(targets) | self._ended_pids():
            return False
        killed = cgroup.kill_all(view, {pid: one.entry.identity for pid, one in targets.items()})
        for pid in killed & set(targets):
            targets[pid].sent = system_signals.SIGKILL
        newborn = len(killed - set(targets))
        if newborn:
            self.warnings.append(f"{newborn} processes born meanwhile ended with the control group")
        return bool(killed) and set(targets) <= killed

    def _kill_frozen(self, view: View) -> None:
        """STOP, parents first, until a look at a still tree shows nobody new; then KILL all."""
        with Freezer() as freezer:
            if freezer.ready():
                self._freeze(freezer)
            for member in self._open():
                self._send(member, system_signals.SIGKILL)
            freezer.done()

    def _freeze(self, freezer: Freezer) -> None:
        fresh = [one for one in self._open() if one.pin is not None and not one.pin.dead()]
        for _ in range(ROUNDS):
            by_pin = {id(one.pin): one for one in fresh}
            for pin, error in freezer.stop([one.pin for one in fresh if one.pin is not None]):
                if error is not None:
                    self._failed(by_pin[id(pin)], error)
            self._until_still(self._open(), 0.5)
            view = self.look()
            fresh = self._join(view)
            self._judge(view)
            if not fresh:
                return

    def _verify(self) -> None:
        self.progress("verify", len(self._open()), len(self.members))
        deadline = time.monotonic() + REAP_WAIT
        for member in self._open():
            pin = member.pin
            if pin is None:
                continue
            if not pin.dead():
                alive = states.of(pin)
                member.give_up(
                    "uninterruptible" if alive == "D" else "survivor", _why_alive(alive, member)
                )
                continue
            parent = states.parent(pin)
            # Our own child is reaped by whoever called us, after we have returned.
            while not pin.reaped() and parent != os.getpid() and time.monotonic() < deadline:
                time.sleep(0.005)
            if not pin.reaped():
                member.give_up("zombie", f"its parent {parent} has not reaped it yet")
            elif member.sent is None:
                member.give_up("gone", "it ended before anything was sent")
            else:
                member.give_up("exited", None)

    # -- the steps

    def _pin(self, member: _Member) -> None:
        try:
            member.pin = signals.pin(member.entry.identity)
        except NoSuchProcess:
            member.give_up("gone", "it ended before anything was sent")
        except Changed as error:
            member.give_up("gone", error.message)
        except OSError as error:
            member.give_up("denied", str(error), error.errno)
        except ProctuiError as error:
            member.give_up("denied", error.message)

    def _judge(self, view: View) -> View:
        """Drop every open member that a fresh look does not show as killable any more."""
        group_spoilt = self._group_spoilt(view)
        for member in self._open():
            pin = member.pin
            proc = view.proc(member.entry.pid)
            if pin is None or pin.dead():
                continue
            if proc is None or not signals.same(member.entry.identity, proc.identity):
                reason: str | None = "it could not be judged again"
            else:
                reason = (
                    view.blocked
                    or group_spoilt
                    or objection(
                        view.verdict(proc.pid), proc.identity, likely_ok=self.plan.likely_ok
                    )
                )
            if reason is not None:
                kept = "denied" if member.sent is None else "survivor"
                member.give_up(kept, f"not signalled any further: {reason}")
        return view

    def _group_spoilt(self, view: View) -> str | None:
        """Who, since the plan was made, joined the group and may not be signalled."""
        for pgid in self.plan.pgids:
            for pid in view.group(pgid):
                proc = view.snapshot.procs[pid]
                no = objection(view.verdict(pid), proc.identity, likely_ok=self.plan.likely_ok)
                if no is not None:
                    return f"{proc.identity} is in the group now, and refused: {no}"
        return None

    def _join(self, view: View) -> list[_Member]:
        """Take in what the targets have forked since the plan was made."""
        if self.plan.scope == "single" or view.blocked is not None:
            return []
        joined: list[_Member] = []
        for entry in self.kin.joined(view, self.keys):
            member = _Member(entry, joined=True)
            self.keys.add(entry.identity.key)
            self._pin(member)
            if member.pin is None and member.outcome == "gone":
                continue
            self.members.append(member)
            if member.outcome is None:
                joined.append(member)
        return joined

    def _send(self, member: _Member, signum: int, *, note: bool = True) -> None:
        pin = member.pin
        if pin is None or member.outcome is not None or pin.dead():
            return
        try:
            signals.send(pin, signum)
        except OSError as error:
            self._failed(member, error)
        except ProctuiError as error:
            member.give_up("denied", error.message)
        else:
            if note:
                member.sent = signum

    def _failed(self, member: _Member, error: OSError) -> None:
        if not isinstance(error, ProcessLookupError):
            number = error.errno if error.errno is not None else errno.EPERM
            outcome = "denied" if member.sent is None else "survivor"
            member.give_up(outcome, error.strerror or str(error), number)

    def _open(self) -> list[_Member]:
        return [one for one in self.members if one.outcome is None]

    def _ended_pids(self) -> set[int]:
        return {
            one.entry.pid
            for one in self.members
            if one.outcome == "gone" or (one.pin is not None and one.pin.dead())
        }

    def _wait(self, timeout: float) -> list[_Member]:
        pins = {id(one.pin): one for one in self._open() if one.pin is not None}
        alive = signals.wait_dead(
            [one.pin for one in pins.values() if one.pin is not None], max(0.0, timeout)
        )
        return [pins[id(pin)] for pin in alive]

    def _wait_killed(self) -> None:
        """Until all have vanished, or what is left sleeps where no signal reaches it."""
        deadline = time.monotonic() + KILL_WAIT
        stuck_until = time.monotonic() + 1.0
        while True:
            left = self._wait(min(0.25, deadline - time.monotonic()))
            now = time.monotonic()
            if not left or now >= deadline:
                return
            if now >= stuck_until and all(
                one.pin is not None and states.of(one.pin) == "D" for one in left
            ):
                return

    def _until_still(self, members: Sequence[_Member], timeout: float) -> None:
        """Until each is stopped, dead, traced or uninterruptible: none of these forks."""
        deadline = time.monotonic() + timeout
        moving = [one.pin for one in members if one.pin is not None]
        while moving:
            moving = [pin for pin in moving if states.of(pin) not in states.STILL]
            if not moving or time.monotonic() >= deadline:
                return
            time.sleep(0.001)

    def results(self) -> tuple[Result, ...]:
        return tuple(
            Result(
                one.entry.pid,
                one.entry.identity,
                one.entry.name,
                one.outcome or "survivor",
                one.errno,
                None if one.sent is None else signals.signal_name(one.sent),
                one.reason,
                one.joined,
            )
            for one in self.members
        )

    def close(self) -> None:
        for member in self.members:
            if member.pin is not None:
                member.pin.close()


def _why_alive(state: str, member: _Member) -> str:
    if state == "D":
        return "it sleeps in the kernel where no signal reaches it; KILL takes it when it wakes"
    if member.sent is None:
        return "nothing was sent"
    if member.sent == system_signals.SIGKILL:
        return f"it still lives {KILL_WAIT:g} s after KILL (a frozen control group?)"
    return f"it lives on after {signals.signal_name(member.sent)}"
