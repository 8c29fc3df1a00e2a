"""A poll loop with deadlines: all that a runner needs, without the weight of asyncio."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

__all__ = ["Loop"]


class Loop:
    """Calls functions when descriptors are ready and when their time has come (poll(2))."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._registered: dict[int, int] = {}
        self._deadlines: dict[str, tuple[float, Callable[[], None]]] = {}

    def watch(self, fd: int, call: Callable[[], None], events: int = select.POLLIN) -> None:
        """Call when ``fd`` is ready; again with other events changes them."""
        self._ready[fd] = call
        if self._registered.get(fd) != events:
            self._poller.register(fd, events)
            self._registered[fd] = events

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no longer; call it before closing the descriptor."""
        if self._registered.pop(fd, None) is not None:
            self._poller.unregister(fd)
        self._ready.pop(fd, None)

    def after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Call once after ``seconds``; a second call of the same name replaces the first."""
        self._deadlines[name] = (time.monotonic() + seconds, call)

    def cancel(self, name: str) -> None:
        """Forget what :meth:`after` was told under this name."""
        self._deadlines.pop(name, None)

    def turn(self) -> None:
        """Sleep until something is due, and do it."""
        for fd, _ in self._poller.poll(self._timeout()):
            call = self._ready.get(fd)
            if call is not None:
                call()
        now = time.monotonic()
        for name, (due, call) in list(self._deadlines.items()):
            if due <= now and self._deadlines.get(name) == (due, call):
                del self._deadlines[name]
                call()

    def _timeout(self) -> int:
        due = min((due for due, _ in self._deadlines.values()), default=None)
        return -1 if due is None else max(0, int((due - time.monotonic()) * 1000) + 1)
