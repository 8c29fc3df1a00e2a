"""A pid namespace with its own ``/proc``: inside, the rest of the machine can't even be named.

The stronger wall beside the fence (pid_namespaces(7), user_namespaces(7)).
Where the caller is not root a user namespace is needed too, in which the
caller keeps its own uid.  The namespace ends with its first command: the
kernel then kills whatever that left behind, so there are no strays.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from proctui.errors import NotSupported

__all__ = ["exec_isolated", "missing"]

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result != 0:
        raise NotSupported(
            f"no pid namespace: {what}: {os.strerror(ctypes.get_errno())}",
            "user and pid namespaces must be allowed (kernel.unprivileged_userns_clone, user.max_user_namespaces)",
        )


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _enter() -> None:
    """Make the namespaces; the next child is pid 1 in them."""
    libc = _libc()
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWPID | _CLONE_NEWNS | (_CLONE_NEWUSER if uid else 0)
    _must(libc.unshare(flags), "unshare")
    if uid:
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
        except OSError as error:
            raise NotSupported(f"no user namespace: {error.strerror}") from error


def _mount_proc() -> None:
    libc = _libc()
    _must(
        libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None),
        "private mounts",
    )
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _must(libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount /proc")


def _probe() -> None:
    _enter()
    child = os.fork()
    if child == 0:
        try:
            _mount_proc()
        except NotSupported:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise NotSupported("a fresh /proc can't be mounted")


def missing() -> str | None:
    """Why there can be no isolation here (tried in a child); ``None`` where it works."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _probe()
        except NotSupported as error:
            os.write(writing, error.message.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        reason = stream.read().decode()
    os.waitpid(child, 0)
    return reason or None


def _leave_as(status: int) -> NoReturn:
    """End the way the child did, so that a parent sees the same status."""
    if os.WIFSIGNALED(status):
        os._exit(128 + os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _wait_for(child: int) -> NoReturn:
    """Reap everybody until ``child`` ends, and end with it."""
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == child:
            _leave_as(status)


def _init(argv: Sequence[str], prepare: Callable[[], None], report: int) -> NoReturn:
    """Pid 1 of the namespace: starts the command and reaps.

    Signals reach the command directly, as a member of the same process
    group; pid 1 only must not be ended by them.
    """
    try:
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _mount_proc()
        child = os.fork()
        if child == 0:
            for number in _FORWARDED:
                signal.signal(number, signal.SIG_DFL)
            prepare()
            os.execvp(argv[0], list(argv))
    except NotSupported as error:
        os.write(report, f"125 {error.message}".encode())
        os._exit(125)
    except OSError as error:
        os.write(
            report,
            f"{127 if isinstance(error, FileNotFoundError) else 126} {error.strerror}".encode(),
        )
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    os.close(report)
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    _wait_for(child)


def exec_isolated(argv: Sequence[str], prepare: Callable[[], None] = lambda: None) -> NoReturn:
    """Run ``argv`` as the first command of a pid namespace and end with its status.

    ``prepare`` runs in the command's process right before ``exec`` (the fence,
    for one).  Raises :class:`NotSupported` where namespaces are not allowed;
    a command that can't be started ends with 127 or 126, as a shell's.
    """
    _enter()
    reading, writing = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(reading)
        _init(argv, prepare, writing)
    os.close(writing)
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    trouble = b""
    while chunk := os.read(reading, 4096):
        trouble += chunk
    if trouble:
        _status, _, message = trouble.decode(errors="replace").partition(" ")
        with suppress(OSError):
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2,
                f"proctui: {argv[0]}: {message}\n".encode(),
            )
    _wait_for(init)
