"""What the front reads: the captured segments, passed on to its own descriptors.

Segments come as descriptors; how much is in them their size says.  A pipe
gets its bytes by splice(2) straight from the page cache, without waiting for
a slow reader; other files by sendfile(2) or plain writes.
"""

from __future__ import annotations

import errno
import os
import select
import stat

from proctui.jobs.capture import widen
from proctui.jobs.wire import Page

__all__ = ["Tap"]

_CHUNK = 1 << 20
_SMALL = 1 << 14
_NONBLOCK = 2
"""SPLICE_F_NONBLOCK."""


class Tap:
    """One stream on its way out; ``end`` is where it ends, once that is known."""

    def __init__(self, index: int, target: int, page: Page) -> None:
        self.index = index
        self.target = target
        self.page = page
        self.done = 0
        self.end: int | None = None
        self.broken: OSError | None = None
        self._segments: list[tuple[int, int, int]] = []
        mode = os.fstat(target).st_mode
        self._fifo = stat.S_ISFIFO(mode)
        self._pipe = self._fifo and hasattr(os, "splice")
        self._regular = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(target))
        self.pollable = not self._regular
        self._widened = False

    def add(self, number: int, base: int, fd: int) -> None:
        """A segment has begun (or is told again by a keeper that took over)."""
        if any(known == number for known, _, _ in self._segments) or (
            self._segments and number < self._segments[0][0]
        ):
            os.close(fd)
            return
        self._segments.append((number, base, fd))
        self._segments.sort()

    def _current(self) -> tuple[int, int]:
        """Descriptor of and position within the segment that holds the next byte."""
        while len(self._segments) > 1 and self._segments[1][1] <= self.done:
            os.close(self._segments.pop(0)[2])
        _, base, fd = self._segments[0]
        return fd, self.done - base

    def available(self) -> int:
        """Bytes that can be passed on now."""
        if not self._segments or self.broken is not None:
            return 0
        fd, offset = self._current()
        limit = os.fstat(fd).st_size - offset
        if self.end is not None:
            limit = min(limit, self.end - self.done)
        return max(0, limit)

    def finished(self) -> bool:
        return self.broken is not None or (self.end is not None and self.done >= self.end)

    def ready(self) -> bool:
        """Whether the target takes something now; a broken one says so here already."""
        if not self.pollable:
            return True
        poller = select.poll()
        poller.register(self.target, select.POLLOUT)
        return bool(poller.poll(0))

    def pass_on(self) -> int:
        """Pass on what fits; trouble with the target is kept in :attr:`broken`."""
        moved = 0
        try:
            # A splice says by itself that the pipe is full; other writes would wait.
            while (size := self.available()) and (self._pipe or self.ready()):
                fd, offset = self._current()
                step = self._write(fd, offset, min(size, _CHUNK))
                if step == 0:
                    break
                self.done += step
                moved += step
                self.page.words[Page.CONSUMED + self.index] = self.done
                if moved >= 4 * _CHUNK:
                    break
            if self._pipe and not self._widened and self.done >= _CHUNK:
                # Much is coming: fewer, larger steps.
                self._widened = True
                widen(self.target)
        except OSError as error:
            self.fail(error)
        return moved

    def fail(self, error: OSError) -> None:
        """Nobody reads it any more: the rest is not waited for."""
        self.broken = error
        self.page.words[Page.CONSUMED + self.index] = (1 << 63) - 1

    def give_up(self) -> None:
        """Nobody is left who could bring more: what is missing is lost, and not waited for."""
        if not self.finished() and not self.available():
            self.fail(OSError(errno.EIO, "a part of it never came"))

    def _write(self, fd: int, offset: int, size: int) -> int:
        if self._pipe:
            try:
                return os.splice(fd, self.target, size, offset_src=offset, flags=_NONBLOCK)
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._pipe = False
        if self._regular:
            try:
                return os.sendfile(self.target, fd, offset, size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                self._regular = False
        limit = _CHUNK if not self.pollable else 4096 if self._fifo else _SMALL
        try:
            return os.write(self.target, os.pread(fd, min(size, limit), offset))
        except BlockingIOError:
            return 0
