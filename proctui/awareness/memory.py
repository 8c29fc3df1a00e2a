"""What a living owner knows, readable by others and writable by nobody.

A session's owner (runner, dashboard, library) keeps its knowledge in a
sealed memfd (memfd_create(2), F_SEAL_WRITE).  Others find it in the owner's
descriptor table, ``/proc/OWNER/fd``: only the owner can put something there,
and not even it can change what it sealed, so a job of the same user that
edits the session's files can't edit this.  Where the kernel has no memfd
there is nothing to find, and the files alone make nothing certain.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from typing import Any

__all__ = ["Published", "locate", "publishers", "read", "read_bytes"]

_SEALS = 0x1 | 0x2 | 0x4 | 0x8
_LIMIT = 64 << 20
_places: dict[tuple[int, str], str] = {}


_LINK = "/memfd:proctui-"


def _name(session_id: str, part: str) -> str:
    return f"proctui-{session_id}-{part}"


class Published:
    """One part of the owner's knowledge; :meth:`put` replaces it at once."""

    def __init__(self, session_id: str, part: str) -> None:
        self._name = _name(session_id, part)
        self._descriptor: int | None = None

    def put(self, document: Any) -> bool:
        """Publish a JSON document; False where the system can't."""
        return self.put_bytes(json.dumps(document, separators=(",", ":")).encode())

    def put_bytes(self, data: bytes) -> bool:
        """Publish text as it stands."""
        try:
            fresh = os.memfd_create(self._name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except (AttributeError, OSError):
            return False
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fresh, left) :]
            fcntl.fcntl(fresh, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(fresh)
            return False
        previous, self._descriptor = self._descriptor, fresh
        if previous is not None:
            os.close(previous)
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read(pid: int, session_id: str, part: str) -> Any | None:
    """The document that process ``pid`` publishes, ``None`` for nothing that may be believed.

    The caller makes sure that ``pid`` was the owner before *and* after.
    """
    data = read_bytes(pid, session_id, part)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def read_bytes(pid: int, session_id: str, part: str) -> bytes | None:
    """The same as it stands."""
    wanted = f"/memfd:{_name(session_id, part)} (deleted)"
    for _ in range(4):
        try:
            names = sorted(os.listdir(f"/proc/{pid}/fd"), key=int, reverse=True)
        except OSError:
            return None
        seen = False
        for name in names:
            path = f"/proc/{pid}/fd/{name}"
            try:
                if os.readlink(path) != wanted:
                    continue
                seen = True
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                data = _read_sealed(descriptor)
            finally:
                os.close(descriptor)
            if data is not None:
                return data
        if not seen:
            return None
    return None


def _read_sealed(descriptor: int) -> bytes | None:
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & 0x8 == 0:
            return None
        size = os.fstat(descriptor).st_size
        if not 0 < size <= _LIMIT:
            return None
        data = b""
        while len(data) < size:
            chunk = os.pread(descriptor, size - len(data), len(data))
            if not chunk:
                return None
            data += chunk
        return data
    except OSError:
        return None


def locate(pid: int, session_id: str, part: str) -> tuple[str, int] | None:
    """Descriptor and inode of what ``pid`` publishes now: it changes with each publication."""
    wanted = f"/memfd:{_name(session_id, part)} (deleted)"
    known = _places.get((pid, wanted))
    inode = None if known is None else _inode(pid, known, wanted)
    if known is not None and inode is not None:
        return known, inode
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            inode = _inode(pid, name, wanted)
            if inode is not None:
                _places[pid, wanted] = name
                return name, inode
    _places.pop((pid, wanted), None)
    return None


def _inode(pid: int, descriptor: str, wanted: str) -> int | None:
    """The inode behind a descriptor of a process, if it is the memory that is wanted."""
    path = f"/proc/{pid}/fd/{descriptor}"
    try:
        return os.stat(path).st_ino if os.readlink(path) == wanted else None
    except OSError:
        return None


def publishers(pids: Iterable[int]) -> dict[str, list[int]]:
    """Session id → those of ``pids`` that publish it (50 µs each, and 8 for each descriptor)."""
    found: dict[str, list[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    link = os.readlink(f"/proc/{pid}/fd/{name}")
                    if link.startswith(_LINK) and link.endswith("-session (deleted)"):
                        found.setdefault(link[len(_LINK) :].partition("-")[0], []).append(pid)
    return found
