"""From the runner to the command: fork, a session of its own, everything reset, exec.

A shell's rules for what can't be started: 127 where there is no such
command, 126 where it can't be executed; 125 is our own trouble.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import termios
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from proctui.errors import ProctuiError
from proctui.jobs.options import Options
from proctui.jobs.program import become
from proctui.jobs.wire import Page
from proctui.machine import limits

__all__ = ["CLOSED", "Failure", "Stdio", "start"]


CLOSED = -1
"""No descriptor at all."""


class Stdio(NamedTuple):
    """The descriptors the command gets, and the pty's slave it is led by; each may be ``CLOSED``."""

    stdin: int
    stdout: int
    stderr: int
    terminal: int


class Failure(NamedTuple):
    """Why the command does not run: the exit status and a sentence."""

    status: int
    message: str


def start(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdio: Stdio,
    options: Options,
    page: Page,
    fork: Callable[[], int] = os.fork,
) -> tuple[int, Failure | None]:
    """Fork and exec; returns the pid and, once the exec is settled, why it failed or ``None``."""
    reading, writing = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.close(reading)
            page.words[Page.JOB] = os.getpid()
            _prepare(stdio)
            _raise_walls(options)
            try:
                become(argv, environ)
            except OSError as error:
                missing = error.errno == errno.ENOENT
                _give_up(writing, 127 if missing else 126, _reason(error))
        except ProctuiError as error:
            _give_up(writing, 125, error.message)
        except OSError as error:
            _give_up(writing, 125, f"not started: {_reason(error)}")
        except BaseException as error:  # noqa: BLE001 - the child of a fork must never return
            _give_up(writing, 125, f"not started: {type(error).__name__}: {error}")
    os.close(writing)
    page.words[Page.JOB] = pid
    # Blocks until the exec closed the other end or the child told why there was none.
    said = b""
    while chunk := os.read(reading, 4096):
        said += chunk
    os.close(reading)
    if not said:
        return pid, None
    status, _, message = said.decode(errors="replace").partition(" ")
    return pid, Failure(int(status), message)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "command not found" if error.filename is None else "no such file or directory"
    return (error.strerror or str(error)).lower()


def _give_up(writing: int, status: int, message: str) -> NoReturn:
    os.write(writing, f"{status} {message}".encode(errors="replace")[:4000])
    os._exit(status)


def _prepare(stdio: Stdio) -> None:
    """A session and group of its own, its terminal, its three descriptors, default signals."""
    os.setsid()
    if stdio.terminal >= 0:
        fcntl.ioctl(stdio.terminal, termios.TIOCSCTTY, 0)
    # Above 2 first: one of them may lie where another has to go.
    moved = [
        CLOSED if fd == CLOSED else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in stdio[:3]
    ]
    for number, fd in enumerate(moved):
        if fd == CLOSED:
            os.close(number)
        else:
            os.dup2(fd, number)
    restore = limits.child_limits()
    if restore is not None:
        restore()
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # The C library keeps two real-time signals for itself.
        with contextlib.suppress(OSError, ValueError):
            signal.signal(signum, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _raise_walls(options: Options) -> None:
    if options.isolated:
        from proctui.jobs import isolate

        isolate.enter()
    if options.before_exec is not None:
        options.before_exec()
