"""What a pinned process is doing, for waiting and for reports; never for judging."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from proctui.killing.signals import Pin
from proctui.machine import stat

__all__ = ["STILL", "of", "parent"]

STILL = "TtZXD"
"""Stopped, traced, dead or deep in the kernel: none of these forks."""


def of(pin: Pin) -> str:
    """The kernel's letter, of the liveliest thread; ``X`` once nothing is left.

    Read for waiting and reporting, never for judging.  A zombie leader may
    have threads that run, and a leader that has stopped threads that have not yet.
    """
    if pin.dead():
        return "X"
    letters = set(_letters(pin.identity.pid))
    return next((one for one in "RSDTtIZ" if one in letters), "X")


def _letters(pid: int) -> Iterator[str]:
    line = _stat(f"/proc/{pid}/stat")
    if line is None:
        return
    if line.threads <= 1:
        yield line.state
        return
    with contextlib.suppress(OSError):
        for tid in os.listdir(f"/proc/{pid}/task"):
            thread = _stat(f"/proc/{pid}/task/{tid}/stat")
            if thread is not None:
                yield thread.state


def _stat(path: str) -> stat.StatLine | None:
    try:
        with open(path, "rb") as file:
            return stat.parse(file.read(1024))
    except (OSError, ValueError):
        return None


def parent(pin: Pin) -> int | None:
    """The pid that has to reap it, ``None`` where nothing is left of it."""
    line = _stat(f"/proc/{pin.identity.pid}/stat")
    return None if line is None else line.ppid
