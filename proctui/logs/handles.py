"""One file under a follower's hand: what was read of it, and the line that is not finished."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final, NamedTuple

from proctui.logs.rotation import FINGERPRINT, Mark, Sibling, holds, mark, open_quietly

__all__ = ["BOM", "Batch", "OpenFile", "anew", "is_copy"]

_READ: Final = 1 << 20
_MAX_PENDING: Final = 1 << 16
BOM: Final = b"\xef\xbb\xbf"


class Batch(NamedTuple):
    """Whole lines, or a mark between them.

    ``kind``: ``lines`` (``data`` are lines, the first at byte ``offset`` of
    the file ``inode``), ``rotated``, ``truncated`` (a new beginning follows)
    or ``note`` (``note`` says what can't be read, and why).
    """

    kind: str
    data: bytes = b""
    offset: int = 0
    inode: int = 0
    note: str = ""


class OpenFile:
    """One file under our hand: how far it was read and the line that is not finished."""

    def __init__(self, fd: int, status: os.stat_result, offset: int) -> None:
        self.fd = fd
        self.device, self.inode = status.st_dev, status.st_ino
        self.offset = offset
        self.pending = b""
        self.skipping = False
        self.stamp = (-1, -1)
        self.mark: Mark = mark(fd, offset)
        self.hole = False
        self.last_data = time.monotonic()

    def same(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.device, self.inode)

    def take(self, data: bytes) -> Batch | None:
        """Bytes from ``offset`` on: the whole lines among them."""
        start = self.offset - len(self.pending)
        self.offset += len(data)
        head, tail = self.mark.head, self.mark.tail
        self.mark = Mark(
            self.offset,
            head if len(head) >= FINGERPRINT else (head + data[:FINGERPRINT])[:FINGERPRINT],
            (tail + data[-FINGERPRINT:])[-FINGERPRINT:],
        )
        if self.hole:
            start += len(data)
            data = data.lstrip(b"\0")
            start -= len(data)
            if not data:
                return None
            self.hole = False
        if self.skipping:
            cut = data.find(b"\n") + 1
            if not cut:
                return None
            self.skipping = False
            start = self.offset - len(data) + cut
            data = data[cut:]
        if start == 0 and not self.pending and data.startswith(BOM):
            start, data = len(BOM), data[len(BOM) :]
        data = self.pending + data
        cut = data.rfind(b"\n") + 1
        self.pending = data[cut:]
        lines = data[:cut]
        if len(self.pending) > _MAX_PENDING:
            lines += self.pending[:_MAX_PENDING] + b"\n"
            self.pending = b""
            self.skipping = True
        return Batch("lines", lines, start, self.inode) if lines else None

    def finish(self) -> Batch | None:
        """The unfinished last line, as a line of its own."""
        if not self.pending:
            return None
        rest, self.pending = self.pending, b""
        return Batch("lines", rest + b"\n", self.offset - len(rest), self.inode)

    def read(self, most: int) -> tuple[list[Batch], int]:
        """Up to ``most`` new bytes: (batches, how many bytes there were)."""
        batches: list[Batch] = []
        total = 0
        while total < most:
            data = os.pread(self.fd, min(_READ, most - total), self.offset)
            if not data:
                break
            if not holds(self.fd, self.mark):
                # Truncated while we read: these bytes are of another beginning.
                self.stamp = (-1, -1)
                break
            total += len(data)
            batch = self.take(data)
            if batch is not None:
                batches.append(batch)
        if total:
            self.last_data = time.monotonic()
        return batches, total

    def close(self) -> None:
        os.close(self.fd)


def anew(old: OpenFile, status: os.stat_result) -> OpenFile:
    """The same file from its new beginning.

    A writer without O_APPEND goes on at its old offset and leaves a hole of
    NULs before it, which is passed over.
    """
    fd = os.dup(old.fd)
    old.close()
    begin = 0
    with contextlib.suppress(OSError):
        begin = os.lseek(fd, 0, os.SEEK_DATA)
    new = OpenFile(fd, status, 0)
    new.hole = os.pread(fd, 1, 0) == b"\0"
    if new.hole and begin:
        new.offset = begin
        new.mark = mark(fd, begin)
    return new


def is_copy(sibling: Sibling, old: OpenFile) -> bool:
    if not old.mark.offset:
        return False
    opened = open_quietly(sibling.path)
    if opened is None:
        return True
    try:
        return holds(opened[0], old.mark)
    finally:
        os.close(opened[0])
