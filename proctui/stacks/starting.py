"""Starting the tools that look into other processes.

On nothing but ``os``: ``subprocess`` takes longer to import than py-spy to
look, and py-spy shall look while the rest of us is still being imported.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator

__all__ = ["Surroundings", "Tool", "dump_command", "find_tool", "start"]

_IGNORED_BY_PYTHON = (13, 25)
"""SIGPIPE and SIGXFSZ: a program started by Python would ignore them too (signal(7))."""
_ENVIRONMENT = {"RUST_BACKTRACE": "0", "LC_ALL": "C", "DEBUGINFOD_URLS": ""}


class Tool:
    """A running program in a session of its own; ``out`` and ``err`` read its output.

    ``returncode`` is ``None`` until it was reaped, negative where a signal
    ended it.  :func:`proctui.killing.signals.end_helper` ends it.
    """

    __slots__ = ("began", "err", "out", "pid", "returncode")

    def __init__(self, pid: int, out: int, err: int) -> None:
        self.pid = pid
        self.out = out
        self.err = err
        self.began = time.monotonic()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Reap it where it has ended; its status."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Somebody of our process waits for any child, or ignores SIGCHLD.
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def join(self, timeout: float) -> int | None:
        """Wait for its end, ``timeout`` seconds at most; its status."""
        until, pause = time.monotonic() + timeout, 0.0001
        while self.poll() is None and time.monotonic() < until:
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return self.returncode

    def close(self) -> None:
        """Close our ends of its output; nothing is left to be read then."""
        for fd in (self.out, self.err):
            os.close(fd)
        self.out = self.err = -1


def find_tool(name: str) -> str | None:
    """The program beside our interpreter (a venv's), else on PATH."""
    beside = os.path.join(sys.executable.rpartition("/")[0], name)
    if _is_program(beside):
        return beside
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = (os.path.join(folder, name) for folder in folders if folder)
    return next(filter(_is_program, paths), None)


def _is_program(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False


def dump_command(
    tool: str, pid: int, *, exact: bool = False, native: bool = False, locals: bool = False
) -> list[str]:
    """The command by which the py-spy ``tool`` dumps the stacks of one process as JSON.

    Without ``exact`` and ``native`` the target is never stopped.
    """
    argv = [tool, "dump", "--json", "--full-filenames", "--pid", str(pid)]
    if native:
        argv.append("--native")
    elif not exact:
        argv.append("--nonblocking")
    if locals:
        argv.append("--locals")
    return argv


class Surroundings:
    """What every tool of one look is started with; made once for all of them."""

    __slots__ = ("actions", "environ")

    def __init__(self) -> None:
        self.environ = {**os.environ, **_ENVIRONMENT}
        self.actions = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()]


def start(argv: list[str], around: Surroundings | None = None) -> Tool:
    """Start a program without input; raises :class:`OSError` where it can't be."""
    around = around or Surroundings()
    out, its_out = _pipe()
    err, its_err = _pipe()
    try:
        pid = os.posix_spawnp(
            argv[0],
            argv,
            around.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, its_out, 1),
                (os.POSIX_SPAWN_DUP2, its_err, 2),
                *around.actions,
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_IGNORED_BY_PYTHON,
        )
    except OSError:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(its_out)
        os.close(its_err)
    return Tool(pid, out, err)


def _pipe() -> tuple[int, int]:
    """A pipe whose writing end is none of the descriptors it will become."""
    ours, its = os.pipe()
    low = []
    while its <= 2:
        low.append(its)
        its = os.dup(its)
    for fd in low:
        os.close(fd)
    return ours, its


def _inheritable() -> Iterator[int]:
    """What we were given ourselves and a tool would keep open: pipes of a job, for one."""
    try:
        fds = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return
    for fd in fds:
        try:
            if fd > 2 and os.get_inheritable(fd):
                yield fd
        except OSError:
            continue
