"""Private files that others of the same machine can't turn against us.

Everything is relative to a directory descriptor whose owner and mode were
checked after it was opened, symbolic links are never followed at the last
step, a new content takes its name by rename only once it is on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FileProblem",
    "append",
    "check_private",
    "create_directory",
    "lock_holder",
    "locks",
    "open_directory",
    "open_locked_replacement",
    "read_private",
    "stamp",
    "write_atomic",
]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


_LOCK_START = int.from_bytes(b"proc")
"""The byte of a file that its owner locks: who lists all locks tells ours from others by it."""


class FileProblem(Exception):
    """A file or directory that may not be trusted, and why."""


def _check(info: os.stat_result, what: str, *, directory: bool = False) -> None:
    if directory:
        if not stat.S_ISDIR(info.st_mode):
            raise FileProblem(f"{what} is no directory")
    elif not stat.S_ISREG(info.st_mode):
        raise FileProblem(f"{what} is no regular file")
    elif info.st_nlink != 1:
        raise FileProblem(f"{what} has {info.st_nlink} names (hard links)")
    if info.st_uid != os.geteuid():
        raise FileProblem(f"{what} belongs to uid {info.st_uid}, not to {os.geteuid()}")
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise FileProblem(f"{what} is open to others (mode {stat.S_IMODE(info.st_mode):04o})")


def check_private(descriptor: int, what: str) -> None:
    """Raise :class:`FileProblem` unless the open file is regular, ours alone, with one name."""
    _check(os.fstat(descriptor), what)


@contextlib.contextmanager
def open_directory(path: Path | str, *, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a directory that is ours alone (0700, no symbolic link).

    Raises :class:`FileProblem` where it is not, :class:`OSError` where it
    can't be opened at all.
    """
    try:
        descriptor = os.open(path, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileProblem(f"{path} is a symbolic link or no directory") from error
        raise
    try:
        _check(os.fstat(descriptor), str(path), directory=True)
        yield descriptor
    finally:
        os.close(descriptor)


def create_directory(path: Path | str, *, parent: int | None = None) -> None:
    """Make a directory 0700 unless it stands; whoever opens it checks whose it is."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700, dir_fd=parent)


def read_private(directory: int, name: str, limit: int) -> bytes:
    """The content of a regular file of ours with one name, 0600, of at most ``limit`` bytes."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise FileProblem(f"{name} is a symbolic link or no file") from error
        raise
    try:
        info = os.fstat(descriptor)
        _check(info, name)
        if info.st_size > limit:
            raise FileProblem(f"{name} is larger than {limit} bytes")
        return read_all(descriptor, limit)
    finally:
        os.close(descriptor)


def stamp(directory: int, name: str) -> tuple[int, ...]:
    """Moves with every change of the file: of its content, its name's owner, its mode."""
    info = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return (
        info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode,
        info.st_uid, info.st_nlink,
    )  # fmt: skip


def read_all(descriptor: int, limit: int) -> bytes:
    """At most ``limit`` bytes from the file's beginning, whatever its offset."""
    chunks: list[bytes] = []
    offset = 0
    while offset <= limit:
        chunk = os.pread(descriptor, min(1 << 20, limit + 1 - offset), offset)
        if not chunk:
            break
        chunks.append(chunk)
        offset += len(chunk)
    if offset > limit:
        raise FileProblem(f"a file is larger than {limit} bytes")
    return b"".join(chunks)


def write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def open_locked_replacement(
    directory: int, name: str, data: bytes, *, lock: bool, sync: bool = True
) -> int:
    """Replace ``name`` by ``data`` and return the new file's open descriptor.

    Without ``sync`` it is there at once, but only later on the disk.

    With ``lock`` the new file carries our POSIX lock before it takes the
    name, so that there is no moment in which nobody holds it.  The caller
    closes the descriptor (and loses the lock with it: fcntl_locking(2)).
    """
    temporary = f".{name}.{os.getpid()}.{os.urandom(6).hex()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        os.fchmod(descriptor, 0o600)
        write_all(descriptor, data)
        if sync:
            os.fsync(descriptor)
        if lock:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCK_START)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    if sync:
        with contextlib.suppress(OSError):
            os.fsync(directory)
    return descriptor


def write_atomic(directory: int, name: str, data: bytes, *, sync: bool = True) -> None:
    """Replace ``name`` by ``data``: all of it or none of it, 0600, on the disk."""
    os.close(open_locked_replacement(directory, name, data, lock=False, sync=sync))


def append(directory: int, name: str, data: bytes) -> None:
    """Append in one write to a file of ours, made 0600 where it is missing."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise FileProblem(f"{name} is a symbolic link or no file") from error
        raise
    try:
        _check(os.fstat(descriptor), name)
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def locks() -> dict[tuple[int, int], int] | None:
    """Who holds the lock of an owner on which file, by device and inode (proc_locks(5)).

    ``None`` where nobody lists locks.
    """
    try:
        with open("/proc/locks", "rb") as file:
            rows = [line.split() for line in file]
    except OSError:
        return None
    found = {}
    ours = str(_LOCK_START).encode()
    for row in rows:
        if len(row) > 6 and row[1] == b"POSIX" and row[6] == ours and int(row[4]) > 0:
            major, minor, inode = row[5].split(b":")
            found[os.makedev(int(major, 16), int(minor, 16)), int(inode)] = int(row[4])
    return found


def lock_holder(descriptor: int) -> int | None:
    """The pid that holds an owner's lock on the file, ``None`` for nobody (F_GETLK, fcntl(2)).

    Our own lock is not seen: POSIX locks of one process never conflict.  0
    is a holder in another pid namespace.
    """
    if sys.platform == "darwin":
        layout, order = "@qqihh", ("start", "len", "pid", "type", "whence")
    else:
        layout, order = "@hhqqi4x", ("type", "whence", "start", "len", "pid")
    asked = {"start": _LOCK_START, "len": 1, "pid": 0, "type": fcntl.F_WRLCK, "whence": os.SEEK_SET}
    packed = struct.pack(layout, *(asked[key] for key in order))
    answer = dict(
        zip(
            order,
            struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, packed)),
            strict=True,
        )
    )
    return None if answer["type"] == fcntl.F_UNLCK else max(0, answer["pid"])
