"""The keyboard of a job with a pty, under ``--no-tui``."""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Callable, Mapping

from proctui.jobs.terminal import Raw, attributes_of

__all__ = ["Keys"]


class Keys:
    """Carries what is typed to the job's pty, and catches the suspend key.

    The pty's line discipline turns Ctrl-C and Ctrl-\\ into signals of the
    job's foreground group.  The suspend key would be discarded there while
    the job's first group is in the foreground (its session has no shell that
    could continue it), so it is ours then; within a shell that the job runs,
    it is the shell's.
    """

    def __init__(
        self, terminal: int, master: int, leader: Callable[[], int], stop: Callable[[], None]
    ) -> None:
        """``terminal`` is our standard input, or ``/dev/tty`` where that is something else.

        In the second case keys are the job's only while it asks for them by
        switching its pty's line mode off (a pager at a pipeline's end does);
        whoever else reads the terminal keeps his.
        """
        self._leader = leader
        self.terminal = terminal
        self.master = master
        self._stop = stop
        self._raw = Raw(terminal)
        self._typed = bytearray()
        self._over = False

    @property
    def active(self) -> bool:
        return self._raw.active

    def _wanted(self) -> bool:
        if self.terminal == 0:
            return True
        mode = attributes_of(self.master)
        return mode is not None and not mode[3] & termios.ICANON

    def enter(self) -> None:
        """Take the keys, if they are the job's and we are in the foreground."""
        if self._wanted():
            self._raw.enter()

    def leave(self) -> None:
        self._raw.leave()

    def follow(self) -> None:
        """The job may have changed how its output is to be treated."""
        if not self.active:
            self.enter()
        elif not self._wanted():
            self.leave()
        self._raw.follow(self.master)

    def register(self, poller: select.poll) -> None:
        if not self.active or self.terminal != 0:
            self.follow()
        if self.active and not self._over and len(self._typed) < 1 << 16:
            poller.register(self.terminal, select.POLLIN)
        if self._typed:
            poller.register(self.master, select.POLLOUT)

    def serve(self, ready: Mapping[int, int]) -> None:
        if ready.get(self.terminal) and self.active:
            try:
                typed = os.read(self.terminal, 4096)
            except OSError:
                typed = b""
            if typed:
                self._take(typed)
            else:
                self._over = True
        if self._typed:
            with contextlib.suppress(OSError):
                del self._typed[: os.write(self.master, self._typed)]

    def _take(self, typed: bytes) -> None:
        suspend = self._suspend_key()
        while suspend and suspend in typed:
            before, _, typed = typed.partition(suspend)
            self._typed += before
            self._stop()
        self._typed += typed

    def _suspend_key(self) -> bytes:
        """The pty's suspend character, where it would reach a group that discards it."""
        mode = attributes_of(self.master)
        if mode is None or not mode[3] & termios.ISIG:
            return b""
        try:
            if os.tcgetpgrp(self.master) != self._leader():
                return b""
        except OSError:
            return b""
        key = mode[6][termios.VSUSP]
        return key if isinstance(key, bytes) and key != b"\0" else b""
