"""Knowing one file from another by what is in it, and finding what a rotation put aside.

Size alone does not tell: a log truncated and regrown past the old offset
between two looks cost GNU tail 100 of 100 lines.  So two fingerprints are
kept: the first bytes of the file, and those just before the offset.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final, NamedTuple

__all__ = ["FINGERPRINT", "Mark", "Sibling", "holds", "mark", "open_quietly", "siblings"]

FINGERPRINT: Final = 256


class Mark(NamedTuple):
    """How far a file was read: ``offset`` and the bytes at its beginning and just before."""

    offset: int
    head: bytes
    tail: bytes


def mark(fd: int, offset: int) -> Mark:
    """The fingerprints of what has been read of ``fd``."""
    low = max(0, offset - FINGERPRINT)
    return Mark(offset, os.pread(fd, min(FINGERPRINT, offset), 0), os.pread(fd, offset - low, low))


def holds(fd: int, known: Mark) -> bool:
    """Whether ``fd`` still begins with what was read from it."""
    return mark(fd, known.offset) == known


def open_quietly(path: str) -> tuple[int, os.stat_result] | None:
    """A regular file open for reading, or ``None`` for whatever reason."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        return None
    return fd, status


class Sibling(NamedTuple):
    """A file beside the log whose name begins with the log's: ``app.log.1``, ``app.log-20240501``."""

    path: str
    device: int
    inode: int
    size: int
    written: int
    head: bytes

    @property
    def key(self) -> tuple[int, int, bytes]:
        return self.device, self.inode, self.head[:32]


def siblings(path: str) -> list[Sibling]:
    """What rotations have put aside, oldest first; compressed files are left out."""
    directory, name = os.path.split(path)
    stem = name.removesuffix(".log") if name.endswith(".log") and len(name) > 4 else name
    found: list[Sibling] = []
    with contextlib.suppress(OSError), os.scandir(directory or ".") as entries:
        for entry in entries:
            if entry.name == name or not entry.name.startswith(stem):
                continue
            if entry.name.endswith((".gz", ".xz", ".bz2", ".zst")):
                continue
            opened = open_quietly(os.path.join(directory, entry.name))
            if opened is None:
                continue
            fd, status = opened
            try:
                head = os.pread(fd, FINGERPRINT, 0)
            except OSError:
                continue
            finally:
                os.close(fd)
            found.append(
                Sibling(
                    os.path.join(directory, entry.name),
                    status.st_dev,
                    status.st_ino,
                    status.st_size,
                    status.st_mtime_ns,
                    head,
                )
            )
            if len(found) >= 64:
                break
    return sorted(found, key=lambda one: one.written)
