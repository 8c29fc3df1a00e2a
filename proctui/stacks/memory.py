"""Futexes: which mapping they lie in, and who owns the mutex around one.

Memory is read without attaching (``/proc/PID/mem``, ``/proc/PID/maps``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from proctui.stacks import kernel, namespaces
from proctui.stacks.kernel import ThreadLook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = [
    "Mapping",
    "joined_thread",
    "mapping_at",
    "mappings",
    "mutex_owner",
    "owner_of_wait",
    "pi_owner",
    "sharers",
    "thread_of_ident",
]

_MUTEX = struct.Struct("<iIiIi")
_MUTEX_KINDS = 0x1FF
"""PTHREAD_MUTEX_*_NP types and flag bits of glibc's ``__kind`` (pthreadP.h)."""
_CONTENDED = 2
_DESCRIPTION = 1024
"""Bytes of it that are searched: glibc has the id at 720 on x86-64, at 208 on AArch64."""
FUTEX_TID_MASK = 0x3FFFFFFF
FUTEX_COMMANDS = 0x7F
FUTEX_WAIT = 0
FUTEX_WAIT_BITSET = 9


class Mapping(NamedTuple):
    """One line of ``/proc/PID/maps``."""

    start: int
    end: int
    shared: bool
    writable: bool
    file: str
    """Device and inode, "" for anonymous memory."""
    path: str


def mappings(pid: int) -> Iterable[Mapping]:
    """The lines of a process's memory map; none where it can't be read."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(None, 5)
        start, _, end = fields[0].partition("-")
        named = "" if fields[4] == "0" else f"{fields[3]}:{fields[4]}"
        yield Mapping(
            int(start, 16),
            int(end, 16),
            fields[1][3] == "s",
            fields[1][1] == "w",
            named,
            fields[5] if len(fields) > 5 else "",
        )


def mapping_at(pid: int, address: int) -> Mapping | None:
    """The mapping an address lies in; ``None`` where it can't be told."""
    return next((m for m in mappings(pid) if m.start <= address < m.end), None)


def sharers(pids: Iterable[int], file: str) -> set[int]:
    """Which of these processes map the shared memory ``file`` (device and inode) too."""
    return {pid for pid in pids if any(m.shared and m.file == file for m in mappings(pid))}


def mutex_owner(pid: int, address: int, tids: Iterable[int]) -> int | None:
    """The thread that owns the glibc mutex at ``address``, ``None`` where it is none.

    ``pthread_mutex_t`` begins with lock word, count, owner's tid, number of
    users and kind (glibc's ``struct __pthread_mutex_s``).  Believed only where
    every field fits: contended, used, of a known kind, owned by a living
    thread of the process.
    """
    raw = kernel.read_memory(pid, address, _MUTEX.size)
    if raw is None:
        return None
    word, count, owner, users, kind = _MUTEX.unpack(raw)
    if word != _CONTENDED or not 1 <= users < 1 << 20 or kind & ~_MUTEX_KINDS or count > 1 << 20:
        return None
    return namespaces.thread_of(pid, owner, tids)


def owner_of_wait(thread: ThreadLook, tids: Iterable[int]) -> int | None:
    """The owner of the mutex a thread waits for in a plain ``FUTEX_WAIT``; ``None`` for any other.

    Condition variables and semaphores wait with a bitset, and would be misread.
    """
    call = thread.call
    if call is None or len(call.args) < 2 or call.args[1] & FUTEX_COMMANDS != FUTEX_WAIT:
        return None
    return mutex_owner(thread.pid, call.args[0], tids)


def joined_thread(thread: ThreadLook, tids: Iterable[int]) -> int | None:
    """The thread that ``pthread_join`` waits for, ``None`` where it is another wait.

    glibc waits, shared and with a bitset, on the word that the kernel clears
    when the thread ends: it holds the thread's id (set_tid_address(2)).
    """
    call = thread.call
    if call is None or len(call.args) < 3 or call.args[1] & 0xFF != FUTEX_WAIT_BITSET:
        return None
    joined = namespaces.thread_of(thread.pid, call.args[2], tids)
    return joined if joined != thread.tid else None


def thread_of_ident(pid: int, ident: int, tids: Iterable[int]) -> int | None:
    """The thread behind a ``pthread_t``, Python's own number of a thread.

    It is the address of the C library's description of the thread
    (``struct pthread`` of glibc and musl), which holds the thread's id not
    far from its beginning.
    """
    raw = kernel.read_memory(pid, ident, _DESCRIPTION) if ident % 8 == 0 else None
    known = namespaces.inner_ids(pid, tids)
    words = struct.unpack(f"<{_DESCRIPTION // 4}I", raw) if raw is not None else ()
    return next((known[word] for word in words if word in known), None)


def pi_owner(pid: int, address: int, tids: Iterable[int]) -> int | None:
    """The owner of a priority-inheriting mutex stands in the futex word itself (futex(2))."""
    raw = kernel.read_memory(pid, address, 4)
    if raw is None:
        return None
    return namespaces.thread_of(pid, int.from_bytes(raw, "little") & FUTEX_TID_MASK, tids)
