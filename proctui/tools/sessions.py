"""What is watched: the sessions, and what came from the job of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proctui import paths
from proctui.model import Role
from proctui.tools.context import looking
from proctui.tools.results import ProcessRef, SessionRow, Sessions, Spawned, SpawnedProcess
from proctui.units import iso_time

if TYPE_CHECKING:
    from proctui.awareness.opening import Together
    from proctui.awareness.session import Session
    from proctui.awareness.view import View

__all__ = ["list_sessions", "list_spawned", "spawned_row", "strays_of"]


def list_sessions() -> Sessions:
    """The sessions of this user, newest first; ``state`` is what the kernel says now.

    Live and orphaned ones wherever they are recorded, ended ones where new
    sessions are recorded too.
    """
    from proctui.awareness import registry
    from proctui.awareness.opening import Together

    found = registry.scan()
    ours = _own_directory() / "sessions"
    look = Together()
    try:
        rows = [
            _row(session, look)
            for session in found.sessions
            if not _is_unborn(session) and (session.state != "ended" or _stands_in(session, ours))
        ]
    finally:
        look.end()
    result: dict[str, Any] = {"sessions": rows}
    warnings = [f"{one.path}: {one.reason}" for one in (*found.problems, *found.recovered)]
    if warnings:
        result["warnings"] = warnings
    return cast(Sessions, result)


def _stands_in(session: Session, root: Path) -> bool:
    return session.directory is not None and session.directory.parent == root


def _is_unborn(session: Session) -> bool:
    """Whether its command is about to be started; there is no job yet."""
    return session.kind in ("run", "demo") and session.leader is None


def _own_directory() -> Path:
    """The first state directory that can be written, whether it stands already or not."""
    for candidate in paths.state_candidates():
        standing = candidate
        while not standing.exists() and standing != standing.parent:
            standing = standing.parent
        if os.access(standing, os.W_OK):
            return candidate
    return paths.fallback_state_dir()


def _row(session: Session, look: Together) -> SessionRow:
    leader, strays = _leader_and_strays(session, look)
    return {
        "id": session.id,
        "label": session.label,
        "state": session.state,
        "leader": leader,
        "started": iso_time(session.created.wall),
        "parent": session.parent,
        "strays": strays,
        "foreign": session.foreign,
    }


def _leader_and_strays(session: Session, look: Together) -> tuple[ProcessRef | None, int | None]:
    """Judged in that session's own eyes; ``None`` where it can't be looked at from here."""
    identity = session.leader
    if session.foreign:  # its numbers mean other processes here, and there may be hundreds of them
        return _unseen(identity), None
    if session.state == "ended":
        return _unseen(identity), 0
    from proctui.errors import ProctuiError

    try:
        view = look.view(session)
    except ProctuiError:
        return _unseen(identity), None
    if identity is None:
        return None, len(view.strays)
    proc = view.proc(identity.pid)
    if proc is None or not proc.identity.same(identity):
        return _unseen(identity), len(view.strays)
    return {
        "pid": proc.pid,
        "identity": str(proc.identity),
        "name": proc.name,
        "role": str(view.role(proc.pid)),
    }, len(view.strays)


def _unseen(identity: Any) -> ProcessRef | None:
    if identity is None:
        return None
    return {"pid": identity.pid, "identity": str(identity), "name": "", "role": str(Role.UNKNOWN)}


def list_spawned() -> Spawned:
    """The processes that came from the session's job, strays marked."""
    with looking(once=True) as look:
        view = look()
        rows = [spawned_row(view, pid) for pid in sorted(view.job)]
    return {"session": None if view.session is None else view.session.id, "processes": rows}


def spawned_row(view: View, pid: int) -> SpawnedProcess:
    proc = view.snapshot.procs[pid]
    verdict = view.verdict(pid)
    info = view.info(pid)
    row: dict[str, Any] = {
        "pid": pid,
        "identity": str(proc.identity),
        "name": proc.name,
        "role": str(verdict.role),
        "certainty": str(verdict.certainty),
        "evidence": list(verdict.evidence),
        "unchecked": list(verdict.unchecked),
        "stray": pid in view.strays,
        "parent": view.parent(pid),
        "status": proc.state,
        "cmdline": None if info is None or info.cmdline is None else list(info.cmdline),
    }
    return cast(SpawnedProcess, row)


def strays_of(view: View) -> dict[str, Any]:
    """``strays``: spawned processes outside the live leader's tree, or after its end."""
    return {
        "session": None if view.session is None else view.session.id,
        "strays": [
            spawned_row(view, pid) for pid in sorted(view.strays) if pid in view.snapshot.procs
        ],
    }
