"""How a program of the playground comes to its end, whatever happens to the others."""

from __future__ import annotations

import ctypes
import json
import os
import time

from proctui.machine import identity
from proctui.model import Identity

__all__ = ["FRONT", "LIFETIME", "Lease", "end_with_parent", "front_variable"]

FRONT = "PROCTUI_DEMO_FRONT"
"""Environment variable: the identity of the process that the demo is for, as a JSON list."""
LIFETIME = 1800.0
"""Seconds after which a program of the playground ends in any case."""
PATIENCE = 3.0
"""Seconds that the front may be missing."""
_PR_SET_PDEATHSIG = 1
_KILL = 9


def front_variable() -> dict[str, str]:
    """What the environment of a playground needs, asked for by this very process."""
    return {FRONT: json.dumps(list(identity.own()))}


def end_with_parent() -> None:
    """Have the kernel end us with our parent (prctl(2), PR_SET_PDEATHSIG).

    A deadlocked program can't look after itself, and a thread that did would
    spoil the proof that it is deadlocked.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


class Lease:
    """Whether we may live on: the front is there and our time is not over."""

    def __init__(self) -> None:
        self.end = time.monotonic() + LIFETIME
        self._front: Identity | None = None
        self._seen = time.monotonic()
        self._looked = 0.0
        try:
            self._front = Identity(*json.loads(os.environ[FRONT]))
        except (KeyError, ValueError, TypeError):
            # Started by hand: then it is for whoever started it.
            self._front = None
        self._parent = os.getppid()

    def valid(self) -> bool:
        """Cheap to ask often: looks twice a second."""
        now = time.monotonic()
        if now - self._looked >= 0.5:
            self._looked = now
            if self._there():
                self._seen = now
        return now < self.end and now - self._seen < PATIENCE

    def _there(self) -> bool:
        if self._front is None:
            return os.getppid() == self._parent
        return identity.alive(self._front)

    def rest(self, seconds: float) -> bool:
        """Sleep, but not beyond our time; whether we may go on."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self.valid():
                return False
            time.sleep(min(0.5, left))
        return self.valid()
