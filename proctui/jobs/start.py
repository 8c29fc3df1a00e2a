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
from proctui.jobs.wire import Page
from proctui.machine import limits

__all__ = ["Failure", "Stdio", "start"]


class Stdio(NamedTuple):
    """The descriptors the command gets, and the pty's slave (-1: none) it is led by."""

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
            _become(argv, environ, options)
        except ProctuiError as error:
            _give_up(writing, 125, error.message)
        except OSError as error:
            missing = error.errno == errno.ENOENT
            _give_up(writing, 127 if missing else 126, _reason(error))
        except BaseException as error:  # noqa: BLE001 - the child of a fork must never return
            _give_up(writing, 125, f"{type(error).__name__}: {error}")
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
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in stdio[:3]]
    for number, fd in enumerate(moved):
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


def _become(argv: Sequence[str], environ: Mapping[str, str], options: Options) -> NoReturn:
    if options.directory is not None:
        os.chdir(options.directory)
    if options.isolated:
        from proctui.jobs import isolate

        isolate.enter()
    if options.before_exec is not None:
        options.before_exec()
    _exec(argv, environ)


def _exec(argv: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Like execvpe(3), a script without ``#!`` going to the shell included."""
    command = argv[0]
    if "/" in command:
        candidates = [command]
    elif command:
        candidates = [f"{place or '.'}/{command}" for place in os.get_exec_path(dict(environ))]
    else:
        candidates = []
    trouble: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, list(argv), dict(environ))
        except OSError as error:
            if error.errno == errno.ENOEXEC and not _is_binary(path):
                os.execve("/bin/sh", ["sh", path, *argv[1:]], dict(environ))
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or "/" in command:
                trouble = trouble or error
    raise trouble or FileNotFoundError(errno.ENOENT, "command not found")


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:
        return b"\0" in file.read(256).split(b"\n")[0]
