"""``describe``: what a process or thread waits for, with who is at the other end."""

from __future__ import annotations

from proctui.errors import check_pid
from proctui.stacks import kernel, memory
from proctui.stacks.calls import Wait, interpret
from proctui.stacks.descriptors import Holders
from proctui.stacks.sockets import SocketTable

__all__ = ["Wait", "describe", "interpret", "partners"]

_NAMED_MOST = 4


def describe(pid: int, tid: int | None = None, holders: Holders | None = None) -> str:
    """What thread ``tid`` (default: the main one) of ``pid`` waits for, in words.

    "reading pipe:[123], whose only writer is 4711".  ``holders`` may be given
    to describe many with one scan of the machine's descriptors.  Raises
    :class:`NoSuchProcess`.
    """
    check_pid(pid)
    kernel.need()
    # A kernel thread makes no system calls: the zeros it shows would read as read(0).
    thread = kernel.look_thread(pid, tid or pid, gated=not kernel.glance(pid).kernel)
    compat = thread.call is not None and kernel.word_size(pid) == 4
    wait = interpret(thread, compat=compat)
    if wait.kind == "futex" and not wait.timed:
        owner = memory.owner_of_wait(thread, kernel.thread_ids(pid))
        if owner is not None:
            return f"waiting for a mutex (a lock) that thread {owner} owns"
    more = partners(wait, holders)
    return f"{wait.words}, {more}" if more else wait.words


def partners(wait: Wait, holders: Holders | None = None) -> str:
    """Who holds the other end of the one pipe, FIFO or socket a thread waits on; "" where none."""
    if wait.kind not in ("read", "write", "receive", "send") or len(wait.fds) != 1:
        return ""
    end = wait.fds[0]
    if end.kind not in ("pipe", "fifo", "socket"):
        return ""
    holders = holders or Holders.of()
    if end.kind == "socket":
        return _socket_partner(end.pid, end.target, holders)
    if wait.kind == "read":
        return _held("writer", holders.writers(end.target), holders)
    return _held("reader", holders.readers(end.target), holders)


def _socket_partner(pid: int, target: str, holders: Holders) -> str:
    found = SocketTable(pid).endpoint(target)
    if found is None or found.peer is None:
        return ""
    return _held("other end", holders.holders(f"socket:[{found.peer}]"), holders, verb="is held by")


def _held(what: str, pids: list[int], holders: Holders, verb: str = "is") -> str:
    hidden = len(holders.unreadable)
    unless = f" (of {hidden} processes the descriptors may not be read)" if hidden else ""
    if not pids:
        return f"whose {what} was not found{unless}"
    shown = ", ".join(map(str, pids[:_NAMED_MOST]))
    if len(pids) > _NAMED_MOST:
        shown += f" and {len(pids) - _NAMED_MOST} more"
    if what == "other end":
        return f"whose {what} {verb} {shown}{unless}"
    if len(pids) == 1:
        return f"whose only {what} is {shown}{unless}"
    return f"whose {what}s are {shown}{unless}"
