"""Disk space for audit lines, set aside when a session begins.

What fills the disk must not become unkillable by filling it.  Space beyond
the end of the audit file is allocated without changing its length
(fallocate(2), ``FALLOC_FL_KEEP_SIZE``); on file systems without that a file
of real bytes stands beside it, to be overwritten in an emergency.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from typing import Any, Final

from proctui.awareness import files

__all__ = ["AUDIT_FILE", "FULL", "RESERVE_FILE", "SPARE", "prepare", "set_aside"]

AUDIT_FILE: Final = "audit.jsonl"
RESERVE_FILE: Final = "audit.reserve"
SPARE: Final = 256 * 1024
"""Bytes kept free for coming lines: a compact line of a thousand targets fits."""
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_KEEP_SIZE = 0x01


def prepare(folder: int) -> bool:
    """Make the audit file in this directory and set space aside; whether it is there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(AUDIT_FILE, flags, 0o600, dir_fd=folder)
    except OSError:
        return False
    try:
        files.check_private(descriptor, AUDIT_FILE)
        return set_aside(folder, descriptor, SPARE)
    except (OSError, files.FileProblem):
        return False
    finally:
        os.close(descriptor)


def set_aside(folder: int, descriptor: int, size: int) -> bool:
    """Have ``size`` bytes of disk beyond the end of the open audit file, its length unchanged."""
    fallocate = _fallocate()
    if fallocate is not None:
        end = os.fstat(descriptor).st_size
        if fallocate(descriptor, _KEEP_SIZE, end, size) == 0:
            return True
        if ctypes.get_errno() in FULL:
            return False
    return _fill_reserve(folder)


@functools.cache
def _fallocate() -> Any:
    """``fallocate(2)`` of the C library, ``None`` elsewhere than on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return function


def _fill_reserve(folder: int) -> bool:
    """Where ``fallocate`` is unknown: newlines on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(RESERVE_FILE, flags, 0o600, dir_fd=folder)
    except FileExistsError:
        return True
    except OSError:
        return False
    try:
        files.write_all(descriptor, b"\n" * SPARE)
        os.fsync(descriptor)
    except OSError:
        os.unlink(RESERVE_FILE, dir_fd=folder)
        return False
    finally:
        os.close(descriptor)
    return True
