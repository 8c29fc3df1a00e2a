"""The open files of one process, with mode and position (proc_pid_fd(5), proc_pid_fdinfo(5)).

Nothing is opened: the links and ``fdinfo`` tell everything.
"""

from __future__ import annotations

import os
import re
import stat as modes
from typing import Any, NamedTuple

from proctui import text
from proctui.machine.procdir import ProcDir
from proctui.machine.system import REMOTE_FILESYSTEM

__all__ = ["OpenFile", "count_files", "file_rows", "open_files", "socket_inodes"]

_INFO = re.compile(rb"^(pos|flags|mnt_id|ino):\s*(\w+)", re.M)
_FLAGS = (
    (os.O_APPEND, "append"),
    (os.O_NONBLOCK, "nonblock"),
    (os.O_CLOEXEC, "cloexec"),
    (os.O_SYNC, "sync"),
    (getattr(os, "O_DIRECT", 0), "direct"),
    (getattr(os, "O_PATH", 0), "path"),
)
_ACCESS = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}
_KINDS = (
    (modes.S_ISREG, "file"),
    (modes.S_ISDIR, "directory"),
    (modes.S_ISCHR, "character device"),
    (modes.S_ISBLK, "block device"),
    (modes.S_ISFIFO, "fifo"),
    (modes.S_ISSOCK, "socket"),
)
_DELETED = " (deleted)"
_IN_MEMORY = "/memfd:"


class OpenFile(NamedTuple):
    """One descriptor: ``mode`` is r, w or rw, ``position`` in bytes, ``kind`` in words."""

    fd: int
    path: str
    kind: str
    mode: str | None
    position: int | None
    flags: tuple[str, ...]
    deleted: bool
    size: int | None


def count_files(proc: ProcDir) -> int | None:
    """How many descriptors are open."""
    names = proc.names("fd", figure="fds")
    return None if names is None else len(names)


def socket_inodes(proc: ProcDir) -> dict[int, int] | None:
    """Socket inodes by descriptor; ``None`` where descriptors are denied."""
    targets = _targets(proc, "connections")
    if targets is None:
        return None
    sockets = {fd: link for fd, link in targets.items() if link.startswith("socket:[")}
    return {fd: int(link[8:-1]) for fd, link in sockets.items()}


def _targets(proc: ProcDir, figure: str) -> dict[int, str] | None:
    """Where every descriptor points, as the kernel gives it.

    Listing them takes no more than the directory's mode, following one
    PTRACE_MODE_READ: root without that capability gets the first alone.
    """
    names = proc.names("fd", figure=figure)
    if names is None:
        return None
    found: dict[int, str] = {}
    for number in sorted(map(int, names)):
        try:
            found[number] = os.readlink(f"fd/{number}", dir_fd=proc.fd)
        except PermissionError:
            proc.deny(figure)
            return None
        except OSError:
            continue  # closed meanwhile
    return found


def open_files(proc: ProcDir) -> list[OpenFile] | None:
    """Every descriptor in order; ``None`` where the kernel refuses them."""
    targets = _targets(proc, "files")
    if targets is None:
        return None
    remote = _remote_mounts(proc)
    return [
        _open_file(proc, fd, text.decode(os.fsencode(target)), remote)
        for fd, target in targets.items()
    ]


def _open_file(proc: ProcDir, fd: int, link: str, remote: set[int]) -> OpenFile:
    info = dict(_INFO.findall(proc.read(f"fdinfo/{fd}", limit=4096) or b""))
    flags = int(info[b"flags"], 8) if b"flags" in info else None
    kind, size, deleted = _kind(link), None, link.endswith(_DELETED)
    if kind is None:
        kind = "file"
        # Asking a dead file server for attributes would hang us.
        if int(info.get(b"mnt_id", b"-1")) not in remote:
            facts = proc.attempt(lambda: os.stat(f"fd/{fd}", dir_fd=proc.fd), None)
            if facts is not None:
                kind = next((word for test, word in _KINDS if test(facts.st_mode)), "file")
                size = facts.st_size if kind == "file" else None
                deleted = deleted and facts.st_nlink == 0
    if kind == "file" and link.startswith(_IN_MEMORY):  # it never had a name to lose
        kind, deleted, link = "memfd", False, link.removesuffix(_DELETED)
    return OpenFile(
        fd,
        link.removesuffix(_DELETED) if deleted else link,
        kind,
        None if flags is None else _ACCESS.get(flags & os.O_ACCMODE),
        int(info[b"pos"]) if b"pos" in info else None,
        () if flags is None else tuple(word for bit, word in _FLAGS if bit and flags & bit == bit),
        deleted,
        size,
    )


def _kind(link: str) -> str | None:
    """What a link that is no path stands for: pipe, socket, eventfd, epoll, …"""
    if link.startswith("/"):
        return None
    head, _, rest = link.partition(":")
    if head == "anon_inode":
        return rest.strip("[]").removeprefix("/") or "anonymous"
    return head


def _remote_mounts(proc: ProcDir) -> set[int]:
    """Mount ids of network and user-space file systems in the process's own view."""
    raw = proc.read("mountinfo", limit=1 << 22) or b""
    found: set[int] = set()
    for line in raw.decode("utf-8", "replace").splitlines():
        front, _, back = line.partition(" - ")
        if REMOTE_FILESYSTEM.match(back.split(" ", 1)[0]):
            found.add(int(front.split(" ", 1)[0]))
    return found


def file_rows(files: list[OpenFile]) -> list[dict[str, Any]]:
    """As a result shows them."""
    return [
        {**one._asdict(), "flags": list(one.flags), "path": text.sanitize(one.path)}
        for one in files
    ]
