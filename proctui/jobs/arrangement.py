"""What the front prepares and the keeper and the runner inherit: one session's means."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple

from proctui.awareness.session import Controller
from proctui.awareness.writer import SessionWriter
from proctui.ident import Identity
from proctui.jobs.logfile import LogFile
from proctui.jobs.options import Options
from proctui.jobs.plumbing import Plumbing
from proctui.jobs.wire import Channel, Page

__all__ = ["CRASHED", "Arrangement", "seclude", "silence", "write_down"]

CRASHED = 70
"""What a keeper or runner ends with that could not go on (EX_SOFTWARE of sysexits(3))."""
_IGNORED = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGTERM",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGXFSZ",
    "SIGPIPE",
]


class Arrangement(NamedTuple):
    """Everything that a runner needs, and a keeper that takes its place.

    ``channel`` is the runner's end towards the front, ``link`` the pipe by
    which the runner tells its keeper which streams to close.
    """

    argv: list[str]
    environ: dict[str, str]
    options: Options
    writer: SessionWriter
    front: Identity
    plumbing: Plumbing
    channel: Channel
    page: Page
    log: LogFile | None
    bound: int
    keeper: Identity | None = None
    link: tuple[int, int] = (-1, -1)

    def controllers(self, runner: Identity) -> tuple[Controller, ...]:
        found = [Controller("front", self.front), Controller("runner", runner)]
        if self.keeper is not None and not self.keeper.same(runner):
            found.append(Controller("keeper", self.keeper))
        return tuple(found)


def seclude() -> None:
    """Leave the caller's session and terminal: nothing typed or closed there reaches us.

    What is forked afterwards inherits the ignored signals.
    """
    os.setsid()
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def silence() -> None:
    """Null for 0, 1, 2, and none of the caller's other descriptors: who keeps one hides its end.

    What the caller meant to hand on is inheritable; ours never are.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        with contextlib.suppress(OSError):
            if fd > 2 and os.get_inheritable(fd):
                os.close(fd)


def write_down(means: Arrangement) -> None:
    """Leave the traceback of a crash in the session's directory: there is no other place for it."""
    import traceback

    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open("runner.log", flags, 0o600, dir_fd=means.writer.directory_fd)
        os.write(fd, traceback.format_exc().encode(errors="replace"))
        os.close(fd)
