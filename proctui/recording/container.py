"""The file around the frames: gzip members of JSON lines, readable by ``zcat``.

Each member begins with a header line and a full frame and stands for itself,
so that damage costs a member and the oldest can be dropped.  After every
line the compressor is flushed to a byte boundary: what was written before a
crash is whole.  The last line of a recording that was ended says so.
"""

from __future__ import annotations

import json
import os
import stat as modes
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proctui.errors import AccessDenied, BadArgument, NoSuchFile, ProctuiError

__all__ = ["MAGIC", "VERSION", "Damage", "Reader", "Writer"]

MAGIC = "proctui recording"
VERSION = 1
_GZIP = b"\x1f\x8b\x08"
_WBITS = 31
_LONGEST_LINE = 64 << 20
_CHUNK = 256 * 1024


class Damage(ProctuiError):
    """Part of a recording can't be read; the rest can."""

    kind = "bad-argument"
    status = 2


class Writer:
    """Appends lines to a recording of at most ``limit`` bytes, the oldest members going first."""

    def __init__(self, path: Path, *, limit: int) -> None:
        self.path = path
        self.limit = limit
        self._members: list[int] = []
        self._fd = _create(path)
        self._size = 0
        self._packer: Any = None
        self.dropped = 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._size

    def begin(self, header: dict[str, Any]) -> None:
        """End the member that is open and begin one with this header."""
        self._end_member()
        if self._size > self.limit * 3 // 4:
            self._drop_oldest()
        self._members.append(self._size)
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _WBITS)
        self.line({"proctui": MAGIC, "version": VERSION, **header})

    def line(self, document: dict[str, Any]) -> None:
        """Write one line and push it out of the compressor."""
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"
        data = self._packer.compress(text.encode("utf-8", "surrogatepass"))
        self._write(data + self._packer.flush(zlib.Z_SYNC_FLUSH))

    def _end_member(self) -> None:
        if self._packer is not None:
            packer, self._packer = self._packer, None
            self._write(packer.flush(zlib.Z_FINISH))
            os.fsync(self._fd)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            self._size += written
            view = view[written:]

    def _drop_oldest(self) -> None:
        """Keep the newer half: copied beside, then put in place in one step."""
        keep = next(
            (at for at in self._members if self._size - at <= self.limit // 2), self._members[-1]
        )
        beside = self.path.with_name(self.path.name + ".part")
        fresh = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            at = keep
            while chunk := os.pread(self._fd, _CHUNK, at):
                os.write(fresh, chunk)
                at += len(chunk)
            os.fsync(fresh)
            beside.rename(self.path)
        except OSError:
            os.close(fresh)
            beside.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd = fresh
        self.dropped += sum(at < keep for at in self._members)
        self._members = [at - keep for at in self._members if at >= keep]
        self._size -= keep

    def close(self) -> None:
        """End the recording properly."""
        if self._fd >= 0:
            fd = self._fd
            try:
                self._end_member()
            finally:
                self._fd = -1
                os.close(fd)

    def abandon(self) -> None:
        """Close without writing anything more: the disk is full."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _create(path: Path) -> int:
    """Open for writing; an older recording is replaced, anything else is left alone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except FileNotFoundError as error:
        raise NoSuchFile(f"there is no directory {path.parent} to record into") from error
    except IsADirectoryError as error:
        raise BadArgument(f"{path} is a directory") from error
    except PermissionError as error:
        raise AccessDenied(f"{path} can't be written: {error.strerror}") from error
    except OSError as error:
        raise BadArgument(f"{path} can't be written: {error.strerror}") from error
    try:
        if not modes.S_ISREG(os.fstat(fd).st_mode):
            raise BadArgument(f"{path} is no regular file")
        if os.fstat(fd).st_size and not _is_recording(os.pread(fd, 4096, 0)):
            raise BadArgument(
                f"{path} exists and is no recording", "name another file, or remove this one"
            )
        os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is_recording(head: bytes) -> bool:
    try:
        return MAGIC.encode() in zlib.decompressobj(_WBITS).decompress(head, 64)
    except zlib.error:
        return False


class Reader:
    """Reads lines from any member on; damage is told and stepped over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = _open(path)
        self.size = os.fstat(self._fd).st_size
        first = self._next_member(0)
        if first is None:
            self.close()
            what = "is empty" if self.size == 0 else "is no recording of proctui"
            raise BadArgument(f"{path} {what}", "`proctui record -o FILE` makes one")
        self._first = first

    def lines(self, start: int = 0) -> Iterator[tuple[int, dict[str, Any]] | Damage]:
        """``(member's offset, document)`` of each line; a :class:`Damage` where some are lost."""
        at: int | None = max(start, self._first)
        if self._first and start < self._first:
            yield Damage(f"{self.path}: its beginning can't be read")
        while at is not None and at < self.size:
            begin = at
            stream = _Member(self._fd, at)
            for line in stream.lines():
                document = _parse(line)
                if document is None:
                    stream.trouble = "a line is no JSON object"
                    break
                yield begin, document
            if stream.trouble is None:
                at = stream.at
                continue
            yield Damage(f"{self.path}: a part can't be read: {stream.trouble}")
            at = self._next_member(begin + 1)

    def _next_member(self, at: int) -> int | None:
        """Where the next readable member begins, by its magic and its header."""
        while at < self.size:
            chunk = os.pread(self._fd, _CHUNK + len(_GZIP), at)
            place = chunk.find(_GZIP)
            if place < 0:
                at += _CHUNK
                continue
            if _is_recording(os.pread(self._fd, 4096, at + place)):
                return at + place
            at += place + 1
        return None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Member:
    """Unpacks one gzip member; ``trouble`` says why it stopped before the end."""

    def __init__(self, fd: int, at: int) -> None:
        self._fd = fd
        self.at = at
        self.trouble: str | None = None

    def lines(self) -> Iterator[bytes]:
        """Its lines, those before any damage included."""
        unpacker = zlib.decompressobj(_WBITS)
        pending = b""
        packed = b""
        while not unpacker.eof:
            if not packed:
                packed = os.pread(self._fd, _CHUNK, self.at)
                self.at += len(packed)
                if not packed:
                    self.trouble = "it ends in the middle"
                    return
            try:
                data = unpacker.decompress(packed, _LONGEST_LINE)
            except zlib.error:
                self.trouble = "its bytes are damaged"
                return
            packed = unpacker.unconsumed_tail
            *whole, pending = (pending + data).split(b"\n")
            yield from whole
            if len(pending) > _LONGEST_LINE:
                self.trouble = "a line is longer than any that is written"
                return
        self.at -= len(unpacker.unused_data)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchFile(f"no such file: {path}") from error
    except PermissionError as error:
        raise AccessDenied(f"{path} can't be read: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise BadArgument(f"{path} can't be read: {error}") from error
    if not modes.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadArgument(f"{path} is no regular file")
    return fd
