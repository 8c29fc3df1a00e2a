"""Whether a dashboard has a place to be."""

from __future__ import annotations

import os
import sys

from proctui.errors import NotSupported

__all__ = ["has_screen", "need_screen"]


def has_screen() -> bool:
    """A dashboard draws on stderr and reads keys from ``/dev/tty``."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True


def need_screen() -> None:
    """Raise :class:`NotSupported` where no dashboard can be shown."""
    if not has_screen():
        raise NotSupported(
            "the dashboard needs a terminal, and there is none here",
            "`proctui tree`, `proctui sessions` and `proctui run --no-tui` work without",
        )
