"""A wait in words, and what the handlers of system calls share."""

from __future__ import annotations

import struct

from proctui.stacks import kernel
from proctui.stacks.descriptors import Descriptor
from proctui.stacks.kernel import ThreadLook
from proctui.units import human_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = ["Wait", "at_most", "in_kernel", "int32", "sleeping", "timespec"]


class Wait(NamedTuple):
    """One thread's wait.

    ``kind``: running, exit, read, write, receive, send, accept, connect,
    futex, pi-mutex, poll, sleep, signal, file-lock, vfork, fifo-open,
    stopped, frozen, restarted (some timed wait), zombie, disk or unknown.  ``timed``: the kernel ends it by
    itself after a time.  ``fds`` are what it watches, ``unseen`` tells that
    there is more that can't be looked at.  ``target`` is a child's pid or a
    futex address, -1 for any child.
    """

    kind: str
    words: str
    timed: bool = False
    fds: tuple[Descriptor, ...] = ()
    target: int | None = None
    seconds: float | None = None
    unseen: bool = False


def in_kernel(thread: ThreadLook) -> str:
    """The kernel function it sleeps in, as the end of a sentence."""
    return f", kernel function {thread.wchan}" if thread.wchan else ""


def int32(word: int) -> int:
    """The low 32 bits as the C ``int`` they are."""
    return struct.unpack("i", struct.pack("I", word & 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def timespec(pid: int, address: int, *, micro: bool = False) -> float | None:
    """The seconds of a ``struct timespec`` (``timeval`` with ``micro``) in another's memory."""
    raw = kernel.read_memory(pid, address, 16) if address else None
    if raw is None:
        return None
    seconds, part = struct.unpack("qq", raw)
    return int(seconds) + int(part) / (1e6 if micro else 1e9)


def at_most(timed: bool, seconds: float | None) -> str:
    """The time limit of a wait, as the end of a sentence."""
    if not timed:
        return "without a time limit"
    return f"for at most {human_seconds(seconds)}" if seconds is not None else "with a time limit"


def sleeping(seconds: float | None) -> str:
    """A sleep with what is left of it."""
    if seconds is None:
        return "sleeping"
    more = f"at most {human_seconds(seconds)} more" if seconds >= 0.05 else "about to wake"
    return f"sleeping, {more}"
