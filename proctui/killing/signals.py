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
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.killing.pins import Pin, degraded, pin, same, wait_dead
from proctui.machine import identity as identities

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
    "same",
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
    }
)
"""What ``run`` may pass to its job's group; HUP never (the job outlives its terminal)."""


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
        pid = _parent_of(pid)
        if pid in found:
            break
        found.add(pid)
    pids = frozenset(found)
    _ancestry = (now, own, parent, pids)
    return pids


def _parent_of(pid: int) -> int:
    """The parent's pid, 0 where it can't be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        if Path("/proc/self").is_dir():
            return 0
    import psutil

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0


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
    elif hasattr(helper, "join"):
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
