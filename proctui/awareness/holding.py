"""Who holds the lock that proves a session alive: a POSIX lock on ``session.json`` (fcntl(2), F_GETLK)."""

from __future__ import annotations

import os

from proctui.awareness import files
from proctui.ident import Identity
from proctui.machine import identity as kernel

__all__ = ["is_locked", "owner_holds"]


def owner_holds(directory: int, owner: Identity | None) -> bool:
    """Whether the recorded owner lives and holds the lock on the session file."""
    if owner is None or owner.pidns != kernel.pidns() or not kernel.alive(owner):
        return False
    return _lock_holder(directory) == owner.pid and kernel.alive(owner)


def is_locked(directory: int) -> bool:
    """Whether a session of another pid namespace has an owner: his lock is all we can see of him."""
    return _lock_holder(directory) is not None


def _lock_holder(directory: int) -> int | None:
    try:
        descriptor = os.open(
            "session.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
        )
    except OSError:
        return None
    try:
        return files.lock_holder(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
