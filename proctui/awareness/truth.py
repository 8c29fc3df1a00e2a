"""What is known about a session, and how well: from its owner's memory, else from files.

The order is: this process owns it; the living owner publishes it (sealed
memory of the process that holds the lock); the living runner answers on its
socket; the files.  Only the first three are believed; files alone give
``likely`` at most, and where they are not whole nothing may be signalled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from proctui.awareness import files, live, memory
from proctui.awareness.baseline import Baseline, Key
from proctui.awareness.entry import Entry
from proctui.awareness.judging import SPAWNED_LIMIT, Problem, recover
from proctui.awareness.registry import living, reload
from proctui.awareness.session import Session, from_document, identity_from_list
from proctui.awareness.writer import held
from proctui.errors import ProctuiError
from proctui.machine import identity as kernel
from proctui.machine import stat
from proctui.role import Certainty
from proctui.text import sanitize

__all__ = ["ADOPTED", "NAMED", "Follower", "Truth", "claims_of", "learn", "parse_entry"]


ADOPTED = "adopted by "
"""How the evidence of an adoption begins."""
NAMED = "named as the job"
"""How the evidence of what ``watch`` named begins."""
_NOBODY: Mapping[Key, Entry] = MappingProxyType({})


class Truth(NamedTuple):
    """A session with its baseline and what its owner saw.

    ``proof`` is ``own``, ``memory``, ``socket`` or ``None`` (files alone).
    ``blocked`` says why nothing may be signalled on this knowledge.
    """

    session: Session
    baseline: Baseline | None = None
    claims: Mapping[Key, Entry] = _NOBODY
    proof: str | None = None
    blocked: str | None = None
    warnings: tuple[str, ...] = ()


def parse_entry(raw: object) -> Entry:
    """One line of ``spawned.jsonl``; :class:`ValueError` for anything else."""
    if not isinstance(raw, dict):
        raise ValueError("an entry is an object")
    evidence = raw.get("evidence")
    if not isinstance(evidence, list) or not all(isinstance(one, str) for one in evidence):
        raise ValueError("an entry has a list of evidence")
    words = tuple(sanitize(one)[:400] for one in evidence[:16])
    return Entry(
        identity_from_list(raw.get("identity")), words, Certainty(str(raw.get("certainty")))
    )


def claims_of(rows: Iterable[object]) -> dict[Key, Entry]:
    """Entries by identity key; of several about one process the last counts."""
    entries = (parse_entry(row) for row in rows)
    return {entry.identity.key: entry for entry in entries}


def learn(session: Session) -> Truth:
    """Everything that can be known about ``session`` now."""
    writer = held(session.id)
    if writer is not None:
        claims = {entry.identity.key: entry for entry in writer.spawned()}
        return Truth(writer.session, writer.baseline, claims, "own")
    if session.boot_id != kernel.boot_id():
        return Truth(session, blocked="the session is of an earlier boot")
    if session.foreign:
        return Truth(
            session, blocked="the session belongs to another pid namespace: it can only be viewed"
        )
    session = _genuine(session)
    return _from_memory(session) or _from_socket(session) or _from_files(session)


def _genuine(session: Session) -> Session:
    """The session as its *first* owner has it: who took its files over came later.

    What usurps a session's files came out of its job, so below a runner,
    which is a subreaper, only the owner's ancestors have to be asked; for
    other owners, and where none lives, whoever may be it.
    """
    if session.directory is None:
        return session
    if session.owner_alive and session.runner is not None and session.kind in ("run", "demo"):
        pids = [session.runner.pid, *_above(session.runner.pid)]
    else:
        pids = living().get(session.id, [])
    found = recover(Problem(session.directory, session.id, ""), pids)
    return session if found is None else found


def _above(pid: int) -> list[int]:
    found: list[int] = []
    at = pid
    while len(found) < 256:
        try:
            with open(f"/proc/{at}/stat", "rb") as file:
                at = stat.parse(file.read(4096)).ppid
        except (OSError, ValueError):
            break
        if at <= 0 or at in found:
            break
        found.append(at)
    return found


def _believe(session: Session, document: object) -> Session:
    """The owner's own word about its session, with the state that the kernel gave."""
    told = from_document(document, session.directory)
    if told.id != session.id or told.runner is None or session.runner is None:
        raise ValueError("this is another session")
    if not told.runner.same(session.runner):
        raise ValueError("the session has another owner")
    return told._replace(state=session.state, foreign=session.foreign, owner_alive=True)


def _from_memory(session: Session) -> Truth | None:
    owner = session.runner
    if owner is None or not session.owner_alive or not kernel.alive(owner):
        return None
    try:
        told = _believe(session, memory.read(owner.pid, session.id, "session"))
        lines = memory.read_bytes(owner.pid, session.id, "baseline")
        baseline = None if lines is None else Baseline.from_bytes(lines)
        claims = {
            **_adoptions(session),
            **claims_of(memory.read(owner.pid, session.id, "spawned") or []),
        }
    except ValueError:
        return None
    if not kernel.alive(owner) or (told.baseline is not None and baseline is None):
        return None
    return Truth(told, baseline, claims, "memory")


def _adoptions(session: Session) -> dict[Key, Entry]:
    """What a person adopted into the session of an owner that answers no questions.

    It stands in a file, so it is likely at most; a runner is told instead.
    """
    if session.kind in ("run", "demo") or session.directory is None:
        return {}
    try:
        with files.open_directory(session.directory) as directory:
            rows = _lines(files.read_private(directory, "spawned.jsonl", SPAWNED_LIMIT))
        claims = claims_of(rows)
    except (OSError, files.FileProblem, ValueError, RecursionError):
        return {}
    return {
        key: entry._replace(
            certainty=Certainty.LIKELY, evidence=(*entry.evidence, "recorded in spawned.jsonl only")
        )
        for key, entry in claims.items()
        if entry.evidence[:1] and entry.evidence[0].startswith(ADOPTED)
    }


def _from_socket(session: Session) -> Truth | None:
    if session.runner is None or session.socket is None or session.runner == kernel.own():
        return None
    try:
        answer = live.ask(session, {"ask": "truth"})
        if answer.get("ok") is not True:
            return None
        told = _believe(session, answer.get("session"))
        lines = answer.get("baseline")
        baseline = Baseline.from_bytes(str(lines).encode()) if lines else None
        claims = claims_of(answer.get("spawned") or [])
    except (ProctuiError, ValueError):
        return None
    return Truth(told, baseline, claims, "socket")


def _from_files(session: Session) -> Truth:
    if session.directory is None:
        return Truth(session, blocked="the session has no files and no living owner")
    try:
        with (
            files.open_directory(session.directory.parent.parent),
            files.open_directory(session.directory.parent),
            files.open_directory(session.directory) as directory,
        ):
            baseline = None
            if session.baseline is not None:
                raw = files.read_private(directory, "baseline.jsonl", SPAWNED_LIMIT)
                baseline = Baseline.from_bytes(raw)
                if len(baseline) != session.baseline.size:
                    raise ValueError("the baseline is not the one of the session file")
            claims = claims_of(
                _lines(files.read_private(directory, "spawned.jsonl", SPAWNED_LIMIT))
            )
    except (OSError, files.FileProblem, ValueError, RecursionError) as error:
        return Truth(
            session,
            blocked=f"the registry of session {session.id} is corrupt or unreadable ({error}),"
            " and no living runner holds the truth",
        )
    return Truth(
        session,
        baseline,
        claims,
        None,
        warnings=("the session's owner is gone: what only its files say is likely, not certain",),
    )


def _lines(raw: bytes) -> list[Any]:
    if raw and not raw.endswith(b"\n"):
        raise ValueError("spawned.jsonl is cut off")
    return [json.loads(line) for line in raw.splitlines()]


class Follower:
    """Keeps what is known about another's session as fresh as its owner's memory.

    Once proven, knowledge stays: where the owner dies while we look, what we
    learnt is latched in our own memory.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self._mark = self._sign()
        self._age = 0
        self.warnings: tuple[str, ...] = truth.warnings

    def _sign(self) -> list[object]:
        """Moves when the owner published something new; without one, when the files moved."""
        session = self.truth.session
        if self.truth.proof == "memory" and session.owner_alive and session.runner is not None:
            return [memory.locate(session.runner.pid, session.id, part) for part in _PARTS]
        marks: list[object] = []
        if session.directory is not None:
            marks += [
                _stamp(session.directory / name) for name in ("spawned.jsonl", "session.json")
            ]
        return marks

    def _claims(self) -> dict[Key, Entry] | None:
        """What the owner saw, where nothing else moved: a fork a second must not cost a baseline."""
        owner = self.truth.session.runner
        if owner is None or not kernel.alive(owner):
            return None
        rows = memory.read(owner.pid, self.truth.session.id, "spawned")
        if not isinstance(rows, list) or not kernel.alive(owner):
            return None
        try:
            return claims_of(rows)
        except ValueError:
            return None

    def refresh(self, *, force: bool = False) -> Truth | None:
        """Newer knowledge, or ``None`` where there is none.

        A runner that can only be asked over its socket is asked every few
        looks, and whenever somebody decides (``force``).
        """
        mark = self._sign()
        self._age += 1
        asked = self.truth.proof == "socket" and (force or self._age >= _ASK_EVERY)
        if mark == self._mark and not asked:
            return None
        self._age = 0
        if self.truth.proof == "memory" and mark[:2] == self._mark[:2] and mark[0] is not None:
            claims = self._claims()
            if claims is not None:
                self._mark = mark
                self.truth = self.truth._replace(claims=claims)
                return self.truth
        self._mark = mark
        session = reload(self.truth.session)
        newer = learn(session)
        if newer.proof is None and self.truth.proof is not None:
            self.warnings = ("the session's owner is gone; what was learnt from it stays",)
            state = self.truth.session._replace(state=session.state, owner_alive=False)
            newer = self.truth._replace(session=state)
        else:
            self.warnings = newer.warnings
        self.truth = newer
        self._mark = self._sign()
        return newer


_PARTS = ("session", "baseline", "spawned")
_ASK_EVERY = 5


def _stamp(path: Path) -> object:
    try:
        info = path.lstat()
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_size)
