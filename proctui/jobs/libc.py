"""The C library, opened once: what ctypes makes for it is shared by all that are forked later."""

from __future__ import annotations

import ctypes

__all__ = ["LIBC"]

LIBC = ctypes.CDLL(None, use_errno=True)
for _name in ("prctl", "fstatfs"):
    # Looking a function up makes and keeps it; elsewhere than on Linux there is none.
    getattr(LIBC, _name, None)
