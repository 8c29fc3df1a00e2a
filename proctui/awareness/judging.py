"""What is believed of a session: the kernel's word before its owner's, the owner's before the files'."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from proctui.awareness import files, memory
from proctui.awareness.session import WHOLE_ID, Session, from_document, identity_from_list
from proctui.awareness.writer import held
from proctui.errors import ProctuiError
from proctui.machine import identity as kernel

__all__ = ["SPAWNED_LIMIT", "Problem", "judge", "recover", "remembered"]

SPAWNED_LIMIT = 64 << 20


class Problem(NamedTuple):
    """Something in the registry that may not be believed."""

    path: Path
    session_id: str | None
    reason: str


def judge(session: Session) -> Session:
    """The session with its state as the kernel has it, whatever the file says."""
    if session.boot_id != kernel.boot_id():
        return session._replace(state="ended", owner_alive=False)
    if session.pidns != kernel.pidns():
        return session._replace(foreign=True)
    if session.state == "ended" and not session.owner_alive:
        return session
    if session.leader is None:
        return session._replace(state="live" if session.owner_alive else "ended")
    if kernel.alive(session.leader):
        return session._replace(state="live")
    return session._replace(state="orphaned" if _spawned_alive(session) else "ended")


def _spawned_alive(session: Session) -> bool:
    writer = held(session.id)
    if writer is not None:
        return any(kernel.alive(entry.identity) for entry in writer.spawned())
    if session.state == "ended" and not session.owner_alive:
        return False
    entries: list[object] = []
    if session.owner_alive and session.runner is not None:
        published = memory.read(session.runner.pid, session.id, "spawned")
        if isinstance(published, list):
            entries = published
    if not entries and session.directory is not None:
        with contextlib.suppress(files.FileProblem, OSError, ValueError):
            with files.open_directory(session.directory) as directory:
                raw = files.read_private(directory, "spawned.jsonl", SPAWNED_LIMIT)
            entries = [json.loads(line) for line in raw.splitlines()]
    for entry in entries:
        with contextlib.suppress(ValueError):
            if isinstance(entry, dict) and kernel.alive(identity_from_list(entry.get("identity"))):
                return True
    return False


def remembered(session: Session) -> Session:
    """Of a living owner's session its own word counts, not the file's."""
    owner = session.runner
    if not session.owner_alive or owner is None:
        return session
    try:
        told = from_document(memory.read(owner.pid, session.id, "session"), session.directory)
    except ValueError:
        return session
    if told.id != session.id or told.runner is None or not told.runner.same(owner):
        return session
    return told._replace(owner_alive=True)


def recover(problem: Problem, pids: Iterable[int]) -> Session | None:
    """The session behind broken files, from the memory of its living owner, one of ``pids``.

    Of several that claim to be it, the one that started first: what came
    out of the job started later than its runner.
    """
    if problem.session_id is None or not WHOLE_ID.fullmatch(problem.session_id):
        return None
    claims: list[tuple[int, Session]] = []
    for pid in pids:
        with contextlib.suppress(ProctuiError, ValueError):
            identity = kernel.identify(pid)
            session = from_document(memory.read(pid, problem.session_id, "session"), problem.path)
            if (
                session.id == problem.session_id
                and session.runner is not None
                and session.runner.same(identity)
                and kernel.alive(identity)
            ):
                claims.append((identity.start_ticks or 0, session))
    if not claims:
        return None
    claims.sort(key=lambda claim: claim[0])
    return judge(claims[0][1]._replace(owner_alive=True))
