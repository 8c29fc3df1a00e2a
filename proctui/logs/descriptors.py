"""What a process writes to, read from its links and ``fdinfo``; nothing is opened.

Opening another process's pipe or terminal would steal what its reader waits
for, so links, flags and positions (proc_pid_fd(5), proc_pid_fdinfo(5)) have
to tell everything.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

from proctui.machine.stat import parse

__all__ = ["Written", "environment", "family", "name_of", "pipe_readers", "written_by"]

_DELETED = " (deleted)"


class Written(NamedTuple):
    """One descriptor that is open for writing.

    ``path`` is the link's text without its ``(deleted)``; ``kind`` is
    ``file``, ``pipe``, ``socket``, ``tty``, ``null`` or ``other``; ``id`` is
    (device, inode).
    """

    pid: int
    fd: int
    kind: str
    path: str
    deleted: bool
    append: bool
    write_only: bool
    position: int
    size: int
    id: tuple[int, int]

    @property
    def link(self) -> str:
        return f"/proc/{self.pid}/fd/{self.fd}"


def written_by(pid: int) -> list[Written]:
    """Everything ``pid`` has open for writing; raises :class:`OSError` if that may not be seen."""
    found = []
    for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        with contextlib.suppress(OSError, ValueError):
            one = _look(pid, int(name))
            if one is not None:
                found.append(one)
    return found


def _look(pid: int, fd: int) -> Written | None:
    link = f"/proc/{pid}/fd/{fd}"
    if not os.lstat(link).st_mode & stat.S_IWUSR:
        return None
    target = os.readlink(link)
    status = os.stat(link)
    info = _fdinfo(pid, fd)
    flags = int(info.get("flags", "0"), 8)
    deleted = target.endswith(_DELETED) and status.st_nlink == 0
    kind = "other"
    if stat.S_ISREG(status.st_mode) and not target.startswith("/memfd:"):
        kind = "file"
    elif stat.S_ISFIFO(status.st_mode):
        kind = "pipe"
    elif stat.S_ISSOCK(status.st_mode):
        kind = "socket"
    elif target == "/dev/null":
        kind = "null"
    elif target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        kind = "tty"
    return Written(
        pid,
        fd,
        kind,
        target.removesuffix(_DELETED) if deleted else target,
        deleted,
        bool(flags & os.O_APPEND),
        flags & os.O_ACCMODE == os.O_WRONLY,
        int(info.get("pos", "0")),
        status.st_size,
        (status.st_dev, status.st_ino),
    )


def _fdinfo(pid: int, fd: int) -> dict[str, str]:
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as file:
        lines = file.read(4096).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def pipe_readers(wanted: set[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """Which processes hold the reading ends of pipes, by (device, inode)."""
    inodes = {inode: (device, inode) for device, inode in wanted}
    found: dict[tuple[int, int], list[int]] = {}
    if not wanted:
        return found
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{name}/fd"):
                link = f"/proc/{name}/fd/{fd}"
                with contextlib.suppress(OSError, ValueError):
                    target = os.readlink(link)
                    if target.startswith("pipe:["):
                        key = inodes.get(int(target[6:-1]))
                    elif target.startswith("/") and stat.S_ISFIFO(os.stat(link).st_mode):
                        status = os.stat(link)
                        key = inodes.get(status.st_ino)
                    else:
                        continue
                    if key is not None and os.lstat(link).st_mode & stat.S_IRUSR:
                        readers = found.setdefault(key, [])
                        if int(name) not in readers:
                            readers.append(int(name))
    return found


def family(pid: int) -> list[int]:
    """``pid`` and its living descendants, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                children.setdefault(parse(file.read()).ppid, []).append(int(name))
    found = [pid]
    for one in found:
        found += [child for child in sorted(children.get(one, ())) if child not in found]
    return found


def name_of(pid: int) -> str:
    """The process's own name, raw; empty where it has gone."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(64).rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def environment(pid: int, *names: str) -> dict[str, str]:
    """The named variables of the environment the process was started with, as far as readable."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            raw = file.read(1 << 20)
    except OSError:
        return {}
    pairs = (one.decode("utf-8", "replace").partition("=") for one in raw.split(b"\0") if one)
    return {key: value for key, _, value in pairs if key in names}
