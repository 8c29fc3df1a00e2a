"""One line of JSON for each executed and each refused plan, on the disk before the first signal.

A line is written and synced *before* anything is signalled, blank where its
results will stand; they are filled in place afterwards.  So a crash in
between leaves the line, and a disk that fills up meanwhile can't stop it.
Space for coming lines is set aside beforehand (``awareness.reserve``): what
fills the disk must not become unkillable by filling it.  Where a line can be written nowhere, the kill is
refused.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proctui import paths
from proctui.awareness import files
from proctui.awareness.reserve import AUDIT_FILE, FULL, RESERVE_FILE, SPARE, set_aside
from proctui.errors import RefusedError
from proctui.killing.plan import Plan, PlanEntry
from proctui.killing.signals import signal_name
from proctui.machine import identity as identities
from proctui.units import iso_time

__all__ = ["Record", "begin", "refuse"]

_WORST_RESULT = {"outcome": "uninterruptible", "errno": 999, "signal_sent": "RTMIN+15"}
_Line = dict[str, Any]


class Record:
    """The line of one plan that is being carried out; :meth:`finish` fills in what came of it."""

    def __init__(self, path: Path, descriptor: int, start: int, size: int, line: _Line) -> None:
        self.path = path
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._line = line

    def finish(self, results: Sequence[dict[str, Any]]) -> bool:
        """Overwrite the blank line with the outcome; whether that reached the disk."""
        line = {**self._line, "state": "done", "results": [_short(one) for one in results]}
        data = _encode(line)
        while len(data) > self._size and line["results"]:
            kept = line["results"][: len(line["results"]) * 3 // 4]
            line["results_cut"] = len(results) - len(kept)
            line["results"] = kept
            data = _encode(line)
        try:
            if len(data) <= self._size:
                os.pwrite(self._descriptor, _padded(data, self._size), self._start)
            os.fsync(self._descriptor)
        except OSError:
            return False
        finally:
            os.close(self._descriptor)
        return len(data) <= self._size


def begin(plan: Plan, directory: Path | None, signum: int, grace: float) -> Record:
    """Write the line of a plan that is about to be carried out, synced; raise where it can't be.

    ``directory`` is the session's own; without one, or where it can't be
    written, the line goes to the state directory.
    """
    line = _describe(plan, signum, grace, "begun")
    troubles: list[str] = []
    for place in _places(directory):
        for shorter in (False, True):
            try:
                return _begin_in(place, _compact(line) if shorter else line)
            except (OSError, files.FileProblem) as error:
                troubles.append(f"{place}: {error}")
                if not isinstance(error, OSError) or error.errno not in FULL:
                    break
    raise RefusedError(
        "the audit line can be written nowhere, so nothing is signalled: "
        + "; ".join(dict.fromkeys(troubles)),
        "make room in the state directory, or make it writable",
    )


def refuse(plan: Plan, directory: Path | None, signum: int | None) -> Path | None:
    """Write the line of a plan that was refused as a whole; ``None`` where it can't be written."""
    line = _describe(plan, signum, None, "refused")
    for place in _places(directory):
        for shorter in (False, True):
            with contextlib.suppress(OSError, files.FileProblem):
                _write(place, _encode(_compact(line) if shorter else line), keep_open=False)
                return place / AUDIT_FILE
    return None


def _places(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
    for candidate in paths.state_candidates():
        with contextlib.suppress(OSError):
            candidate.parent.mkdir(parents=True, exist_ok=True)
            files.create_directory(candidate)
        yield candidate


def _begin_in(place: Path, line: _Line) -> Record:
    worst = [{"identity": one["identity"], **_WORST_RESULT} for one in line["targets"]]
    room = len(_encode({**line, "results": worst})) + 1024
    room += len(worst) * 16
    descriptor, start = _write(place, _padded(_encode(line), room), keep_open=True)
    return Record(place / AUDIT_FILE, descriptor, start, room, line)


def _write(place: Path, data: bytes, *, keep_open: bool) -> tuple[int, int]:
    """Append ``data`` synced; the descriptor (of the file it went to) and where it begins."""
    with files.open_directory(place) as folder, _opened(folder) as descriptor:
        set_aside(folder, descriptor, len(data))
        try:
            start = _append(descriptor, data)
            name = AUDIT_FILE
            os.fsync(descriptor)
            if start == 0:
                os.fsync(folder)
        except OSError as error:
            if error.errno not in FULL:
                raise
            name, start = RESERVE_FILE, _into_reserve(folder, data)
        set_aside(folder, descriptor, SPARE)
        if not keep_open:
            return -1, start
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), start


@contextlib.contextmanager
def _opened(folder: int) -> Iterator[int]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(AUDIT_FILE, flags, 0o600, dir_fd=folder)
    try:
        files.check_private(descriptor, AUDIT_FILE)
        yield descriptor
    finally:
        os.close(descriptor)


def _append(descriptor: int, data: bytes) -> int:
    """One append; where it begins.  A part of a line, left by a full disk, is taken back."""
    written = os.write(descriptor, data)
    end = os.lseek(descriptor, 0, os.SEEK_CUR)
    start = end - written
    if written == len(data):
        return start
    if os.fstat(descriptor).st_size == end:
        os.ftruncate(descriptor, start)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _into_reserve(folder: int, data: bytes) -> int:
    """Overwrite unused bytes of the reserve; where the line begins."""
    try:
        descriptor = os.open(RESERVE_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    try:
        files.check_private(descriptor, RESERVE_FILE)
        content = files.read_all(descriptor, SPARE)
        start = len(content.rstrip(b"\n")) + 1 if content.strip(b"\n") else 0
        if start + len(data) > len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(descriptor, data, start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return start


def _describe(plan: Plan, signum: int | None, grace: float | None, state: str) -> _Line:
    own = identities.own()
    return {
        "time": iso_time(time.time()),
        "state": state,
        "plan": plan.id,
        "session": plan.session_id,
        "scope": plan.scope,
        "signal": None if signum is None else signal_name(signum),
        "grace": grace,
        "by": {"pid": own.pid, "identity": str(own), "uid": os.getuid()},
        "stopped": plan.stopped,
        "targets": [_person(entry, with_reason=False) for entry in plan.targets],
        "refused": [_person(entry, with_reason=True) for entry in plan.refused],
    }


def _person(entry: PlanEntry, *, with_reason: bool) -> _Line:
    line: _Line = {
        "identity": str(entry.identity),
        "name": entry.name,
        "role": str(entry.role),
        "certainty": str(entry.certainty),
    }
    if with_reason:
        line["reason"] = entry.reason
    return line


def _compact(line: _Line) -> _Line:
    """The same with identities alone, so that it fits into what was set aside."""
    budget = SPARE // 2
    short = {**line, "compact": True}
    for key in ("targets", "refused"):
        kept: list[_Line] = []
        for one in line[key]:
            budget -= len(one["identity"]) + 90
            if budget < 0:
                short[f"{key}_cut"] = len(line[key]) - len(kept)
                break
            kept.append({"identity": one["identity"]})
        short[key] = kept
    return short


def _short(result: dict[str, Any]) -> _Line:
    return {key: result[key] for key in ("identity", "outcome", "errno", "signal_sent")}


def _encode(line: _Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _padded(data: bytes, size: int) -> bytes:
    """Blanks before the closing brace: still one line of JSON, ``size`` bytes long."""
    return data[:-2] + b" " * (size - len(data)) + b"}\n"
