"""A process before it is looked into: its state decides how it may be looked at.

Light on imports: the tool is started before anything that only its answer needs.
"""

from __future__ import annotations

from proctui.ident import Identity
from proctui.stacks import kernel

__all__ = ["Preflight", "preflight"]


class Preflight:
    """A process before it is looked into: its state decides what may be tried."""

    def __init__(self, identity: Identity, first: kernel.ProcessLook | None) -> None:
        self.identity = identity
        self.pid = identity.pid
        self.first = first
        self.full: kernel.ProcessLook | None = None
        self.attempts = 1
        self.remarks: list[str] = []

    @property
    def state(self) -> str:
        return self.first.state if self.first else ""

    @property
    def never_python(self) -> bool:
        """A zombie or a kernel thread has no frames to dump."""
        return self.first is not None and (self.first.kernel or self.state in ("Z", "X"))

    def look(self) -> kernel.ProcessLook | None:
        """The threads with what is gated too, read once; ``None`` where there is no /proc."""
        if self.first is not None and self.full is None:
            self.full = kernel.look(self.pid)
            if any(thread.denied for thread in self.full.threads):
                from proctui.stacks import remote

                self.full = remote.look(self.pid)
        return self.full


def preflight(pid: int, identity: Identity) -> Preflight:
    """Read the state that decides how a process may be looked at."""
    return Preflight(identity, kernel.glance(pid) if kernel.available() else None)
