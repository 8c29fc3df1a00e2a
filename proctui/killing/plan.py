"""What a kill would signal, what it refuses and why: frozen before anything is sent.

A plan is made from one look and holds identities, never rows or bare pids, so
that nothing that happens afterwards on a screen can turn it to another
process.  Only ``spawned`` may be a target.  ``likely`` ones only where that
very process was named and its identity confirmed (``likely_ok``); a tree or a
group never sweeps them along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from proctui.awareness.view import View
from proctui.errors import BadArgument, Changed, NoSuchProcess, RefusedError, check_pid
from proctui.killing import cgroup
from proctui.killing.pins import degraded, same
from proctui.model import Certainty, Identity, Proc, Role, Verdict

__all__ = [
    "Plan",
    "PlanEntry",
    "Scope",
    "entry_of",
    "is_whole_job",
    "make_group_plan",
    "make_job_plan",
    "make_plan",
    "make_strays_plan",
    "objection",
    "require_targets",
]

Scope = Literal["single", "tree", "group", "strays", "job"]
_LOOKS = 20
"""Looks until somebody of a populated control group is seen."""
Key = tuple[str, int, str, int | None]

_WHY_NOT = {
    Role.SELF: "this is proctui itself",
    Role.ANCESTOR: "an ancestor of proctui or of what controls a session",
    Role.PROTECTED: "protected",
    Role.BASELINE: "it was there before the session began",
    Role.UNKNOWN: "nothing shows that the session started it",
}


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One process of a plan. ``reason`` says why it is a target, or why it is refused."""

    pid: int
    identity: Identity
    name: str
    role: Role
    certainty: Certainty
    evidence: tuple[str, ...]
    unchecked: tuple[str, ...]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "identity": str(self.identity),
            "name": self.name,
            "role": str(self.role),
            "certainty": str(self.certainty),
            "evidence": list(self.evidence),
            "unchecked": list(self.unchecked),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen list; ``id`` is a digest of everything in it.

    ``stopped`` says why the whole plan is refused (a refused named target, a
    refused member of a group, a registry that can't be trusted); ``targets``
    is empty then.  ``likely_ok`` are the identity keys a person confirmed,
    ``pgids`` the groups a plan of scope ``group`` is about.
    """

    id: str
    scope: Scope
    targets: tuple[PlanEntry, ...]
    refused: tuple[PlanEntry, ...]
    named: tuple[Identity, ...]
    likely_ok: frozenset[Key]
    pgids: tuple[int, ...]
    session_id: str | None
    directory: Path | None
    boottime: float
    whole_job: bool
    stopped: str | None
    warnings: tuple[str, ...]

    def is_intact(self) -> bool:
        """Whether it still is what its id says; a copy with other targets is not."""
        return self.id == _digest(self)

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "scope": self.scope,
            "session": self.session_id,
            "targets": [entry.to_dict() for entry in self.targets],
            "refused": [entry.to_dict() for entry in self.refused],
            "stopped": self.stopped,
            "warnings": list(self.warnings),
        }


def objection(
    verdict: Verdict,
    identity: Identity,
    *,
    likely_ok: Collection[Key] = frozenset(),
) -> str | None:
    """Why a process with this verdict may not be signalled; ``None`` where it may."""
    if verdict.role is not Role.SPAWNED:
        if not verdict.evidence:
            return _WHY_NOT[verdict.role]
        if verdict.role is Role.PROTECTED and not verdict.evidence[0].startswith("protected"):
            return f"protected: {verdict.evidence[0]}"
        return verdict.evidence[0]
    if verdict.certainty is not Certainty.CERTAIN and identity.key not in likely_ok:
        return "it is only likely the session's: name this very process and confirm it" + (
            f" ({verdict.evidence[0]})" if verdict.evidence else ""
        )
    return None


def _check_request(
    targets: object, scope: object, likely_ok: Iterable[object]
) -> list[tuple[int, Identity | None]]:
    """Everything about the arguments that can be known without a system call."""
    if type(scope) is not str or scope not in ("single", "tree", "group"):
        raise BadArgument("scope must be one of single, tree, group")
    if isinstance(targets, (str, bytes)) or not isinstance(targets, Sequence):
        raise BadArgument(f"targets must be a sequence of pids, not {type(targets).__name__}")
    for key in likely_ok:
        if not isinstance(key, tuple) or len(key) != 4:
            raise BadArgument("likely_ok holds identity keys")
    wanted: list[tuple[int, Identity | None]] = []
    for target in targets:
        if type(target) is Identity:
            check_pid(target.pid, signalling=True)
            if target.inode is None and target.start_ticks is None:
                raise BadArgument("a bare pid is no identity")
            wanted.append((target.pid, target))
        else:
            wanted.append((check_pid(target, signalling=True), None))
    return wanted


def make_plan(
    look: Callable[[], View],
    targets: Sequence[int | Identity],
    *,
    scope: Scope = "single",
    likely_ok: Collection[Key] = frozenset(),
) -> Plan:
    """Plan a kill of ``targets`` from one fresh look; nothing is signalled.

    Scope ``tree`` adds the living descendants (latched orphans included),
    ``group`` all members of the targets' process groups.  One refused named
    target, or one refused member of a group, stops the whole plan; refused
    members of a tree are skipped.  Raises :class:`BadArgument` before any
    system call, :class:`NoSuchProcess`, and :class:`Changed` where a target
    was named by an identity that its pid no longer has.
    """
    wanted = _check_request(targets, scope, likely_ok)
    view = look()
    named = [_resolve(view, pid, identity) for pid, identity in wanted]
    pgids: list[int] = []
    if scope == "group":
        pgids = list(dict.fromkeys(proc.pgid for proc in named))
    return _assemble(view, named, scope, pgids, likely_ok)


def make_group_plan(look: Callable[[], View], pgid: int) -> Plan:
    """Plan a kill of all members of process group ``pgid``, whose leader may be gone.

    Raises :class:`NoSuchProcess` where the group is empty.
    """
    check_pid(pgid, signalling=True, name="pgid")
    view = look()
    if not view.group(pgid):
        raise NoSuchProcess(f"no process group {pgid}")
    return _assemble(view, [], "group", [pgid], frozenset())


def make_strays_plan(look: Callable[[], View]) -> Plan:
    """Plan the end of every stray of the session that certainly is one; likely ones are left out.

    Who becomes a stray while it is carried out joins it.
    """
    return _of_session(look, "strays", lambda view: view.strays, "a stray")


def make_job_plan(look: Callable[[], View]) -> Plan:
    """Plan the end of everything that certainly comes from the session's job; so too newcomers."""
    return _of_session(look, "job", lambda view: view.job, "of the job")


def _of_session(
    look: Callable[[], View], scope: Scope, which: Callable[[View], Collection[int]], why: str
) -> Plan:
    for _ in range(_LOOKS):
        view = look()
        certain = [
            pid for pid in sorted(which(view)) if view.verdict(pid).certainty is Certainty.CERTAIN
        ]
        # Who forks and exits all the time may stand between the lines of a listing.
        if certain or not cgroup.populated(view):
            break
    return _assemble(view, [], scope, [], frozenset(), dict.fromkeys(certain, why))


def _resolve(view: View, pid: int, identity: Identity | None) -> Proc:
    proc = view.snapshot.procs.get(pid)
    if identity is not None and proc is not None and not same(identity, proc.identity):
        raise Changed(
            f"pid {pid} is no longer process {identity}: it is {proc.identity} now",
            "look again and name the process that you mean",
        )
    if proc is None:
        raise NoSuchProcess(
            f"no process {identity or pid}", "a thread's id is not a process either"
        )
    return proc


def _assemble(
    view: View,
    named: Sequence[Proc],
    scope: Scope,
    pgids: Sequence[int],
    likely_ok: Collection[Key],
    others: Mapping[int, str] | None = None,
) -> Plan:
    named_pids = dict.fromkeys(proc.pid for proc in named)
    confirmed = frozenset(likely_ok) & {proc.identity.key for proc in named}
    why: dict[int, str] = {**dict.fromkeys(named_pids, "named"), **(others or {})}
    if scope == "tree":
        for root in named_pids:
            for pid in view.descendants(root):
                why.setdefault(pid, f"descendant of {root}")
    for pgid in pgids:
        for pid in view.group(pgid):
            why.setdefault(pid, f"member of process group {pgid}")

    targets: list[PlanEntry] = []
    refused: list[PlanEntry] = []
    stopped = view.blocked
    for pid, reason in why.items():
        proc = view.snapshot.procs.get(pid)
        if proc is None:
            continue
        verdict = view.verdict(pid)
        no = objection(
            verdict,
            proc.identity,
            likely_ok=confirmed,
        )
        if no is None and pgids and proc.pgid <= 1:
            no = "its process group can't be seen from here"
        if no is None:
            targets.append(entry_of(proc, verdict, reason))
            continue
        refused.append(entry_of(proc, verdict, no))
        if stopped is None and (pid in named_pids or scope == "group"):
            stopped = f"process {proc.identity} is refused: {no}"
    if stopped is not None:
        refused += [
            replace(entry, reason=f"the whole plan is refused: {stopped}") for entry in targets
        ]
        targets = []
    whole_job = bool(targets) and is_whole_job(view, {one.identity.key for one in targets})
    warnings = tuple(view.warnings)
    weakness = degraded()
    if weakness is not None:
        warnings = (*warnings, f"degraded: {weakness}")
    session_id = None if view.session is None else view.session.id
    plan = Plan(
        id="",
        scope=scope,
        targets=tuple(targets),
        refused=tuple(refused),
        named=tuple(proc.identity for proc in named),
        likely_ok=confirmed,
        pgids=tuple(pgids),
        session_id=session_id,
        directory=None if view.session is None else view.session.directory,
        boottime=view.snapshot.boottime,
        whole_job=whole_job,
        stopped=stopped,
        warnings=warnings,
    )
    return replace(plan, id=_digest(plan))


def is_whole_job(view: View, keys: Collection[Key]) -> bool:
    """Whether no living process of the job is missing from ``keys``."""
    for pid in view.job:
        proc = view.snapshot.procs.get(pid)
        if proc is None or proc.identity.key in keys:
            continue
        if proc.state not in ("Z", "X") or (proc.threads or 0) > 1:
            return False
    return True


def entry_of(proc: Proc, verdict: Verdict, reason: str) -> PlanEntry:
    """A process as a plan lists it."""
    return PlanEntry(
        proc.pid,
        proc.identity,
        proc.name,
        verdict.role,
        verdict.certainty,
        verdict.evidence,
        verdict.unchecked,
        reason,
    )


def _digest(plan: Plan) -> str:
    """16 hex digits over who would be signalled and refused, in which session and how far."""
    facts = [
        plan.scope,
        plan.session_id,
        plan.stopped,
        [[*entry.identity, entry.role, entry.certainty] for entry in plan.targets],
        [[*entry.identity, entry.role, entry.certainty] for entry in plan.refused],
        [list(identity) for identity in plan.named],
        sorted(map(str, plan.likely_ok)),
        plan.pgids,
        plan.whole_job,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def require_targets(plan: Plan) -> None:
    """Raise :class:`RefusedError` where the plan has refusals but nobody to signal."""
    if plan.targets or not (plan.refused or plan.stopped):
        return
    first = plan.stopped or f"process {plan.refused[0].identity} is refused: " + (
        plan.refused[0].reason
    )
    raise RefusedError(first, "only what the session started may be signalled")
