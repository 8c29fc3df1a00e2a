"""Which logs a process writes, best first, each with the reason; and why, where there is none."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass, field
from typing import Any, Final

from proctui.awareness import registry
from proctui.awareness.session import MARKER_VARIABLE, Session
from proctui.errors import AccessDenied, NoSuchProcess, ProctuiError, check_pid
from proctui.logs.descriptors import (
    Written,
    environment,
    family,
    name_of,
    pipe_readers,
    written_by,
)
from proctui.text import sanitize

__all__ = ["discover"]

_LOG_NAME: Final = re.compile(
    r"\.(?:log|out|err|txt|jsonl?|trace)(?:[.-]\d+)?$|(?:^|/)(?:log|logs)/", re.I
)
_NO_LOG: Final = re.compile(
    r"\.(?:db|sqlite3?|db-wal|sqlite3?-wal|db-shm|lock|pid|swp|ldb|sst|idx|pack|tmp)$|-(?:wal|journal|shm)$",
    re.I,
)
_KEEPERS: Final = frozenset(
    ("tee", "rotatelogs", "cronolog", "multilog", "svlogd", "s6-log", "tinylog", "logrotate", "pee")
)
_FILTERS: Final = frozenset(
    (
        "cat",
        "ts",
        "grep",
        "sed",
        "awk",
        "gawk",
        "mawk",
        "tr",
        "cut",
        "stdbuf",
        "jq",
        "unbuffer",
        "dd",
    )
)
_STREAMS: Final = {1: "stdout", 2: "stderr"}


@dataclass
class _Finder:
    """Collects logs (rank, entry) and notes."""

    asked: int
    found: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    piped: list[Written] = field(default_factory=list)
    captured: set[str] = field(default_factory=set)

    def who(self, pid: int) -> str:
        return f"{pid} ({sanitize(name_of(pid))})"

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def add(self, rank: int, one: Written, why: str) -> None:
        known = self.seen.get(one.id)
        if known is not None:
            if why not in known["why"] and len(known["why"]) < 400:
                known["why"] += f"; {why}"
            return
        place = _place(one)
        entry = {
            "path": sanitize(one.path),
            "pid": one.pid,
            "fd": one.fd,
            "deleted": one.deleted,
            "readable": os.access(place, os.R_OK),
            "why": why,
            "open": place,
            "size": one.size,
        }
        self.seen[one.id] = entry
        self.found.append((rank, entry))


def _place(one: Written) -> str:
    """The name to open it by: another mount namespace or a deletion leaves only the link."""
    if not one.deleted:
        with contextlib.suppress(OSError):
            status = os.stat(one.path)
            if (status.st_dev, status.st_ino) == one.id and stat.S_ISREG(status.st_mode):
                return one.path
    return one.link


def discover(pid: int, tree: bool = True) -> dict[str, Any]:
    """The logs ``pid`` (with ``tree``: and its descendants) write, and notes on what can't be read.

    ``{"logs": [{path pid fd deleted readable why open size}], "notes": [text]}``;
    ``open`` is the name to read it by.  Output captured by ``proctui run``
    comes first, then stdout and stderr, files open for appending, files named
    like logs.  Never opens another process's pipe or terminal.  Raises
    :class:`NoSuchProcess`, :class:`AccessDenied` if ``pid`` itself may not be
    looked at.
    """
    check_pid(pid)
    if not os.path.exists(f"/proc/{pid}/stat"):  # noqa: PTH110
        if os.path.isdir("/proc/self"):  # noqa: PTH112
            raise NoSuchProcess(f"no process {pid}")
        return _portable(pid)
    finder = _Finder(pid)
    for one in family(pid) if tree else [pid]:
        try:
            written = written_by(one)
        except PermissionError as error:
            if one == pid and not tree:
                raise AccessDenied(
                    f"the open files of {one} can't be read: permission denied"
                ) from error
            finder.note(f"the open files of {finder.who(one)} can't be read: permission denied")
            continue
        except OSError:
            continue
        if not written and _is_zombie(one):
            finder.note(f"{finder.who(one)} has ended: a zombie has no open files")
        _judge(finder, one, written)
    _pipes(finder)
    finder.found.sort(key=lambda item: (item[0], item[1]["pid"] != pid))
    return {"logs": [entry for _, entry in finder.found], "notes": finder.notes}


def _judge(finder: _Finder, pid: int, written: list[Written]) -> None:
    for one in written:
        stream = _STREAMS.get(one.fd)
        name = f"{stream} of {finder.who(pid)}" if stream else f"fd {one.fd} of {finder.who(pid)}"
        if one.kind == "file":
            ranked = _rank(one)
            if ranked is not None:
                rank, how = ranked
                finder.add(rank, one, name if stream else f"{name}, {how}")
        elif one.kind == "pipe":
            finder.piped.append(one)
        elif stream and one.kind == "null":
            finder.note(f"{name} goes to /dev/null: nothing of it can be read")
        elif stream and one.kind == "tty":
            if not _captured(finder, pid, name):
                finder.note(_terminal(pid, name, one))
        elif stream and one.kind == "socket":
            finder.note(_socket(pid, name, one))


def _rank(one: Written) -> tuple[int, str] | None:
    """How much a regular file looks like a log: a smaller rank is better; ``None``: not at all."""
    if one.fd in _STREAMS:
        return 1 + (one.fd == 2), "a standard stream"
    named = bool(_LOG_NAME.search(one.path))
    if _NO_LOG.search(one.path) or one.path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:")):
        return None
    if one.append:
        return 3 + (not named), "open for appending"
    if named:
        return 5, "named like a log"
    if one.write_only and one.size and one.position == one.size:
        return 6, "written to its end"
    return None


def _pipes(finder: _Finder) -> None:
    """Pipes are followed to their readers: ``tee``, ``rotatelogs`` and their like write files."""
    readers = pipe_readers({one.id for one in finder.piped})
    for one in finder.piped:
        stream = _STREAMS.get(one.fd, f"fd {one.fd}")
        name = f"{stream} of {finder.who(one.pid)}"
        others = [pid for pid in readers.get(one.id, ()) if pid != one.pid]
        named = False
        if one.fd in _STREAMS:
            named = _captured(finder, one.pid, name)
        for reader in others if not named else ():
            for file in _kept_by(reader):
                why = f"{name} is a pipe to {finder.who(reader)}, which writes this"
                finder.add(2, file, why)
                named = True
        if not named and one.fd in _STREAMS:
            end = ", ".join(finder.who(pid) for pid in others[:3])
            if end:
                finder.note(f"{name} is a pipe to {end}: reading it would steal its bytes")
            else:
                finder.note(f"{name} is a pipe whose reader can't be seen")


def _kept_by(reader: int) -> list[Written]:
    """The files into which a program at a pipe's end puts what comes, if that is its trade."""
    name = name_of(reader)
    if name not in _KEEPERS and name not in _FILTERS:
        return []
    files: list[Written] = []
    with contextlib.suppress(OSError):
        files = [one for one in written_by(reader) if one.kind == "file" and one.fd != 2]
    return files if name in _KEEPERS else [one for one in files if one.fd == 1]


def _captured(finder: _Finder, pid: int, name: str) -> bool:
    """Output that ``proctui run`` takes in stands in the session's files."""
    marker = environment(pid, MARKER_VARIABLE).get(MARKER_VARIABLE, "")
    for session_id in reversed(registry.marker_ids(marker)):
        try:
            session = registry.load_session(session_id)
        except (ProctuiError, OSError):
            continue
        if _add_capture(finder, session, pid, name):
            return True
    return False


def _add_capture(finder: _Finder, session: Session, pid: int, name: str) -> bool:
    if session.directory is None or session.capture is None:
        return False
    streams = session.extra.get("streams")
    names = (
        [one for one in streams if isinstance(one, str) and "/" not in one]
        if isinstance(streams, list | tuple)
        else []
    )
    wanted = [one for one in names if one == name.split()[0]] or names or [session.capture.stem]
    done = False
    for stream in wanted:
        path = str(session.directory / f"{stream}.log")
        if path in finder.captured:
            done = True
            continue
        try:
            status = os.stat(path)
        except OSError:
            continue
        finder.captured.add(path)
        entry = {
            "path": sanitize(path),
            "pid": pid,
            "fd": 2 if stream == "stderr" else 1,
            "deleted": False,
            "readable": os.access(path, os.R_OK),
            "why": f"{name}, captured by proctui run (session {sanitize(session.id[:8])})",
            "open": path,
            "size": status.st_size,
        }
        finder.found.append((0, entry))
        done = True
    return done


def _terminal(pid: int, name: str, one: Written) -> str:
    tmux = environment(pid, "TMUX", "TMUX_PANE")
    pane = tmux.get("TMUX_PANE", "")
    if tmux.get("TMUX") and re.fullmatch(r"%\d+", pane):
        return (
            f"{name} is the terminal {sanitize(one.path)} in tmux: tmux capture-pane -p -S -1000 "
            f"-t {pane} shows it, tmux pipe-pane -o -t {pane} 'cat >FILE' keeps what comes"
        )
    return f"{name} is the terminal {sanitize(one.path)}: what was written there is kept nowhere"


def _socket(pid: int, name: str, one: Written) -> str:
    journal = environment(pid, "JOURNAL_STREAM").get("JOURNAL_STREAM", "")
    if journal == f"{one.id[0]}:{one.id[1]}":
        return f"{name} goes to the journal: journalctl -f _PID={pid}"
    return f"{name} is a socket; if that is the journal: journalctl -f _PID={pid}"


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read(512)
    except OSError:
        return False
    return raw[raw.rindex(b")") + 2 :][:1] == b"Z"


def _portable(pid: int) -> dict[str, Any]:
    """Without ``/proc``: what psutil sees, which leaves out deleted files, pipes and terminals."""
    import psutil

    try:
        files = psutil.Process(pid).open_files()
    except psutil.NoSuchProcess as error:
        raise NoSuchProcess(f"no process {pid}") from error
    except psutil.AccessDenied as error:
        raise AccessDenied(f"the open files of {pid} can't be read: permission denied") from error
    logs = [
        {
            "path": sanitize(one.path),
            "pid": pid,
            "fd": one.fd,
            "deleted": False,
            "readable": os.access(one.path, os.R_OK),
            "why": f"open by {pid}, named like a log",
            "open": one.path,
            "size": None,
        }
        for one in files
        if _LOG_NAME.search(one.path)
    ]
    return {"logs": logs, "notes": ["pipes and terminals can't be seen on this system"]}
