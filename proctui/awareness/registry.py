"""The sessions on disk: found and judged against the kernel.

A session's directory takes its name only once it is complete, so a reader
never meets half a session.  What the files say is never believed further
than "this may be protected": whether a session lives is asked of the kernel
(its leader's identity, the POSIX lock its owner holds on ``session.json``,
what the owner publishes from memory).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from proctui import paths
from proctui.awareness import files, memory
from proctui.awareness.holding import is_locked, owner_holds
from proctui.awareness.judging import Problem, judge, recover, remembered
from proctui.awareness.session import (
    WHOLE_ID,
    Session,
    from_document,
    marker_ids,
    marker_value,
)
from proctui.awareness.writer import SessionWriter, create_session, held
from proctui.errors import NoSuchSession, RefusedError

__all__ = [
    "Problem",
    "Scan",
    "SessionWriter",
    "create_session",
    "list_sessions",
    "load_session",
    "marker_ids",
    "marker_value",
    "open_root",
    "scan",
    "session_roots",
]

_ENDED = b'"state": "ended"'
"""Stands in the file of a session that ended in order; within a string its quotes are escaped."""
_SESSION_LIMIT = 1 << 20
_said_ended: dict[str, object] = {}
"""What the files were like that said so."""
_over: dict[str, tuple[object, Session]] = {}
"""Sessions that are over, by directory, with what their files were like: that is final."""
_parsed: dict[str, tuple[object, Session]] = {}
"""What the files of the others said, and what they were like: every command looks twice."""


class Scan(NamedTuple):
    """``recovered``: files that are no help either, but of sessions whose owners live."""

    sessions: tuple[Session, ...]
    problems: tuple[Problem, ...]
    recovered: tuple[Problem, ...] = ()


def session_roots() -> list[Path]:
    """The ``sessions`` directories that may exist, best first."""
    return [candidate / "sessions" for candidate in paths.state_candidates()]


@contextlib.contextmanager
def open_root(root: Path) -> Iterator[int]:
    with (
        files.open_directory(root.parent) as state,
        files.open_directory("sessions", parent=state) as descriptor,
    ):
        yield descriptor


def scan(*, ended: bool = True) -> Scan:
    """Every session of every registry, judged now, newest first, and what can't be believed.

    What a living owner knows needs no files: spoilt or gone, they are only
    told of.  Without ``ended`` sessions that ended in order are not even parsed.
    """
    sessions: dict[str, Session] = {}
    problems: list[Problem] = []
    owners = living()
    for root in session_roots():
        try:
            with open_root(root) as descriptor:
                names = [name for name in os.listdir(descriptor) if not name.startswith(".")]
                for name in names:
                    if name in sessions:
                        continue
                    try:
                        if ended or name in owners or not _says_ended(descriptor, name, root):
                            sessions[name] = _read(root, descriptor, name, owners)
                    except FileNotFoundError:
                        if _exists(descriptor, name):
                            problems.append(Problem(root / name, name, "it has no session.json"))
                    except (files.FileProblem, ValueError, OSError) as error:
                        if _exists(descriptor, name):
                            problems.append(Problem(root / name, name, _words(error)))
        except FileNotFoundError:
            continue
        except (files.FileProblem, OSError) as error:
            if root.parent == paths.fallback_state_dir() and not _ours(root.parent):
                continue
            problems.append(Problem(root, None, _words(error)))
    recovered = _recover_all(owners, sessions, problems)
    ordered = sorted(sessions.values(), key=lambda one: -one.created.wall)
    return Scan(tuple(ordered), tuple(problems), tuple(recovered))


def _recover_all(
    owners: Mapping[str, list[int]], sessions: dict[str, Session], problems: list[Problem]
) -> list[Problem]:
    """Add what living owners know to ``sessions``; the problems that are none any more."""
    recovered = []
    for name in owners.keys() - sessions.keys():
        known = next((one for one in problems if one.session_id == name), None)
        place = next(filter(None, (_place_of(pid, name) for pid in owners[name])), None)
        if known is None and place is None:
            continue
        problem = known or Problem(Path(str(place)), name, "its files are gone")
        found = recover(problem, owners[name])
        if found is not None:
            sessions[name] = found
            recovered.append(problem)
            if known is not None:
                problems.remove(known)
    return recovered


def _place_of(pid: int, name: str) -> str | None:
    """Where the session that ``pid`` publishes had its files, if that is one of our registries."""
    told = memory.read(pid, name, "session")
    place = told.get("place") if isinstance(told, dict) else None
    return place if place in {str(root / name) for root in session_roots()} else None


def _ours(path: Path) -> bool:
    """Anyone may make the directory in /tmp that bears our name: then it is no registry of ours."""
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error)
    return str(error) or type(error).__name__


def list_sessions(ended: bool = False) -> list[Session]:
    """The live and orphaned sessions (with ``ended`` the others too), newest first."""
    return [one for one in scan(ended=ended).sessions if ended or one.state != "ended"]


def _says_ended(registry: int, name: str, root: Path) -> bool:
    with files.open_directory(name, parent=registry) as directory:
        stamp = files.stamp(directory, "session.json")
        known = _parsed.get(f"{root}/{name}")
        if known is not None and known[0] == stamp:
            return False
        if _said_ended.get(name) != stamp:
            if _ENDED not in files.read_private(directory, "session.json", _SESSION_LIMIT):
                return False
            _said_ended[name] = stamp
        return True


def living() -> dict[str, list[int]]:
    """Session id → who may be its living owner, whatever its files say.

    An owner holds a lock: on the file that stands in the registry, or, where
    a job of the same user has put another one in its place or removed it, on
    one that no longer has a name; he publishes the session then.
    """
    locks = files.locks()
    if locks is None:
        return memory.publishers(int(name) for name in os.listdir("/proc") if name.isdecimal())
    found: dict[str, list[int]] = {}
    for root in session_roots():
        with contextlib.suppress(files.FileProblem, OSError), open_root(root) as descriptor:
            for name in os.listdir(descriptor):
                with contextlib.suppress(OSError):
                    info = os.stat(f"{name}/session.json", dir_fd=descriptor, follow_symlinks=False)
                    holder = locks.pop((info.st_dev, info.st_ino), None)
                    if holder is not None:
                        found.setdefault(name, []).append(holder)
    for name, pids in memory.publishers(set(locks.values())).items():
        found.setdefault(name, []).extend(pids)
    return found


def _read(root: Path, registry: int, name: str, owners: Mapping[str, list[int]]) -> Session:
    if not WHOLE_ID.fullmatch(name):
        raise ValueError("its name is no session id")
    writer = held(name)
    if writer is not None:
        return judge(writer.session._replace(owner_alive=True))
    with files.open_directory(name, parent=registry) as directory:
        stamp, place = files.stamp(directory, "session.json"), f"{root}/{name}"
        known = _over.get(place)
        if known is not None and known[0] == stamp and name not in owners:
            return known[1]
        known = _parsed.get(place)
        if known is not None and known[0] == stamp:
            session = known[1]
        else:
            raw = files.read_private(directory, "session.json", _SESSION_LIMIT)
            session = from_document(_parse(raw), place)
            _parsed[place] = (stamp, session)
        if session.id != name:
            raise ValueError("its id is not its directory's name")
        if session.uid != os.geteuid():
            raise ValueError(f"it was made by uid {session.uid}")
        alive = owner_holds(directory, session.runner)
        if not alive and name in owners:
            found = recover(Problem(root / name, name, "its owner does not hold it"), owners[name])
            if found is not None:
                return found
        session = judge(remembered(session._replace(owner_alive=alive)))
        if session.foreign and not is_locked(directory):
            return session._replace(state="ended")
    if session.state == "ended" and not session.owner_alive:
        _over[place] = (stamp, session)
        _parsed.pop(place, None)
    return session


def reload(session: Session) -> Session:
    """The same session as it is now, without looking at the others."""
    writer = held(session.id)
    if writer is not None:
        return judge(writer.session._replace(owner_alive=True))
    if session.directory is None:
        return judge(session)
    try:
        with open_root(session.directory.parent) as registry:
            return _read(session.directory.parent, registry, session.id, living())
    except (OSError, files.FileProblem, ValueError) as error:
        problem = Problem(session.directory, session.id, _words(error))
        found = recover(problem, living().get(session.id, ()))
        return judge(session._replace(owner_alive=False)) if found is None else found


def _parse(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"session.json is no JSON: {error}") from error


def load_session(session_id: str) -> Session:
    """One session by its id, or by the beginning of it where only one begins so.

    Raises :class:`NoSuchSession`; :class:`RefusedError` where its files may
    not be believed and no living owner holds the truth.
    """
    wanted = session_id.strip().lower()
    direct = _by_whole_id(wanted) if WHOLE_ID.fullmatch(wanted) else None
    if direct is not None:
        return direct
    found = scan()
    if not re.fullmatch(r"[0-9a-f]{4,32}", wanted):
        labelled = [one for one in found.sessions if one.label == session_id.strip()]
        alive = [one for one in labelled if one.state != "ended"] or labelled
        if len(alive) == 1:
            return alive[0]
        raise NoSuchSession(
            f"no session {session_id[:80]!r}", "`proctui sessions` lists them with their ids"
        )
    fits = [one for one in found.sessions if one.id.startswith(wanted)]
    broken = [one for one in found.problems if one.session_id and one.session_id.startswith(wanted)]
    if len(fits) + len(broken) > 1:
        names = ", ".join([one.id for one in fits] + [str(one.session_id) for one in broken])
        raise NoSuchSession(f"several sessions begin with {wanted}: {names}", "give more of it")
    if fits:
        return fits[0]
    if broken:
        raise RefusedError(
            f"session {broken[0].session_id} can't be believed: {broken[0].reason}"
            " (and no living runner holds the truth)",
            f"look at {broken[0].path}; nothing is signalled on its word",
        )
    raise NoSuchSession(f"no session {wanted}", "`proctui sessions` lists them with their ids")


def _by_whole_id(session_id: str) -> Session | None:
    """The session that :func:`scan` would find first, without reading all the others.

    ``None`` where anything about it is not as it should be: a scan tells what.
    """
    owners = living()
    for root in session_roots():
        there = False
        try:
            with open_root(root) as descriptor:
                there = _exists(descriptor, session_id)
                if there:
                    return _read(root, descriptor, session_id, owners)
        except FileNotFoundError:
            if there:
                return None
        except (files.FileProblem, ValueError, OSError):
            return None
    return None
