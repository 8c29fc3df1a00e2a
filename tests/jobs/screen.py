"""A terminal in a test's hands: a pty with a program in a session of its own on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Sequence


class Screen:
    """The master side; :meth:`read_until` waits for what the program writes."""

    def __init__(self, pid: int, master: int) -> None:
        self.pid = pid
        self.master = master
        self.text = b""
        self.status: int | None = None

    def read_until(self, pattern: bytes, timeout: float = 60.0) -> re.Match[bytes]:
        """Read until ``pattern`` is found beyond what was found before."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end() :]
                return match
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come, but {self.text[-2000:]!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    chunk = os.read(self.master, 65536)
                except OSError:
                    chunk = b""
                assert chunk, f"the terminal ended before {pattern!r}: {self.text[-2000:]!r}"
                self.text += chunk

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.master)

    def wait(self, timeout: float = 60.0) -> int:
        """The exit status of the program, reading on so that it never blocks."""
        deadline = time.monotonic() + timeout
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                break
            assert time.monotonic() < deadline, f"it did not end: {self.text[-2000:]!r}"
            if select.select([self.master], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):
                    self.text += os.read(self.master, 65536)
        return self.status


@contextlib.contextmanager
def on_screen(argv: Sequence[str], columns: int = 80, rows: int = 24) -> Iterator[Screen]:
    """Run ``argv`` as the leader of a session whose terminal is ours."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for number in range(3):
                os.dup2(slave, number)
            os.closerange(3, 256)
            os.execvp(argv[0], list(argv))
        finally:
            os._exit(127)
    os.close(slave)
    screen = Screen(pid, master)
    try:
        yield screen
    finally:
        if screen.status is None:
            # Ours and unreaped: the number can't be anybody else's.
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(master)
