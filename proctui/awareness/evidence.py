"""Evidence beyond ancestry: the marker in an environment, and what stands in the way of it."""

from __future__ import annotations

import errno
import functools
import os
import time
from typing import NamedTuple

from proctui.awareness.session import MARKER_VARIABLE, Session
from proctui.model import Identity, Proc

__all__ = [
    "Marker",
    "clock",
    "in_managed_group",
    "is_subreaper",
    "read_marker",
    "started_here",
    "terminal_name",
]

_LIMIT = 4 << 20
_PR_GET_CHILD_SUBREAPER = 37


class Marker(NamedTuple):
    """What an environment says; ``trouble`` is why it could not be read."""

    ids: tuple[str, ...]
    trouble: str | None = None


def read_marker(pid: int, root: str = "/proc") -> Marker:
    """The session ids in the *initial* environment of ``pid`` (proc_pid_environ(5)).

    Clearing the environment at run time leaves this as it was; a process
    that made itself non-dumpable hides it.
    """
    try:
        descriptor = os.open(f"{root}/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return _trouble(error)
    try:
        data = b""
        while len(data) < _LIMIT:
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                break
            data += chunk
    except OSError as error:
        return _trouble(error)
    finally:
        os.close(descriptor)
    wanted = MARKER_VARIABLE.encode() + b"="
    ids: list[str] = []
    for entry in data.split(b"\0"):
        if entry.startswith(wanted):
            ids += entry[len(wanted) :].decode("ascii", "replace").split(":")
    return Marker(tuple(ids))


def _trouble(error: OSError) -> Marker:
    if error.errno in (errno.ENOENT, errno.ESRCH):
        return Marker(())
    return Marker((), f"environ: {os.strerror(error.errno or 0).lower()}")


def in_managed_group(session: Session, proc: Proc) -> str | None:
    """Whether it is in the process group or session that the job's leader leads.

    Only numbers that *are* the leader's count: another number in a file
    could be anybody's.
    """
    leader = session.leader
    if leader is None:
        return None
    if session.sid is not None and proc.sid == session.sid == leader.pid:
        return f"in the job's session {session.sid}"
    if session.pgid is not None and proc.pgid == session.pgid == leader.pid:
        return f"in the job's process group {session.pgid}"
    return None


def terminal_name(tty: int) -> str:
    """``pts/3`` for a terminal's device number (proc_pid_stat(5), field tty_nr)."""
    major, minor = os.major(tty), os.minor(tty)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    return f"tty {major}:{minor}"


def is_subreaper() -> bool:
    """Whether orphans below us become our children (PR_GET_CHILD_SUBREAPER, prctl(2))."""
    import ctypes

    flag = ctypes.c_int(0)
    try:
        done = ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    except (OSError, AttributeError):
        return False
    return bool(done == 0 and flag.value)


def started_here(pid: int) -> bool:
    """Whether an object of this interpreter holds ``pid`` as its unreaped child.

    Unreaped, the number can be nobody else's.  Asked only where a parent pid
    proves nothing, as it looks at every object there is.
    """
    import gc
    import subprocess
    import sys

    processes = getattr(sys.modules.get("multiprocessing.process"), "_children", ())
    if any(getattr(one, "pid", None) == pid and one.exitcode is None for one in list(processes)):
        return True
    # type(), as a proxy may claim any __class__ and run code to do so.
    return any(
        issubclass(type(one), subprocess.Popen)
        and getattr(one, "pid", None) == pid
        and getattr(one, "returncode", 0) is None
        for one in gc.get_objects()
    )


def clock(wall: float | None = None) -> str:
    """The time of day, for evidence ("seen 10:02:11")."""
    return _clock(int(time.time() if wall is None else wall))


@functools.lru_cache(maxsize=16)
def _clock(second: int) -> str:
    """All that a look finds is seen at once, so the words are made once."""
    return time.strftime("%H:%M:%S", time.localtime(second))


def born_since(identity: Identity, ticks: int) -> bool:
    """Whether it started at ``ticks`` (clock ticks since boot) or later, or nobody knows."""
    return identity.start_ticks is None or identity.pidns is None or identity.start_ticks >= ticks
