"""Which session is meant: the contract's rule.

The innermost live session that contains the caller, else the one live
session, else the one orphaned one.  Where several fit, whoever wants to
signal is refused and told of them.
"""

from __future__ import annotations

import contextlib
import os

from proctui.awareness import memory, registry
from proctui.awareness.session import MARKER_VARIABLE, Session, identity_from_list
from proctui.errors import ProctuiError, RefusedError
from proctui.ident import Identity
from proctui.machine import identity as kernel
from proctui.machine import stat

__all__ = ["caller_chain", "containing", "resolve_session"]


def caller_chain() -> list[Identity]:
    """This process and its ancestors, nearest first, each verified to be older than its child."""
    own = kernel.own()
    found = [own]
    seen = {own.pid}
    ppid = os.getppid()
    while ppid > 0 and ppid not in seen:
        try:
            above = kernel.identify(ppid)
            with open(f"/proc/{ppid}/stat", "rb") as file:
                line = stat.parse(file.read(4096))
        except (ProctuiError, OSError, ValueError):
            break
        if line.start != above.start_ticks or line.start > (found[-1].start_ticks or line.start):
            break
        found.append(above)
        seen.add(ppid)
        ppid = line.ppid
    return found


def resolve_session(session_id: str | None = None, *, signalling: bool = False) -> Session | None:
    """The session that is meant, ``None`` where there is none at all.

    Raises :class:`NoSuchSession` for an id that nobody has and
    :class:`RefusedError` where several fit and ``signalling`` is set, or
    where the registry can't be believed.
    """
    if session_id is not None:
        return registry.load_session(session_id)
    found = registry.scan(ended=False)
    sessions = [one for one in found.sessions if not one.foreign]
    chosen = _choose(sessions, signalling=signalling)
    if found.problems and signalling and (chosen is None or not chosen.owner_alive):
        words = "; ".join(f"{one.path}: {one.reason}" for one in found.problems[:3])
        raise RefusedError(
            f"the registry of sessions is corrupt or unreadable: {words}",
            "nothing is signalled while it can't be known what is protected; mend or remove it",
        )
    return chosen


def _choose(sessions: list[Session], *, signalling: bool) -> Session | None:
    live = [one for one in sessions if one.state == "live"]
    inside = containing(live)
    if inside:
        return inside[0]
    for group in (live, [one for one in sessions if one.state == "orphaned"]):
        if len(group) > 1 and signalling:
            names = ", ".join(f"{one.id[:12]} ({one.label})" for one in group)
            raise RefusedError(
                f"several {group[0].state} sessions fit: {names}",
                "say which one with --session ID",
            )
        if group:
            return max(group, key=lambda one: one.created.wall)
    return None


def containing(sessions: list[Session]) -> list[Session]:
    """Those that contain the caller, innermost first: by ancestry, by memory, by marker."""
    chain = caller_chain()
    depth = {identity.key: index for index, identity in enumerate(chain)}
    ranked: list[tuple[int, float, Session]] = []
    for session in sessions:
        heads = [session.leader]
        if session.kind in ("run", "demo"):
            heads += [session.runner, session.keeper]
        at = [depth[head.key] for head in heads if head is not None and head.key in depth]
        # The owner itself (a library's caller) is inside; a dashboard beside its job is not.
        if at:
            ranked.append((min(at), -session.created.wall, session))
    if not ranked:
        ranked = _by_memory(sessions, depth) or _by_marker(sessions)
    ranked.sort(key=lambda entry: entry[:2])
    return [session for _, _, session in ranked]


def _by_memory(
    sessions: list[Session], depth: dict[tuple[str, int, str, int | None], int]
) -> list[tuple[int, float, Session]]:
    """Whom a living owner saw come from its job, though its parents are gone."""
    ranked = []
    for session in sessions:
        if not session.owner_alive or session.runner is None or session.runner.key in depth:
            continue
        rows = memory.read(session.runner.pid, session.id, "spawned")
        at = []
        for row in rows if isinstance(rows, list) else []:
            with contextlib.suppress(ValueError):
                key = identity_from_list(row.get("identity") if isinstance(row, dict) else None).key
                if key in depth:
                    at.append(depth[key])
        if at:
            ranked.append((min(at), -session.created.wall, session))
    return ranked


def _by_marker(sessions: list[Session]) -> list[tuple[int, float, Session]]:
    ids = registry.marker_ids(os.environ.get(MARKER_VARIABLE, ""))
    return [
        (len(ids) - ids.index(session.id), -session.created.wall, session)
        for session in sessions
        if session.id in ids
    ]
