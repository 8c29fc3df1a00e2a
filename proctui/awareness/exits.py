"""How a process ended, though it is no child of ours (PIDFD_GET_INFO, Linux ≥ 6.15).

The kernel keeps the wait status for whoever still holds a pidfd, also after
the parent reaped it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from proctui.errors import ProctuiError
from proctui.ident import Identity
from proctui.machine import identity as kernel

__all__ = ["Exits", "exit_status"]

_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, 64 bytes): include/uapi/linux/pidfd.h, PIDFD_INFO_SIZE_VER0."""
_EXIT = 1 << 3

Key = tuple[str, int, str, int | None]


class Exits:
    """Holds a pidfd for each process of the job, at most ``budget``."""

    def __init__(self, budget: int = 1024) -> None:
        self._budget = budget
        self._held: dict[Key, int] = {}

    def hold(self, identities: Iterable[Identity]) -> None:
        """Keep a pidfd of each, as far as the budget goes."""
        for identity in identities:
            if identity.key in self._held or len(self._held) >= self._budget:
                continue
            try:
                descriptor, now = kernel.pin(identity.pid)
            except (ProctuiError, OSError):
                continue
            if now.same(identity):
                self._held[identity.key] = descriptor
            else:
                os.close(descriptor)

    def release(self, identity: Identity) -> int | None:
        """Let go of a process that ended; its exit status, negative for a signal, or ``None``."""
        descriptor = self._held.pop(identity.key, None)
        if descriptor is None:
            return None
        try:
            return exit_status(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def exit_status(descriptor: int) -> int | None:
    """How the process behind a pidfd ended: negative for a signal, ``None`` where nobody says."""
    import fcntl

    buffer = bytearray(64)
    struct.pack_into("=Q", buffer, 0, _EXIT)
    try:
        fcntl.ioctl(descriptor, _GET_INFO, buffer)
    except OSError:
        return None
    mask = struct.unpack_from("=Q", buffer, 0)[0]
    if not mask & _EXIT:
        return None
    return os.waitstatus_to_exitcode(struct.unpack_from("=i", buffer, 60)[0])
