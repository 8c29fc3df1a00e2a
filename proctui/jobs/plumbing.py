"""The pipes and the pty between a job and us, and who shares them.

What the caller's three descriptors are decides what the job gets for them,
so that ``isatty`` and the order of mixed output are as without proctui.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import sys
import termios
from typing import NamedTuple

from proctui.jobs.capture import widen
from proctui.jobs.libc import LIBC
from proctui.jobs.options import Options
from proctui.jobs.start import CLOSED, Stdio

__all__ = ["Plumbing", "Stream", "lay", "set_size", "size_of"]

_KCMP_FILE = 0
_SYS_KCMP = {"x86_64": 312, "aarch64": 272}


class Stream(NamedTuple):
    """One stream of output: its name, the end we read, and for a pty the pipe it goes through."""

    name: str
    source: int
    through: tuple[int, int] | None = None


class Plumbing(NamedTuple):
    """All descriptors of one job; ``stdio`` are the job's ends.

    ``targets`` are the descriptors of the front that the streams are passed
    on to, in the order of ``streams``.
    """

    stdio: Stdio
    streams: list[Stream]
    targets: tuple[int, ...]
    master: int = CLOSED

    def leaving_closed(self, numbers: frozenset[int]) -> Plumbing:
        """The same with nothing for these of the job's first three descriptors."""
        names = [name for number, name in enumerate(Stdio._fields) if number in numbers]
        stdio = self.stdio._replace(**dict.fromkeys(names, CLOSED))
        for fd in set(self.stdio) - set(stdio) - {0, 1, 2}:
            os.close(fd)
        return self._replace(stdio=stdio)

    def close_job_ends(self) -> None:
        """Close what only the job may hold; whoever keeps one hides its end of file."""
        for fd in set(self.stdio) - {CLOSED, 0, 1, 2}:
            with contextlib.suppress(OSError):
                os.close(fd)


def ensure_stdio() -> frozenset[int]:
    """Open ``/dev/null`` on whichever of 0, 1, 2 is closed, before anything else lands there.

    Returns those that our caller had closed: Python has no stream for them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            fd = os.open(os.devnull, os.O_RDWR)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return frozenset(number for number, stream in enumerate(streams) if stream is None)


def same_file(one: int, two: int) -> bool:
    """Whether two descriptors share one open file description (kcmp(2), KCMP_FILE)."""
    number = _SYS_KCMP.get(os.uname().machine)
    if number is not None and sys.platform == "linux":
        own = os.getpid()
        answer = LIBC.syscall(
            ctypes.c_long(number), own, own, _KCMP_FILE, ctypes.c_ulong(one), ctypes.c_ulong(two)
        )
        if answer >= 0:
            return bool(answer == 0)
    first, second = os.fstat(one), os.fstat(two)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def wants_pty(options: Options) -> bool:
    if options.pty is not None:
        return options.pty
    return options.dashboard or (options.front and os.isatty(1))


def lay(options: Options, closed: frozenset[int] = frozenset()) -> Plumbing:
    """Make the pipes or the pty for a job that is about to start.

    ``closed``: which of 0, 1, 2 our caller had closed; so they are in the job, if a front
    stands in for it.
    """
    laid = _lay(options)
    if options.front and not options.dashboard:
        return laid.leaving_closed(closed)
    return laid


def _lay(options: Options) -> Plumbing:
    empty = options.dashboard or not options.front
    stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if empty else 0
    if wants_pty(options):
        return _with_pty(options, stdin, empty)
    if options.merge or empty or same_file(1, 2):
        reading, writing = _pipe()
        stream = Stream("output", reading)
        return Plumbing(Stdio(stdin, writing, writing, CLOSED), [stream], (1,))
    out, err = _pipe(), _pipe()
    streams = [Stream("stdout", out[0]), Stream("stderr", err[0])]
    return Plumbing(Stdio(stdin, out[1], err[1], CLOSED), streams, (1, 2))


def _with_pty(options: Options, stdin: int, empty: bool) -> Plumbing:
    """A pty for each of the three that is a terminal in our hands too."""
    master, slave = os.openpty()
    _dress(slave, options.dashboard)
    os.set_blocking(master, False)
    through = _pipe(nonblocking=False)
    streams = [Stream("output", master, through)]
    stderr = slave
    targets: tuple[int, ...] = (1,)
    if not empty and not os.isatty(2) and os.isatty(1):
        reading, writing = _pipe()
        streams.append(Stream("stderr", reading))
        stderr, targets = writing, (1, 2)
    if not empty and os.isatty(0):
        stdin = slave
    return Plumbing(Stdio(stdin, slave, stderr, slave), streams, targets, master)


def _pipe(nonblocking: bool = True) -> tuple[int, int]:
    reading, writing = os.pipe()
    widen(reading)
    if nonblocking:
        # Only our end: the job's writes block as with any pipe.
        os.set_blocking(reading, False)
    return reading, writing


def _dress(slave: int, dashboard: bool) -> None:
    """Give the pty our terminal's settings and size; ONLCR off, it adds ``\\r`` to what is captured."""
    terminal = next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)
    settings = termios.tcgetattr(slave if terminal is None or dashboard else terminal)
    settings[1] &= ~termios.ONLCR
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    size = None if terminal is None else size_of(terminal)
    set_size(slave, *(size or (80, 24)))


def size_of(terminal: int) -> tuple[int, int] | None:
    """Columns and rows of a terminal, ``None`` where it doesn't say."""
    try:
        rows, columns, _, _ = struct.unpack(
            "HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8)
        )
    except OSError:
        return None
    return (columns, rows) if columns and rows else None


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set a pty's size; the kernel tells its foreground group by WINCH (ioctl_tty(2))."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
