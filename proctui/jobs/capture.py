"""The job's output on its way into files: moved by the kernel, bounded, never lost.

Each stream is a chain of segments in the session's directory: ``NAME.log``
is the current one, ``NAME.00003.log`` an older one.  The bytes go from pipe
to file by splice(2) without passing through us, so that a runner killed in
between loses none: what is in the file is counted by the file's size, what
is not is still in the pipe.  A pty can't be emptied that way in one step; it
is spliced through a pipe that the keeper holds too.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import struct
import termios
from collections.abc import Callable

from proctui.jobs.libc import LIBC
from proctui.jobs.wire import Page

__all__ = ["LAG", "Sink", "Store", "in_memory", "widen"]

LAG = 8 << 20
"""Bytes that a connected front may fall behind before the runner stops reading."""
CHUNK = 1 << 20
_SEGMENTS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SPLICE_FLAGS = 3
"""SPLICE_F_MOVE | SPLICE_F_NONBLOCK."""
_F_SETPIPE_SZ = 1031
_MEMORY_FILESYSTEMS = (0x01021994, 0x858458F6)
"""tmpfs and ramfs (statfs(2))."""


def in_memory(directory_fd: int) -> bool:
    """Whether the directory lies on tmpfs: output kept there eats memory."""
    buffer = ctypes.create_string_buffer(256)
    try:
        if LIBC.fstatfs(directory_fd, buffer) != 0:
            return False
    except (OSError, AttributeError):
        return False
    return ctypes.c_long.from_buffer(buffer).value in _MEMORY_FILESYSTEMS


def widen(pipe: int) -> None:
    """Give a pipe more room than 64 KiB, where the user's share of pipe memory allows it."""
    with contextlib.suppress(OSError, ValueError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, CHUNK)


class Store:
    """Where segments are made: the session's directory and the bound on all of them, in bytes.

    ``announce`` is called with a stream whose current segment is a new one.
    """

    __slots__ = ("announce", "bound", "directory", "kept", "page", "starved")

    def __init__(
        self, directory: int, bound: int, page: Page, announce: Callable[[Sink], None]
    ) -> None:
        self.directory = directory
        self.bound = bound
        self.page = page
        self.announce = announce
        self.kept: list[tuple[str, int, int, int]] = []
        """Older segments on disk, oldest first: name, size, stream, where they end in the stream."""
        self.starved = False
        """The disk was full: output passes through memory and is not kept."""

    @property
    def segment_size(self) -> int:
        return max(self.bound // _SEGMENTS, 2 * LAG)

    def create(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self.directory)

    def open(self, name: str) -> int | None:
        try:
            return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory)
        except OSError:
            return None

    def loss(self) -> str | None:
        """What of the output is not kept, in words."""
        if self.starved:
            return "the disk was full: not all output was kept"
        if any(self.page.words[Page.CUT : Page.CUT + 2]):
            return (
                "the beginning of the output is not kept with the session, only its last"
                f" {self.bound >> 20} MB (capture_mb in the configuration; --log keeps all)"
            )
        return None

    def shrink(self, everything: bool = False) -> bool:
        """Drop the oldest segments that the bound doesn't need; whether anything was freed."""
        freed = False
        total = sum(size for _, size, _, _ in self.kept)
        while self.kept and (everything or total - self.kept[0][1] >= self.bound):
            name, size, stream, end = self.kept.pop(0)
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.directory)
            total -= size
            freed = True
            self.page.words[Page.CUT + stream] = end
        return freed


class Sink:
    """One stream: its source, its current segment, and how far it is.

    ``source`` is a nonblocking pipe end or pty master, ``through`` the two
    ends of the pipe that a pty's output takes.  ``log`` is called with the
    descriptor, offset and length of what was just written.
    """

    def __init__(
        self, store: Store, index: int, name: str, source: int, through: tuple[int, int] | None
    ) -> None:
        self.store = store
        self.index = index
        self.name = name
        self.source = source
        self.through = through
        self.open = True
        self.segment = -1
        self.number = 0
        self.base = 0
        self.size = 0
        self.log: Callable[[Sink, int, int], None] | None = None
        self._on_disk = True
        self._spliceable = hasattr(os, "splice")

    @property
    def total(self) -> int:
        """Bytes of the stream so far."""
        return self.base + self.size

    def held_back(self) -> bool:
        """Whether the front lags so far behind that nothing more may be read now."""
        words = self.store.page.words
        return bool(words[Page.FLOW]) and self.total - words[Page.CONSUMED + self.index] >= LAG

    def begin(self) -> None:
        """Make the first segment; raises :class:`OSError` where none can be made."""
        self.segment = self.store.create(f"{self.name}.log")
        self.store.announce(self)

    def resume(self) -> None:
        """Go on where a killed runner stopped: the sizes of the files say where that is."""
        words = self.store.page.words
        self.number, self.base = words[Page.SEGMENT + self.index], words[Page.BASE + self.index]
        self._list_older()
        older = self.store.open(self._older_name(self.number))
        if older is not None:
            # It was renamed, but the page doesn't know yet.
            self.segment, self.size = older, os.fstat(older).st_size
            self.store.announce(self)
            self.base, self.size, self.number = self.total, 0, self.number + 1
        current = self.store.open(f"{self.name}.log")
        if current is None:
            self._start_segment()
        else:
            self.segment, self.size = current, os.fstat(current).st_size
            self._publish()

    def _older_name(self, number: int) -> str:
        return f"{self.name}.{number:05d}.log"

    def _list_older(self) -> None:
        pattern = re.compile(re.escape(self.name) + r"\.(\d{5,})\.log")
        try:
            names = os.listdir(self.store.directory)
        except OSError:
            return
        found = sorted(
            (int(match[1]), name) for name in names if (match := pattern.fullmatch(name))
        )
        for _, name in found:
            size = os.stat(name, dir_fd=self.store.directory, follow_symlinks=False).st_size
            self.store.kept.append((name, size, self.index, self.base))

    def _publish(self) -> None:
        words = self.store.page.words
        words[Page.BASE + self.index] = self.base
        words[Page.SEGMENT + self.index] = self.number
        self.store.announce(self)

    def _rotate(self) -> None:
        """Put the current segment aside and begin the next one."""
        if self._on_disk:
            older = self._older_name(self.number)
            with contextlib.suppress(OSError):
                os.rename(
                    f"{self.name}.log",
                    older,
                    src_dir_fd=self.store.directory,
                    dst_dir_fd=self.store.directory,
                )
                self.store.kept.append((older, self.size, self.index, self.total))
        else:
            self.store.page.words[Page.CUT + self.index] = self.total
        os.close(self.segment)
        self.base, self.size, self.number = self.total, 0, self.number + 1
        self.store.shrink()
        self._start_segment()

    def _start_segment(self) -> None:
        try:
            self.segment = self.store.create(f"{self.name}.log")
            self._on_disk = True
        except OSError:
            self._use_memory()
        self._publish()

    def _use_memory(self) -> None:
        """A segment of memory: the disk is full or gone, but the front shall have its output."""
        self.segment = os.memfd_create("proctui-output", os.MFD_CLOEXEC)
        self._on_disk = False
        self.store.starved = True

    def _limit(self) -> int:
        return self.store.segment_size if self._on_disk else LAG

    def pump(self, most: int = CHUNK) -> int | None:
        """Move up to ``most`` bytes into the file: how many, 0 if none are there, None at the end."""
        if self.size >= self._limit():
            self._rotate()
        moved = -1
        while moved < 0:
            try:
                moved = self._move(min(most, CHUNK))
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno == errno.EINVAL and self._spliceable:
                    self._spliceable = False
                elif self._on_disk:
                    self._make_room(full=error.errno in _FULL)
                else:
                    raise
        if moved == 0:
            return None
        self.size += moved
        if self.log is not None:
            self.log(self, self.size - moved, moved)
        return moved

    def _make_room(self, full: bool = True) -> None:
        """The disk takes no more: older output goes first, then this segment ends in memory."""
        if not (full and self.store.shrink(everything=True)):
            self._rotate()
            if self._on_disk:
                os.close(self.segment)
                with contextlib.suppress(OSError):
                    os.unlink(f"{self.name}.log", dir_fd=self.store.directory)
                # The front has heard of the segment that was just thrown away.
                self.number += 1
                self._use_memory()
                self._publish()

    def _move(self, most: int) -> int:
        if not self._spliceable:
            data = self._read(most)
            return self._write(data)
        if self.through is None:
            return os.splice(
                self.source, self.segment, most, offset_dst=self.size, flags=_SPLICE_FLAGS
            )
        reading, writing = self.through
        waiting = pending(reading)
        if not waiting:
            try:
                waiting = os.splice(self.source, writing, min(most, 1 << 16), flags=_SPLICE_FLAGS)
            except OSError as error:
                # What a pty says when nobody has its other side open any more.
                if error.errno != errno.EIO:
                    raise
                waiting = 0
        if not waiting:
            return 0
        return os.splice(reading, self.segment, waiting, offset_dst=self.size, flags=_SPLICE_FLAGS)

    def _read(self, most: int) -> bytes:
        try:
            return os.read(self.source, most)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def _write(self, data: bytes) -> int:
        """The way without splice; a full disk's rest goes to memory, so that no byte is lost."""
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(self.segment, data[done:], self.size + done)
            except OSError as error:
                if not self._on_disk:
                    raise
                self.size += done
                data, done = data[done:], 0
                self._make_room(full=error.errno in _FULL)
        return done

    def drain(self, limit: int | None = None) -> None:
        """Take what lies in the pipe now, and no more than that where a stray goes on writing."""
        if not self.open:
            return
        left = pending(self.source) if self.through is None else 1 << 16
        if limit is not None:
            left = min(left, limit)
        while left > 0:
            moved = self.pump(left)
            if moved is None:
                self.close()
            if not moved:
                break
            left -= moved

    def close(self) -> None:
        if self.open:
            self.open = False
            os.close(self.source)


def pending(fd: int) -> int:
    """Bytes that wait in a pipe (FIONREAD, ioctl_pipe(2))."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
    except OSError:
        return 0
