"""Owners of Python's RLocks, found in the target's memory without attaching.

A thread in ``RLock.acquire`` sleeps on the futex of a POSIX semaphore whose
address the lock object holds; the object knows its owner.  Unlike a ``Lock``
an ``RLock`` is released by its owner alone, so the edge is exact.  CPython
3.8 to 3.13, ``rlockobject`` of ``Modules/_threadmodule.c``: object head,
``rlock_lock``, ``rlock_owner``, ``rlock_count``.
"""

from __future__ import annotations

import array
import os
import struct
from collections.abc import Iterable, Iterator

from proctui.machine.stat import PAGE_SIZE
from proctui.stacks.memory import mappings

__all__ = ["owner_idents"]

_MOST = 256 << 20
"""Bytes searched at most: a tenth of a second."""
_CHUNK = 4 << 20
_HEAD = 16
"""``PyObject_HEAD``: reference count and type, eight bytes each."""
_TYPE_NAME = 24
"""``tp_name`` behind ``PyObject_VAR_HEAD``."""
_NAME = b"_thread.RLock\0"
_POINTER = struct.Struct("<Q")
_FIELDS = struct.Struct("<QQQ")


def owner_idents(pid: int, futexes: Iterable[int]) -> dict[int, int]:
    """Futex → ``threading.get_ident()`` of the owner, for those that belong to an owned RLock.

    One pass over the memory for all of them; what is missing is no RLock,
    owned by nobody, or can't be read.
    """
    wanted = set(futexes)
    owners: dict[int, int] = {}
    try:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return owners
    try:
        for place, futex in _places(pid, fd, wanted):
            owner = _owner_at(fd, place, futex) if futex not in owners else None
            if owner is not None:
                owners[futex] = owner
                if len(owners) == len(wanted):
                    break
    finally:
        os.close(fd)
    return owners


def _present(pid: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches that lie in memory now (``/proc/PID/pagemap``, bit 63 of each page's word).

    Reading any other page would make the kernel find one for the target.
    """
    try:
        fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        words = array.array("Q", _read(fd, start // PAGE_SIZE * 8, (end - start) // PAGE_SIZE * 8))
    finally:
        os.close(fd)
    began: int | None = None
    for index, word in enumerate(words):
        if word >> 63 and began is None:
            began = index
        elif not word >> 63 and began is not None:
            yield start + began * PAGE_SIZE, start + index * PAGE_SIZE
            began = None
    if began is not None:
        yield start + began * PAGE_SIZE, start + len(words) * PAGE_SIZE


def _places(pid: int, fd: int, values: set[int]) -> Iterator[tuple[int, int]]:
    """Where in the anonymous writable memory one of the pointers stands: place and pointer."""
    wanted = [(_POINTER.pack(value), value) for value in values]
    left = _MOST
    for area in mappings(pid):
        if area.shared or not area.writable or area.file or area.path not in ("", "[heap]"):
            continue
        for start, end in _present(pid, area.start, area.end):
            for at in range(start, end, _CHUNK):
                data = _read(fd, at, min(_CHUNK, end - at, left))
                left -= len(data)
                for raw, value in wanted:
                    found = data.find(raw)
                    while found >= 0:
                        if not found % 8:
                            yield at + found, value
                        found = data.find(raw, found + 1)


def _owner_at(fd: int, place: int, futex: int) -> int | None:
    kind = _read(fd, place - _HEAD + 8, 8)
    fields = _read(fd, place, _FIELDS.size)
    if len(kind) < 8 or len(fields) < _FIELDS.size:
        return None
    name = _read(fd, _POINTER.unpack(kind)[0] + _TYPE_NAME, 8)
    if len(name) < 8 or _read(fd, _POINTER.unpack(name)[0], len(_NAME)) != _NAME:
        return None
    lock, owner, count = _FIELDS.unpack(fields)
    return owner if lock == futex and count else None


def _read(fd: int, address: int, size: int) -> bytes:
    try:
        return os.pread(fd, size, address)
    except (OSError, OverflowError):
        return b""
