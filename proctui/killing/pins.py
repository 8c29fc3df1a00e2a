"""Holding a process by a pidfd, so that nobody who gets its number later can be mistaken for it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import time
from collections.abc import Iterable, Iterator

from proctui.errors import Changed, NoSuchProcess, NotSupported
from proctui.ident import Identity
from proctui.machine import identity as identities

__all__ = ["Pin", "degraded", "pin", "same", "spare_descriptors", "wait_dead"]


_LONGEST = 86400.0
"""Seconds of one wait; poll(2) takes no more than 24 days."""


def degraded() -> str | None:
    """Why signals are not sent through pidfds here, in words; ``None`` where they are."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return "this system has no pidfds: a signal could reach a process that reused the pid"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM, errno.EACCES):
            return (
                f"pidfds are blocked here ({os.strerror(error.errno)}): "
                "a signal could reach a process that reused the pid"
            )
    return None


class Pin:
    """One process held by a pidfd: the number may be reused, this can't follow it.

    ``fd`` is ``None`` in degraded mode, and where the descriptors ran out; then each use opens
    a pidfd of its own and compares the identity again.
    """

    __slots__ = ("fd", "identity")

    def __init__(self, identity: Identity, fd: int | None) -> None:
        self.identity = identity
        self.fd = fd

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    @contextlib.contextmanager
    def descriptor(self) -> Iterator[int]:
        """A pidfd of exactly this process; raises :class:`NoSuchProcess` once it is gone."""
        if self.fd is not None:
            yield self.fd
            return
        fd, found = identities.pin(self.identity.pid)
        try:
            if not same(self.identity, found):
                raise NoSuchProcess(f"process {self.identity} is gone")
            yield fd
        finally:
            os.close(fd)

    def dead(self) -> bool:
        """Whether every thread has ended (a zombie is dead, a zombie *leader* need not be)."""
        try:
            with self._usable() as fd:
                if fd is None:
                    return not identities.alive(self.identity)
                return bool(_poll([fd], 0))
        except NoSuchProcess:
            return True
        except NotSupported:
            return False

    def reaped(self) -> bool:
        """Whether nothing is left of it, not even a zombie (proc(5), fdinfo of a pidfd)."""
        try:
            with self._usable() as fd:
                if fd is None:
                    try:
                        return not same(self.identity, identities.identify(self.identity.pid))
                    except NoSuchProcess:
                        return True
                with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
                    return any(line.split() == ["Pid:", "-1"] for line in info)
        except NoSuchProcess:
            return True
        except (NotSupported, OSError):
            return False

    @contextlib.contextmanager
    def _usable(self) -> Iterator[int | None]:
        if self.fd is None and degraded():
            yield None
            return
        with self.descriptor() as fd:
            yield fd


def same(wanted: Identity, found: Identity) -> bool:
    """Whether ``found``, just read, is the process ``wanted``.

    Like :meth:`Identity.same`, but an identity that a person wrote without
    its inode (``PID@TICKS``) is compared by what it has.
    """
    if wanted.inode is None and found.inode is not None:
        return (
            wanted.pid == found.pid
            and wanted.boot_id == found.boot_id
            and wanted.start_ticks is not None
            and wanted.start_ticks == found.start_ticks
        )
    return wanted.same(found)


def pin(identity: Identity, *, hold: bool = True) -> Pin:
    """Pin exactly this process.

    Without ``hold``, or where no descriptor is left to hold, it is only proved
    that this is the process; each use opens a descriptor and proves it again.
    Raises :class:`NoSuchProcess` where the pid is free, :class:`Changed`
    where somebody else has it.
    """
    if degraded():
        found = identities.identify(identity.pid)
        fd = None
    else:
        try:
            fd, found = identities.pin(identity.pid)
        except NotSupported:
            return Pin(identity, None)
    right = same(identity, found)
    if fd is not None and not (right and hold):
        os.close(fd)
        fd = None
    if not right:
        raise Changed(f"pid {identity.pid} is no longer process {identity}, but {found}")
    return Pin(identity, fd)


def spare_descriptors() -> int:
    """How many descriptors this process may still open (getrlimit(2)); 0 where nobody knows."""
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        try:
            used = len(os.listdir("/dev/fd"))
        except OSError:
            return 0
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (1 << 20) if limit == resource.RLIM_INFINITY else max(0, limit - used)


def _poll(fds: Iterable[int], timeout: float) -> set[int]:
    """The pidfds whose process has ended, waiting up to ``timeout`` seconds for a first one."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    milliseconds = min(max(0.0, timeout), _LONGEST) * 1000
    return {fd for fd, _ in poller.poll(int(milliseconds + 0.999))}


def wait_dead(pins: Iterable[Pin], timeout: float) -> list[Pin]:
    """Wait until all are dead or ``timeout`` seconds went by; return those still alive."""
    deadline = time.monotonic() + timeout
    alive = list(pins)
    while True:
        held = {one.fd: one for one in alive if one.fd is not None}
        loose = [one for one in alive if one.fd is None and not one.dead()]
        left = deadline - time.monotonic()
        ended = _poll(held, min(left, 0.02) if loose else left) if held else set()
        alive = loose + [one for fd, one in held.items() if fd not in ended]
        if not alive or time.monotonic() >= deadline:
            return alive
        if loose and not held:
            time.sleep(min(0.02, max(0.0, left)))
