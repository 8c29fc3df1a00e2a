"""What ``proctui watch PID|NAME|:PORT`` means: exactly one process, or a list of what it could be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from proctui.awareness.chains import chain
from proctui.errors import BadArgument, NoSuchProcess
from proctui.machine import identity as kernel
from proctui.machine.connections import parse_inet
from proctui.machine.source import open_source
from proctui.model import Identity, Proc, Snapshot, Source

__all__ = ["Match", "find", "listeners", "resolve"]

_PORT = re.compile(r":([0-9]{1,5})", re.ASCII)
_PID = re.compile(r"[0-9]+(?:[:@][0-9]+)?", re.ASCII)
_SHOWN = 20


class Match(NamedTuple):
    """A process that the words could mean."""

    identity: Identity
    name: str
    cmdline: str

    def __str__(self) -> str:
        return f"{self.identity.pid}  {self.cmdline or self.name}"


def resolve(text: str, source: Source | None = None) -> Identity:
    """The one process that ``text`` means.

    A pid, a ``PID:INODE``, a name (of the process, of its program, or
    anywhere in its command line; the strictest kind that fits anything
    counts) or ``:PORT`` (who listens there).  Raises :class:`NoSuchProcess`
    where nothing fits and :class:`BadArgument` with the list where several do.
    """
    if not text or text.isspace():
        raise BadArgument("what to watch is empty", "give a PID, a NAME or :PORT")
    if _PID.fullmatch(text):
        pid, wanted = kernel.parse_target(text)
        found = kernel.identify(pid)
        if wanted is not None and not (
            wanted.same(found) or (wanted.inode is None and wanted.start_ticks == found.start_ticks)
        ):
            raise NoSuchProcess(f"process {text} has ended", f"{pid} is another process now")
        return found
    own = source is None
    source = source or open_source()
    try:
        matches = find(text, source.sample(), source)
    finally:
        if own:
            source.close()
    if not matches:
        what = (
            f"nobody listens on port {text[1:]}"
            if text.startswith(":")
            else (f"no process is called {text[:80]!r}")
        )
        raise NoSuchProcess(what, "`proctui tree` shows what runs")
    if len(matches) > 1:
        lines = [f"  {str(match)[:160]}" for match in matches[:_SHOWN]]
        if len(matches) > _SHOWN:
            lines.append(f"  and {len(matches) - _SHOWN} more")
        raise BadArgument(
            f"{text[:80]!r} fits {len(matches)} processes:\n" + "\n".join(lines),
            "give the pid of one of them",
        )
    return matches[0].identity


def find(text: str, snapshot: Snapshot, source: Source) -> list[Match]:
    """Everything that a name or ``:PORT`` could mean, this program and its callers left out."""
    port = _PORT.fullmatch(text)
    if port is not None:
        number = int(port[1])
        if not 0 < number < 65536:
            raise BadArgument(f"{number} is no port", "ports go from 1 to 65535")
        pids = listeners(number, snapshot.procs)
        return [_match(snapshot.procs[pid], source) for pid in _tops(snapshot, pids)]
    own = snapshot.procs.get(os.getpid())
    skipped = {os.getpid()}
    if own is not None:
        skipped.update(proc.pid for proc in chain(snapshot.procs, own))
    others = [
        proc for proc in snapshot.procs.values() if proc.pid not in skipped and not proc.kernel
    ]
    exact = [proc for proc in others if proc.name == text]
    if exact:
        return [_match(proc, source) for proc in exact]
    rows = [(proc, _match(proc, source)) for proc in others]
    programs = [match for proc, match in rows if _is_program(source, proc, text)]
    return programs or [match for _, match in rows if text in match.cmdline]


def _is_program(source: Source, proc: Proc, text: str) -> bool:
    info = source.info(proc.identity)
    if info is None:
        return False
    words = [info.exe or "", *(info.cmdline or ())[:1]]
    return any(os.path.basename(word) == text for word in words if word)


def _match(proc: Proc, source: Source) -> Match:
    info = source.info(proc.identity)
    return Match(proc.identity, proc.name, " ".join(info.cmdline or ()) if info else "")


def listeners(port: int, pids: Iterable[int], root: str = "/proc") -> list[int]:
    """The pids that hold a socket listening on ``port`` (TCP) or bound to it (UDP).

    Tables are read per network namespace (proc_pid_net(5)); descriptors of
    other users' processes can't be read without privilege.
    """
    inodes: dict[object, set[int]] = {}
    found = []
    for pid in sorted(pids):
        try:
            namespace = os.stat(f"{root}/{pid}/ns/net").st_ino
        except OSError:
            continue
        if namespace not in inodes:
            inodes[namespace] = _listening(f"{root}/{pid}/net", port)
        if inodes[namespace] and _holds(f"{root}/{pid}/fd", inodes[namespace]):
            found.append(pid)
    return found


def _listening(directory: str, port: int) -> set[int]:
    inodes: set[int] = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            raw = Path(f"{directory}/{table}").read_bytes()
        except OSError:
            continue
        for row in parse_inet(table, raw):
            bound = row.listening or (table.startswith("udp") and row.state == "unconnected")
            if bound and row.local_port == port and row.inode:
                inodes.add(row.inode)
    return inodes


def _holds(directory: str, inodes: set[int]) -> bool:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"{directory}/{name}") in wanted:
                return True
        except OSError:
            continue
    return False


def _tops(snapshot: Snapshot, pids: list[int]) -> list[int]:
    """Of a server and the workers that inherited its socket, the server."""
    holders = set(pids)
    return [
        pid
        for pid in pids
        if not any(above.pid in holders for above in chain(snapshot.procs, snapshot.procs[pid]))
    ]
