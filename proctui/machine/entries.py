"""The stat descriptors behind the sampler: opening, proving whose they are, letting go."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from proctui.machine import facts, identity, stat
from proctui.model import Identity, Proc, ProcInfo

__all__ = ["LINE", "Entry", "Found", "StatFiles", "Syscalls", "is_native"]

LINE = 1024
"""Bytes read of a stat file: longer than any line the kernel writes."""
_FULL = (errno.EMFILE, errno.ENFILE)
_GIVEN_UP = 64


class Syscalls(NamedTuple):
    """The calls of the hot path, so that a test can count them."""

    open: Callable[[str, int], int] = os.open
    pread: Callable[[int, int, int], bytes] = os.pread
    close: Callable[[int], None] = os.close
    listdir: Callable[[str], list[str]] = os.listdir


class Found(Enum):
    PROCESS = 1
    THREAD = 2
    NOTHING = 3


class Entry:
    """What is kept of one process between ticks; ``fd`` is -1 above the budget.

    ``at``: when it was last read out of turn or changed (seconds), ``moved``:
    the tick of its last change, ``slot``: its turn among the long sleepers.
    """

    __slots__ = (
        "argv", "at", "busy", "fd", "image", "info", "line_name", "moved", "pid", "raw", "row",
        "slot", "uid", "uid_at", "used", "who",
    )  # fmt: skip

    row: Proc
    """Set by the sampler as soon as the entry is made."""

    def __init__(self, who: Identity, fd: int) -> None:
        self.who = who
        self.pid = who.pid
        self.fd = fd
        self.raw = b""
        self.line_name = b""
        self.image = b""
        self.used = 0
        self.at = 0.0
        self.busy = False
        self.moved = 0
        self.slot: int | None = None
        self.uid: int | None = None
        self.uid_at = 0
        self.info: ProcInfo | None = None
        self.argv: bytes | None = None


class StatFiles:
    """Opens the stat files below one root and holds as many as the budget allows.

    ``hidden`` collects pids whose files are refused.
    """

    def __init__(self, root: str, calls: Syscalls, budget: int) -> None:
        self._root = root
        self._calls = calls
        self.budget = budget
        self.native = is_native(root)
        self._boot_id = identity.boot_id() if self.native else _boot_id_of(root)
        self._pidns = identity.pidns() if self.native else None
        self._held: dict[int, Entry] = {}
        self.hidden: set[int] = set()

    @property
    def held(self) -> int:
        """How many descriptors are held."""
        return len(self._held)

    @property
    def tells_threads(self) -> bool:
        """Whether a thread's id is told from a process's: only pidfds do."""
        return self.native and identity.has_pidfs()

    def probe(self, pid: int) -> Found:
        """What has this number now, by the cheapest call that tells (a third of an ``open``)."""
        if not self.native:
            return Found.PROCESS if Path(self._root, str(pid)).exists() else Found.NOTHING
        try:
            os.close(os.pidfd_open(pid))
        except ProcessLookupError:
            return Found.NOTHING
        except OSError as error:
            # A thread's id is EINVAL, since Linux 6.15 ENOENT; anything else is left to open().
            return Found.THREAD if error.errno in (errno.EINVAL, errno.ENOENT) else Found.PROCESS
        return Found.PROCESS

    def meet(self, pid: int) -> tuple[Entry, bytes, stat.StatLine] | None:
        """Take up a process: its entry and first line; ``None`` if it vanished or is hidden."""
        for _attempt in (1, 2):
            try:
                return self._open(pid)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM):
                    self.hidden.add(pid)
                if error.errno not in _FULL or not self._give_up():
                    return None
        return None

    def _open(self, pid: int) -> tuple[Entry, bytes, stat.StatLine] | None:
        calls = self._calls
        fd = calls.open(f"{self._root}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = self._identify(pid, fd)
        except OSError:
            calls.close(fd)
            raise
        if found is None or len(self._held) >= self.budget:
            calls.close(fd)
            fd = -1
        if found is None:
            return None
        entry = Entry(found[0], fd)
        if fd >= 0:
            self._held[pid] = entry
        return entry, *found[1:]

    def _identify(self, pid: int, stat_fd: int) -> tuple[Identity, bytes, stat.StatLine] | None:
        """Whose stat file this is, with its line.

        The file was opened before the pidfd and answers after it, so the
        number had one owner all the while.  ``None`` for a thread or the dead.
        """
        inode = None
        if self.native:
            try:
                pidfd = os.pidfd_open(pid)
            except OSError as error:
                if error.errno in _FULL:
                    raise
                if error.errno not in (errno.ENOSYS, errno.EPERM):
                    return None
            else:
                try:
                    inode = identity.inode_of(pidfd)
                finally:
                    os.close(pidfd)
        try:
            raw = self._calls.pread(stat_fd, LINE, 0)
            line = stat.parse(raw)
        except (OSError, ValueError):
            return None
        return Identity(self._boot_id, pid, inode, self._pidns, line.start), raw, line

    def read_unheld(self, entry: Entry) -> bytes:
        """Open, read, close (or hold, where there is room by now), and prove that it is
        still the same process.

        Not even an unchanged line proves it: two children forked within one
        clock tick that do nothing differ in no byte (tried).
        """
        fd = self._calls.open(f"{self._root}/{entry.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        keep = False
        try:
            found = self._identify(entry.pid, fd)
            if found is None or not found[0].same(entry.who):
                raise ProcessLookupError(errno.ESRCH, "the pid has another owner now")
            keep = len(self._held) < self.budget
        finally:
            if not keep:
                self._calls.close(fd)
        if keep:
            entry.fd = fd
            self._held[entry.pid] = entry
        return found[1]

    def _give_up(self) -> bool:
        """No descriptor is left: let go of some and hold fewer from now on."""
        victims = list(self._held.values())[-_GIVEN_UP:]
        for entry in victims:
            self.release(entry)
        self.budget = len(self._held)
        return bool(victims)

    def release(self, entry: Entry) -> None:
        """Close an entry's descriptor, if it has one."""
        if self._held.pop(entry.pid, None) is not None:
            self._calls.close(entry.fd)
            entry.fd = -1

    def close(self) -> None:
        """Close them all."""
        for entry in list(self._held.values()):
            self.release(entry)


def is_native(root: str) -> bool:
    """Whether the pids below ``root`` are those that our own system calls understand."""
    try:
        return os.path.realpath(root) == "/proc" and os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _boot_id_of(root: str) -> str:
    raw = facts.read_bytes(f"{root}/sys/kernel/random/boot_id", 64)
    return raw.decode("ascii", "replace").strip() if raw else identity.boot_id()
