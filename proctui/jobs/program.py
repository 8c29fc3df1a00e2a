"""Becoming another program as a shell would make it one, with nothing of Python's left in it."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

__all__ = ["become", "inherited_environment"]

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python may have made of LC_CTYPE (PEP 538)."""
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def inherited_environment() -> dict[str, str]:
    """The environment that our caller gave us.

    In the C locale Python sets LC_CTYPE for itself and exports it; the kernel
    keeps what stood there before (proc_pid_environ(5)).
    """
    environ = dict(os.environ)
    if environ.get("LC_CTYPE") in _COERCED:
        with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
            if not any(entry.startswith(b"LC_CTYPE=") for entry in file.read().split(b"\0")):
                del environ["LC_CTYPE"]
    return environ


def become(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> NoReturn:
    """Exec like execvpe(3), a script without ``#!`` going to the shell included.

    The signals that Python ignores get their default action back.  Raises
    :class:`OSError`, :class:`FileNotFoundError` where there is no such command.
    """
    for signum in _IGNORED_BY_PYTHON:
        signal.signal(signum, signal.SIG_DFL)
    given = inherited_environment() if environ is None else dict(environ)
    command = argv[0]
    if "/" in command:
        candidates = [command]
    elif command:
        candidates = [f"{place or '.'}/{command}" for place in os.get_exec_path(given)]
    else:
        candidates = []
    trouble: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, list(argv), given)
        except OSError as error:
            if error.errno == errno.ENOEXEC and not _is_binary(path):
                os.execve("/bin/sh", ["sh", path, *argv[1:]], given)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or "/" in command:
                trouble = trouble or error
    raise trouble or FileNotFoundError(errno.ENOENT, "command not found")


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:
        return b"\0" in file.read(256).split(b"\n")[0]
