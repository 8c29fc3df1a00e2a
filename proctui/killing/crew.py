"""The processes of a plan while it is carried out: pinned, judged again and again, signalled."""

from __future__ import annotations

import errno
import os
import signal as system_signals
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proctui.awareness.view import View
from proctui.errors import Changed, NoSuchProcess, ProctuiError
from proctui.killing import cgroup, pins, signals, states
from proctui.killing.family import Family
from proctui.killing.plan import Plan, PlanEntry, is_whole_job, objection
from proctui.killing.report import Result
from proctui.killing.signals import Pin

__all__ = ["Crew", "Member"]

KILL_WAIT = 5.0
"""Seconds a process has to vanish after KILL (the kernel may have gigabytes to give back)."""
REAP_WAIT = 0.25
"""Seconds in which the parents of the dead may reap them before they are called zombies."""


QUIET = 4
"""Empty looks in a row that are believed, once newcomers were seen (three were not enough)."""
RESERVE = 96
"""Descriptors left to looking, to the helper and to everybody else in this program."""


@dataclass(slots=True)
class Member:
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


class Crew:
    """``vanished``: the last look missed somebody, or showed newcomers that had ended before they
    could be pinned; ``turbulent``: there ever were any; ``unfinished``: some may have got away;
    ``unlisted``: pids that were killed with the session's control group and are no members."""

    def __init__(self, plan: Plan, look: Callable[[], View]) -> None:
        self.plan = plan
        self.look = look
        self.members = [Member(entry) for entry in plan.targets]
        self.keys = {entry.identity.key for entry in plan.targets}
        self.vanished = False
        self.turbulent = False
        self.unfinished = False
        self.unlisted: set[int] = set()
        self.warnings: list[str] = []
        self._family = Family(plan)
        self._room = pins.spare_descriptors() - RESERVE
        for member in self.members:
            self._pin(member)
        # Who was gone before he was pinned may have left somebody whom no look has shown.
        self.turbulent = any(one.outcome == "gone" for one in self.members)

    def open(self) -> list[Member]:
        """Those whose outcome is still open."""
        return [one for one in self.members if one.outcome is None]

    def living(self) -> list[Member]:
        """The open ones that have not ended."""
        return self.wait(0.0)

    def judge(self, view: View) -> View:
        """Drop every open member that a fresh look does not show as killable any more."""
        spoilt = view.blocked or self._other_session(view) or self._group_spoilt(view)
        for member in self.living():
            proc = view.proc(member.entry.pid)
            if proc is None or not signals.same(member.entry.identity, proc.identity):
                reason: str | None = "it could not be judged again"
            else:
                reason = spoilt or objection(
                    view.verdict(proc.pid), proc.identity, likely_ok=self.plan.likely_ok
                )
            if reason is not None:
                kept = "denied" if member.sent is None else "survivor"
                member.give_up(kept, f"not signalled any further: {reason}")
        return view

    def _other_session(self, view: View) -> str | None:
        """A role is one session's judgement; another's says nothing about this plan."""
        now = None if view.session is None else view.session.id
        if now == self.plan.session_id:
            return None
        return f"the plan is of session {self.plan.session_id}, this look of session {now}"

    def _group_spoilt(self, view: View) -> str | None:
        """Who, since the plan was made, joined the group and may not be signalled."""
        for pgid in self.plan.pgids:
            for pid in view.group(pgid):
                proc = view.snapshot.procs[pid]
                no = objection(view.verdict(pid), proc.identity, likely_ok=self.plan.likely_ok)
                if no is not None:
                    return f"{proc.identity} is in the group now, and refused: {no}"
        return None

    def join(self, view: View) -> list[Member]:
        """Take in what the targets have forked since the plan was made."""
        self.vanished = False
        if self.plan.scope == "single" or view.blocked or self._other_session(view):
            return []
        joined: list[Member] = []
        for entry in self._family.joined(view, self.keys):
            self.turbulent = True
            member = Member(entry, joined=True)
            self.keys.add(entry.identity.key)
            self._pin(member)
            if member.outcome == "gone":
                self.vanished = True
                continue
            self.members.append(member)
            if member.outcome is None:
                joined.append(member)
        if self.holds_whole_job(view) and cgroup.unseen(view):
            self.vanished = self.turbulent = True
        return joined

    def holds_whole_job(self, view: View) -> bool:
        """Whether whoever is in the session's control group is meant, seen or not."""
        meant = self.plan.whole_job or self.plan.scope in ("strays", "job")
        return meant and is_whole_job(view, self.keys)

    @property
    def patience(self) -> int:
        """How many looks in a row must show no newcomers before that is believed."""
        return QUIET if self.turbulent else 1

    def send(self, member: Member, signum: int, *, note: bool = True) -> None:
        """Signal it unless it has ended; a failure becomes its outcome."""
        pin = member.pin
        if pin is None or member.outcome is not None or pin.dead():
            return
        try:
            signals.send(pin, signum)
        except OSError as error:
            self.failed(member, error)
        except ProctuiError as error:
            member.give_up("denied", error.message)
        else:
            if note:
                member.sent = signum

    def failed(self, member: Member, error: OSError) -> None:
        if not isinstance(error, ProcessLookupError):
            number = error.errno if error.errno is not None else errno.EPERM
            outcome = "denied" if member.sent is None else "survivor"
            member.give_up(outcome, error.strerror or str(error), number)

    def wait(self, timeout: float) -> list[Member]:
        """Until all open ones have ended, or ``timeout`` seconds; those that live."""
        by_pin = {id(one.pin): one for one in self.open() if one.pin is not None}
        held = [one.pin for one in by_pin.values() if one.pin is not None]
        return [by_pin[id(pin)] for pin in signals.wait_dead(held, max(0.0, timeout))]

    def wait_killed(self) -> None:
        """Until all have vanished, or what is left sleeps where no signal reaches it."""
        deadline = time.monotonic() + KILL_WAIT
        patience = time.monotonic() + 1.0
        while True:
            left = self.wait(min(0.25, deadline - time.monotonic()))
            now = time.monotonic()
            if not left or now >= deadline:
                return
            if now >= patience and all(one.pin and states.of(one.pin) == "D" for one in left):
                return

    def until_still(self, members: Sequence[Member], timeout: float) -> None:
        """Until each is stopped, dead, traced or deep in the kernel: none of these forks."""
        deadline = time.monotonic() + timeout
        moving = [one.pin for one in members if one.pin is not None]
        while moving:
            moving = [pin for pin in moving if states.of(pin) not in states.STILL]
            if not moving or time.monotonic() >= deadline:
                return
            time.sleep(0.001)

    def verify(self) -> None:
        """Settle every open outcome by what the pidfds say."""
        for member in self.living():
            assert member.pin is not None
            state = states.of(member.pin)
            outcome = "uninterruptible" if state == "D" else "survivor"
            member.give_up(outcome, _why_alive(state, member))
        unreaped = self._await_parents([one for one in self.open() if one.pin is not None])
        for member, parent in unreaped:
            member.give_up("zombie", f"its parent {parent} has not reaped it yet")
        for member in self.open():
            if member.pin is None:
                continue
            if member.sent is None:
                member.give_up("gone", "it ended before anything was sent")
            else:
                member.give_up("exited", None)

    def _await_parents(self, dead: Sequence[Member]) -> list[tuple[Member, int | None]]:
        """Give the parents of the dead a moment to reap them; who is left, and to whom."""
        deadline = time.monotonic() + REAP_WAIT
        pause = 0.005
        while True:
            left = [
                (one, states.parent(one.pin))
                for one in dead
                if one.pin is not None and not one.pin.reaped()
            ]
            # Our own child is reaped by whoever called us, after we have returned.
            others = [one for one, parent in left if parent != os.getpid()]
            if not others or time.monotonic() >= deadline:
                return left
            dead = [one for one, _ in left]
            time.sleep(pause)
            pause *= 2

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

    def _pin(self, member: Member) -> None:
        hold = self._room > 0
        try:
            member.pin = signals.pin(member.entry.identity, hold=hold)
            self._room -= member.pin.fd is not None
        except NoSuchProcess:
            member.give_up("gone", "it ended before anything was sent")
        except Changed as error:
            member.give_up("gone", error.message)
        except OSError as error:
            member.give_up("denied", str(error), error.errno)
        except ProctuiError as error:
            member.give_up("denied", error.message)


def _why_alive(state: str, member: Member) -> str:
    if state == "D":
        return "it sleeps in the kernel where no signal reaches it; KILL takes it when it wakes"
    if member.sent is None:
        return "nothing was sent"
    if member.sent == system_signals.SIGKILL:
        return f"it still lives {KILL_WAIT:g} s after KILL (a frozen control group?)"
    return f"it lives on after {signals.signal_name(member.sent)}"
