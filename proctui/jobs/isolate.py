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
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from proctui.errors import NotSupported, ProctuiError
from proctui.jobs.libc import LIBC
from proctui.jobs.program import become
from proctui.jobs.titles import rename

__all__ = ["enter", "exec_isolated", "missing"]

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
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWPID | _CLONE_NEWNS | (_CLONE_NEWUSER if uid else 0)
    _must(LIBC.unshare(flags), "unshare")
    if uid:
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
        except OSError as error:
            raise NotSupported(f"no user namespace: {error.strerror}") from error


def _mount_proc() -> None:
    _must(
        LIBC.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None),
        "private mounts",
    )
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _must(LIBC.mount(b"proc", b"/proc", b"proc", flags, None), "mount /proc")


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


def _stay(child: int) -> NoReturn:
    """Do nothing but wait for ``child``, holding no descriptor.

    Signals reach the command directly, as a member of the same process
    group; who waits for it only must not be ended by them.
    """
    # Whoever keeps an end of the command's pipes hides from others that it is gone.
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    _wait_for(child)


def enter() -> None:
    """Go on as the first command of a pid namespace; call it right before ``exec``.

    Like a fork: it returns in the command's process only.  The caller's own
    process stays outside and ends with the command's status; a second one is
    pid 1 of the namespace.  Neither keeps a descriptor.  Raises :class:`NotSupported`
    where namespaces are not allowed, perhaps in the second process.
    """
    _enter()
    init = os.fork()
    if init != 0:
        rename("proctui-isolate", "proctui: waits for an isolated command")
        _stay(init)
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount_proc()
    command = os.fork()
    if command != 0:
        rename("proctui-init", "proctui: pid 1 of an isolated command")
        _stay(command)


def exec_isolated(argv: Sequence[str], prepare: Callable[[], None] = lambda: None) -> NoReturn:
    """Run ``argv`` as the first command of a pid namespace and end with its status.

    ``prepare`` runs in the command's process right before ``exec`` (the fence,
    for one).  A command that can't be started ends with 127 or 126, as a
    shell's, proctui's own trouble with 125.
    """
    enter_from = os.getpid()
    try:
        enter()
        prepare()
        become(argv)
    except ProctuiError as error:
        if os.getpid() == enter_from:
            raise
        _give_up(125, error.message)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        _give_up(127 if missing else 126, f"{argv[0]}: {error.strerror}")


def _give_up(status: int, message: str) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"proctui: {message}\n".encode(errors="replace"))
    os._exit(status)
