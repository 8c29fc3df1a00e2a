"""The only module of proctui that sends a signal to a process.

A process is signalled through a pidfd that pins it (pidfd_open(2)), so that
a reused pid can't be hit; ``os.kill`` is used only where the system has no
pidfds, and whoever does so says it (:func:`degraded`).  A test holds that
nothing outside this module signals.

Beside the guard's :func:`send` there are four narrow ways, each for
processes that are ours by construction: :func:`end_helper` (tools that we
started), :func:`forward` (the job's own group, for ``run``), and
:func:`stop_self`, :func:`end_self` (this very process).
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing.process
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from proctui.errors import BadArgument, Changed, NoSuchProcess, NotSupported, RefusedError
from proctui.machine import identity as identities
from proctui.model import Identity

__all__ = [
    "FORWARDABLE",
    "Pin",
    "check_signal",
    "degraded",
    "end_helper",
    "end_self",
    "forward",
    "group_exists",
    "never",
    "pin",
    "send",
    "signal_name",
    "stop_self",
    "thaw",
    "wait_dead",
]

PIDFD_SIGNAL_PROCESS_GROUP: Final = 1 << 2
"""``pidfd_send_signal`` flag: the whole group that the pinned process leads (Linux 6.9)."""

FORWARDABLE: Final = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGQUIT,
        signal.SIGSTOP,
        signal.SIGTSTP,
        signal.SIGCONT,
        signal.SIGWINCH,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGKILL,
    }
)
"""What ``run`` may pass to its job's group; HUP never (the job outlives its terminal)."""


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


def check_signal(value: object) -> signal.Signals:
    """Return ``value`` as a signal that may be sent; raises :class:`BadArgument`.

    Takes ``signal.Signals`` or a plain int; 0 asks instead of signalling and
    is refused, like ``True`` and names.
    """
    if type(value) is not int and not isinstance(value, signal.Signals):
        raise BadArgument(f"signal must be a signal number, not {type(value).__name__}")
    try:
        return signal.Signals(value)
    except ValueError:
        raise BadArgument(f"there is no signal {value!r}"[:120]) from None


def signal_name(signum: int) -> str:
    """``15`` → ``TERM``."""
    return signal.Signals(signum).name.removeprefix("SIG")


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


def pin(identity: Identity) -> Pin:
    """Pin exactly this process.

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
            # No descriptor is left to hold: each use opens one of its own.
            return Pin(identity, None)
    if not same(identity, found):
        if fd is not None:
            os.close(fd)
        raise Changed(f"pid {identity.pid} is no longer process {identity}, but {found}")
    return Pin(identity, fd)


def send(target: Pin, signum: int) -> None:
    """Send ``signum`` to the pinned process, and to nobody else.

    Raises :class:`RefusedError` for this process, its ancestors and pid 1
    whatever a plan said (a last wall behind the roles),
    :class:`ProcessLookupError` or :class:`NoSuchProcess` once it is gone,
    :class:`PermissionError` where the kernel refuses.
    """
    check_signal(signum)
    if target.identity.pid in never():
        raise RefusedError(
            f"process {target.identity} is this program, one of its ancestors or the first process"
        )
    if target.fd is None and degraded():
        if not identities.alive(target.identity):
            raise NoSuchProcess(f"process {target.identity} is gone")
        os.kill(target.identity.pid, signum)
        return
    with target.descriptor() as fd:
        signal.pidfd_send_signal(fd, signum)


_ancestry: tuple[float, int, int, frozenset[int]] = (0.0, 0, 0, frozenset())


def never() -> frozenset[int]:
    """The pids that no signal of the guard may reach: 0, 1, this process and its live ancestors."""
    global _ancestry
    now, own, parent = time.monotonic(), os.getpid(), os.getppid()
    read_at, known_own, known_parent, pids = _ancestry
    if (known_own, known_parent) == (own, parent) and now - read_at < 0.25:
        return pids
    found = {0, 1, own, parent}
    pid = parent
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        if pid in found:
            break
        found.add(pid)
    pids = frozenset(found)
    _ancestry = (now, own, parent, pids)
    return pids


def _poll(fds: Iterable[int], timeout: float) -> set[int]:
    """The pidfds whose process has ended, waiting up to ``timeout`` seconds for a first one."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return {fd for fd, _ in poller.poll(max(0, int(timeout * 1000 + 0.999)))}


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


def thaw(fds: Iterable[int]) -> None:
    """Send CONT to each pidfd: what the freezing helper does when its parent died."""
    for fd in fds:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(fd, signal.SIGCONT)


def forward(leader: int, signum: int) -> bool:
    """Send ``signum`` to the group that the job's leader leads; whether anybody was there.

    ``leader`` is a pidfd of the job's leader, which ``run`` started as the leader of a group
    of its own.  The group is found through the pidfd, never by number: before the leader's
    setsid nobody is in it, and nobody is reached.  Kernels before 6.9 can't do that; there the
    leader must be an unreaped child of this process, which keeps its number ours.
    """
    if signum not in FORWARDABLE:
        raise BadArgument(f"signal {signum} is not passed on to a job")
    try:
        signal.pidfd_send_signal(leader, signum, None, PIDFD_SIGNAL_PROCESS_GROUP)
    except ProcessLookupError:
        return False
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return _forward_by_number(leader, signum)
    return True


def group_exists(leader: int) -> bool | None:
    """Whether the group that the pinned process led has members; ``None`` on old kernels."""
    try:
        signal.pidfd_send_signal(leader, 0, None, PIDFD_SIGNAL_PROCESS_GROUP)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OSError:
        return None
    return True


def _forward_by_number(leader: int, signum: int) -> bool:
    with open(f"/proc/self/fdinfo/{leader}", encoding="ascii") as info:
        pid = next((int(line.split()[1]) for line in info if line.startswith("Pid:")), -1)
    if pid <= 1 or not _is_unreaped_child(pid) or os.getpgid(pid) != pid or pid == os.getpgrp():
        return False
    os.killpg(pid, signum)
    return True


def _is_unreaped_child(pid: int) -> bool:
    """Whether ``pid`` is our child and its number therefore can't be anybody else's."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def end_helper(helper: Any, grace: float = 1.0) -> int | None:
    """End a tool that *we* started: TERM, up to ``grace`` seconds, KILL; return its status.

    ``helper`` is a ``subprocess.Popen``, a ``multiprocessing`` process or an asyncio process.
    One that leads a group of its own (``start_new_session=True``) takes its group along, also
    when it has ended itself but its children have not.  A helper that was reaped already is
    left alone, its number may be somebody else's.  An asyncio process is reaped by its loop.
    """
    pid = helper.pid
    if pid is None or getattr(helper, "returncode", None) is not None:
        return _status(helper)
    # Asking it for its status would reap it, and its group would lose its number.
    if not _is_unreaped_child(pid):
        return _status(helper)
    leads = _leads_own_group(pid)
    try:
        fd = os.pidfd_open(pid)
    except (OSError, AttributeError):
        fd = -1
    try:
        held = Pin(identities.identify(pid), fd if fd >= 0 else None)
        if not held.dead():
            _to_helper(pid, fd, signal.SIGTERM, leads)
            wait_dead([held], grace)
        if leads or not held.dead():
            _to_helper(pid, fd, signal.SIGKILL, leads)
            wait_dead([held], 5.0)
    except ProcessLookupError:
        pass
    finally:
        if fd >= 0:
            os.close(fd)
    if isinstance(helper, subprocess.Popen):
        with contextlib.suppress(subprocess.TimeoutExpired):
            helper.wait(5.0)
    elif isinstance(helper, multiprocessing.process.BaseProcess):
        helper.join(5.0)
    return _status(helper)


def _status(helper: Any) -> int | None:
    status = helper.poll() if isinstance(helper, subprocess.Popen) else None
    if status is None:
        status = getattr(helper, "exitcode", None)
    if status is None:
        status = getattr(helper, "returncode", None)
    return status


def _leads_own_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid != os.getpgrp()
    except ProcessLookupError:
        return False


def _to_helper(pid: int, fd: int, signum: int, leads: bool) -> None:
    """To our unreaped child, or to the group it leads."""
    if fd < 0:
        if _is_unreaped_child(pid):
            (os.killpg if leads else os.kill)(pid, signum)
        return
    try:
        signal.pidfd_send_signal(fd, signum, None, PIDFD_SIGNAL_PROCESS_GROUP if leads else 0)
    except OSError as error:
        if error.errno == errno.EINVAL and leads and _is_unreaped_child(pid):
            os.killpg(pid, signum)
        elif error.errno != errno.ESRCH:
            raise


def stop_self() -> None:
    """Stop this process, as Ctrl-Z would; returns when somebody sends CONT."""
    signal.raise_signal(signal.SIGSTOP)


def end_self(signum: int) -> None:
    """End this process by ``signum`` with its default action, so that a shell sees the cause."""
    signal.signal(signum, signal.SIG_DFL)
    signal.raise_signal(signum)
