"""The person's terminal: raw while a job has a pty, and as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Any

__all__ = ["Raw", "attributes_of"]


def attributes_of(terminal: int) -> list[Any] | None:
    """The terminal's settings (termios(3)), ``None`` where it is none."""
    try:
        return termios.tcgetattr(terminal)
    except (OSError, termios.error):
        return None


class Raw:
    """The terminal behind ``fd`` raw on its input side, while we are in the foreground.

    Keys then go to the job's pty as they are, and the pty makes signals of
    them.  The output side follows the pty's OPOST, so that a full-screen
    program's line feeds stay what they are.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.before = attributes_of(fd)
        self.active = False
        self._post: bool | None = None

    def foreground(self) -> bool:
        """Whether our group may use the terminal now."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return False

    def enter(self) -> bool:
        """Go raw if we may; whether the terminal is raw now."""
        if self.active or self.before is None or not self.foreground():
            return self.active
        mode: list[Any] = [list(part) if isinstance(part, list) else part for part in self.before]
        mode[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        self._set(mode)
        self.active = True
        self._post = bool(mode[1] & termios.OPOST)
        return True

    def leave(self) -> None:
        """As it was before, unless somebody else is in the foreground."""
        if self.active and self.before is not None:
            self.active = False
            if self.foreground():
                self._set(self.before)

    def follow(self, master: int) -> None:
        """Give the output side the OPOST of the job's pty."""
        if not self.active or self.before is None:
            return
        theirs = attributes_of(master)
        if theirs is None:
            return
        post = bool(theirs[1] & termios.OPOST)
        if post is not self._post:
            self._post = post
            mode = attributes_of(self.fd)
            if mode is not None:
                mode[1] = mode[1] | termios.OPOST if post else mode[1] & ~termios.OPOST
                self._set(mode)

    def _set(self, mode: list[Any]) -> None:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(self.fd, termios.TCSADRAIN, mode)
