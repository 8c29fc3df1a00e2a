"""What stands behind a process's descriptors, and who holds the other ends.

Links and flags are read below ``/proc/PID/fd`` (proc_pid_fd(5)); nothing is
opened.  Opening another process's pipe would make us a reader or a writer of
it, and change the very thing we look at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from proctui.errors import NoSuchProcess
from proctui.stacks import kernel
from proctui.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = ["Descriptor", "Holders", "all_pids", "descriptor", "epoll_targets", "fdinfo"]


class Descriptor(NamedTuple):
    """One open descriptor; ``target`` is the link's text, for a FIFO ``fifo:[DEV:INODE]``."""

    pid: int
    fd: int
    target: str
    reads: bool
    writes: bool
    path: str

    @property
    def kind(self) -> str:
        """pipe, fifo, socket, tty, eventfd, eventpoll, pidfd, timerfd, …, file."""
        if self.target.startswith("pipe:["):
            return "pipe"
        if self.target.startswith("socket:["):
            return "socket"
        if self.target.startswith("fifo:["):
            return "fifo"
        if self.target.startswith("anon_inode:"):
            return self.target.removeprefix("anon_inode:").strip("[]")
        if self.path.startswith(("/dev/pts/", "/dev/tty", "/dev/console", "/dev/ptmx")):
            return "tty"
        return "device" if self.path.startswith("/dev/") else "file"


def descriptor(pid: int, fd: int) -> Descriptor | None:
    """Look at one descriptor; ``None`` where it is closed or may not be read."""
    link = f"/proc/{pid}/fd/{fd}"
    try:
        path = os.readlink(link)
        mode = os.lstat(link).st_mode
    except OSError:
        return None
    return Descriptor(
        pid,
        fd,
        _target(link, path),
        bool(mode & stat.S_IRUSR),
        bool(mode & stat.S_IWUSR),
        sanitize(path),
    )


def _target(link: str, path: str) -> str:
    if not path.startswith("/"):
        # A pidfs link is "pidfd:[inode]" on newer kernels, "anon_inode:[pidfd]" before.
        return "anon_inode:[pidfd]" if path.startswith("pidfd:") else path
    if not path.startswith(("/dev/", "/proc/")):
        try:
            there = os.stat(link)
        except OSError:
            return sanitize(path)
        if stat.S_ISFIFO(there.st_mode):
            return f"fifo:[{there.st_dev}:{there.st_ino}]"
    return sanitize(path)


def fdinfo(pid: int, fd: int) -> str:
    """``/proc/PID/fdinfo/FD`` (proc_pid_fdinfo(5)), empty where it can't be read."""
    try:
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def fdinfo_field(pid: int, fd: int, name: str) -> str | None:
    """One ``name: value`` line of the fdinfo."""
    for line in fdinfo(pid, fd).splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def epoll_targets(pid: int, epfd: int) -> list[Descriptor] | None:
    """What an epoll instance watches (``tfd:`` lines of its fdinfo, proc_pid_fdinfo(5)).

    ``None`` where not all of it can be told: it watches files, not numbers,
    and one whose number was closed or given to another lives on elsewhere.
    """
    text = fdinfo(pid, epfd)
    found: list[Descriptor] = []
    for line in text.splitlines():
        if not line.startswith("tfd:"):
            continue
        one = descriptor(pid, int(line.split()[1]))
        if one is None or not _is_inode(one, line):
            return None
        found.append(one)
    return found if text else None


def _is_inode(one: Descriptor, line: str) -> bool:
    """Whether a descriptor is still the file that ``ino:`` of a ``tfd:`` line names."""
    _, told, inode = line.partition("ino:")
    try:
        there = os.stat(f"/proc/{one.pid}/fd/{one.fd}").st_ino
    except OSError:
        return False
    return not told or int(inode.split()[0], 16) == there


def _others_are_hidden() -> bool:
    """Whether ``/proc`` is mounted with ``hidepid`` (proc(5)), which root sees through."""
    if os.geteuid() == 0:
        return False
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.split()[4] == "/proc"]
    except (OSError, IndexError):
        return False
    import re

    return bool(lines) and bool(
        re.search(r"hidepid=(?:[1-4]|noaccess|invisible|ptraceable)", lines[-1])
    )


def _is_zombie(pid: int) -> bool:
    try:
        return kernel.glance(pid).state in "ZX"
    except NoSuchProcess:
        return True


def all_pids() -> list[int]:
    """Every pid of our pid namespace."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Holders:
    """Who holds which pipe, FIFO, socket and eventfd, on the whole machine.

    ``unreadable`` are living processes whose descriptors may not be read: any
    of them may hold anything.
    """

    _WANTED = ("pipe:[", "socket:[", "anon_inode:[eventfd")

    def __init__(self) -> None:
        self.by_target: dict[str, list[Descriptor]] = {}
        self.unreadable: set[int] = set()
        self.scanned: set[int] = set()

    @classmethod
    def of(cls, pids: Iterable[int] | None = None) -> Holders:
        """Scan the given processes (default: all); vanished ones are left out."""
        holders = cls()
        for pid in all_pids() if pids is None else pids:
            holders.scan(pid)
        return holders

    def scan(self, pid: int) -> None:
        folder = f"/proc/{pid}/fd"
        try:
            names = os.listdir(folder)
        except PermissionError:
            # A zombie holds nothing any more, and has nothing to check a permission against.
            if not _is_zombie(pid):
                self.unreadable.add(pid)
            return
        except OSError:
            return
        self.scanned.add(pid)
        for name in names:
            link = f"{folder}/{name}"
            try:
                path = os.readlink(link)
                if path.startswith("/"):
                    target = _target(link, path) if not path.startswith("/dev/") else ""
                    if not target.startswith("fifo:["):
                        continue
                elif path.startswith(self._WANTED):
                    target = path
                else:
                    continue
                mode = os.lstat(link).st_mode
            except OSError:
                continue
            if target.startswith("anon_inode:[eventfd"):
                number = fdinfo_field(pid, int(name), "eventfd-id")
                if number is None:
                    continue
                target = f"eventfd:[{number}]"
            self.by_target.setdefault(target, []).append(
                Descriptor(
                    pid,
                    int(name),
                    target,
                    bool(mode & stat.S_IRUSR),
                    bool(mode & stat.S_IWUSR),
                    sanitize(path),
                )
            )

    def blind(self) -> list[str]:
        """Who else may hold anything, being out of sight: none or one clause."""
        if _others_are_hidden():
            return ["a process of another user, hidden from us, holds the other end"]
        if self.unreadable:
            count = len(self.unreadable)
            return [
                f"one of {count} processes whose descriptors may not be read holds the other end"
            ]
        return []

    def readers(self, target: str) -> list[int]:
        """Pids that hold a reading end, each once."""
        return sorted({d.pid for d in self.by_target.get(target, ()) if d.reads})

    def writers(self, target: str) -> list[int]:
        """Pids that hold a writing end, each once."""
        return sorted({d.pid for d in self.by_target.get(target, ()) if d.writes})

    def holders(self, target: str) -> list[int]:
        """Pids that hold any end, each once."""
        return sorted({d.pid for d in self.by_target.get(target, ())})
