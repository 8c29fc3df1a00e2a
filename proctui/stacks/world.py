"""The machine at one moment, as far as the wait graph needs it; read when asked for, then kept."""

from __future__ import annotations

import os
from typing import NamedTuple

from proctui.errors import NoSuchProcess
from proctui.stacks import descriptors, kernel, memory, namespaces, remote
from proctui.stacks.calls import interpret
from proctui.stacks.descriptors import Holders
from proctui.stacks.kernel import ProcessLook, Signals, ThreadLook
from proctui.stacks.sockets import Endpoint, SocketTable
from proctui.stacks.wording import Wait
from proctui.text import sanitize

__all__ = ["FileLock", "World"]


class FileLock(NamedTuple):
    """A held lock of ``/proc/locks`` (proc_locks(5)); ``pid`` -1 for open file descriptions."""

    kind: str
    pid: int
    file: str


class World:
    """Looks and indexes shared by everything that is asked about one moment."""

    def __init__(self) -> None:
        self._looks: dict[int, ProcessLook | None] = {}
        self._glances: dict[int, ProcessLook | None] = {}
        self._waits: dict[int, Wait] = {}
        self._holders: Holders | None = None
        self._children: dict[int, list[int]] | None = None
        self._locks: list[FileLock] | None = None
        self._sockets: dict[int, SocketTable] = {}
        self._signals: dict[int, Signals | None] = {}
        self._in_flight: bool | None = None

    def look(self, pid: int) -> ProcessLook | None:
        """A process with its threads; ``None`` where it is gone."""
        if pid not in self._looks:
            try:
                self._looks[pid] = remote.look(pid)
            except NoSuchProcess:
                self._looks[pid] = None
        return self._looks[pid]

    def threads(self, pid: int) -> tuple[ThreadLook, ...]:
        """The living threads of a process."""
        look = self.look(pid)
        return tuple(t for t in look.threads if t.state not in "ZX") if look else ()

    def wait(self, thread: ThreadLook) -> Wait:
        if thread.tid not in self._waits:
            look = self.look(thread.pid)
            self._waits[thread.tid] = interpret(thread, compat=bool(look and look.compat))
        return self._waits[thread.tid]

    @property
    def holders(self) -> Holders:
        """The descriptors of the whole machine: anybody may hold a pipe's other end."""
        if self._holders is None:
            self._holders = Holders.of(
                pid for pid in descriptors.all_pids() if not self.is_kernel(pid)
            )
        return self._holders

    def blind(self, target: str | None = None) -> list[str]:
        """Who else may hold the other end, or share a thing, being out of sight: clauses.

        A pipe or socket reaches a container from outside through its first
        process or one that was sent in (whose parent we don't see).
        """
        found = self.holders.blind()
        if target is not None and not namespaces.is_initial():
            entered = [
                pid
                for pid in self.holders.holders(target)
                if pid == 1 or ((look := self._glance(pid)) is not None and look.ppid == 0)
            ]
            if entered:
                found.append("a process outside of this container holds the other end")
        return found

    def _glance(self, pid: int) -> ProcessLook | None:
        if pid not in self._glances:
            try:
                self._glances[pid] = kernel.glance(pid)
            except NoSuchProcess:
                self._glances[pid] = None
        return self._glances[pid]

    def is_kernel(self, pid: int) -> bool:
        found = self._glance(pid)
        return found is None or found.kernel

    @property
    def children(self) -> dict[int, list[int]]:
        """Parent → children, zombies too."""
        if self._children is None:
            self._children = {}
            for pid in descriptors.all_pids():
                found = self._glance(pid)
                if found is not None:
                    self._children.setdefault(found.ppid, []).append(pid)
        return self._children

    def tree(self, pid: int) -> list[int]:
        """A process and its descendants, parents first."""
        found, seen = [pid], {pid}
        for one in found:
            for child in self.children.get(one, ()):
                if child not in seen:
                    seen.add(child)
                    found.append(child)
        return found

    def endpoint(self, pid: int, target: str) -> Endpoint | None:
        """What a socket is; tables are kept by network namespace."""
        try:
            namespace = os.stat(f"/proc/{pid}/ns/net").st_ino
        except OSError:
            return None
        if namespace not in self._sockets:
            self._sockets[namespace] = SocketTable(pid)
        return self._sockets[namespace].endpoint(target)

    def signals(self, pid: int) -> Signals | None:
        if pid not in self._signals:
            self._signals[pid] = kernel.signals_of(pid)
        return self._signals[pid]

    def lock_owners(self, file: str) -> list[FileLock]:
        """Who holds locks on a file (``MAJOR:MINOR:INODE`` as /proc/locks writes it)."""
        if self._locks is None:
            self._locks = _read_locks()
        return [lock for lock in self._locks if lock.file == file]

    def openers(self, pid: int, fd: int) -> set[int]:
        """The processes that have the same file open (device and inode)."""
        try:
            wanted = os.stat(f"/proc/{pid}/fd/{fd}")
        except OSError:
            return set()
        return {
            one for one in descriptors.all_pids() if _has_open(one, (wanted.st_dev, wanted.st_ino))
        }

    def sharers(self, file: str) -> set[int]:
        """The processes that map this shared memory."""
        return memory.sharers((pid for pid in descriptors.all_pids()), file)

    def descriptors_in_flight(self) -> bool:
        """Whether some UNIX socket holds descriptors nobody has taken yet (SCM_RIGHTS, unix(7)).

        ``scm_fds`` stands in a socket's fdinfo since Linux 5.5.
        """
        if self._in_flight is None:
            self._in_flight = any(
                (descriptors.fdinfo_field(one.pid, one.fd, "scm_fds") or "0") != "0"
                for target, held in self.holders.by_target.items()
                if target.startswith("socket:[")
                for one in held[:1]
            )
        return self._in_flight

    def label(self, pid: int) -> str:
        look = self.look(pid)
        return f"{pid} ({sanitize(look.name)})" if look else str(pid)


def _has_open(pid: int, wanted: tuple[int, int]) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            there = os.stat(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if (there.st_dev, there.st_ino) == wanted:
            return True
    return False


def _read_locks() -> list[FileLock]:
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] != "->" and fields[4].lstrip("-").isdigit():
            found.append(FileLock(fields[1], int(fields[4]), fields[5]))
    return found
