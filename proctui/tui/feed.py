"""The sampling worker: one look, one message, at a pace it can hold."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from textual.message import Message

from proctui.awareness.view import View
from proctui.errors import ProctuiError
from proctui.tui.background import Helper

__all__ = ["Feed", "Pace", "Tick", "Watching"]

SLOWEST = 16
PATIENCE = 0.1
"""Seconds that the first frame waits for the first look."""


class Watching(Protocol):
    """What the dashboard needs of :class:`proctui.awareness.watch.Watch`."""

    def tick(self) -> View: ...

    def look(self) -> View: ...

    def close(self) -> None: ...


class Tick(Message):
    """One view; a newer one takes the place of one that was not handled yet."""

    def __init__(self, view: View, *, slowed: int) -> None:
        super().__init__()
        self.view = view
        self.slowed = slowed

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Tick)


class Pace:
    """How long to wait between two looks.

    Three looks in a row that take more than half of the interval double it;
    eight that would fit easily into half of it halve it again.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.factor = 1
        self._late = 0
        self._easy = 0

    @property
    def current(self) -> float:
        return self.interval * self.factor

    def after(self, busy: float) -> float:
        """Take how many seconds a look took; the seconds to wait before the next."""
        if busy > self.current * 0.5:
            self._late, self._easy = self._late + 1, 0
        elif busy < self.current * 0.15:
            self._late, self._easy = 0, self._easy + 1
        else:
            self._late = self._easy = 0
        if self._late >= 3 and self.factor < SLOWEST:
            self.factor, self._late = self.factor * 2, 0
        elif self._easy >= 8 and self.factor > 1:
            self.factor, self._easy = self.factor // 2, 0
        return max(0.05, self.current - busy)


class Feed:
    """Runs as the one async sampling worker of the dashboard.

    The thread that looks also waits until the next look is due: the loop
    wakes once for each, when there is something to show.
    """

    def __init__(self, watch: Watching, interval: float) -> None:
        self.watch = watch
        self.pace = Pace(interval)
        self.trouble: str | None = None
        self._now = threading.Event()
        self._over = False
        self._busy = 0.0
        self._helper = Helper("sampling")
        self._begun: asyncio.Future[View] | None = None
        self._given: View | None = None

    def hurry(self) -> None:
        """Look at once instead of at the next tick."""
        self._now.set()

    def _look(self, pause: float) -> View:
        """Wait for up to ``pause`` seconds, then look; notes how long that took."""
        if self._now.wait(pause):
            self._now.clear()
        if self._over:
            raise ProctuiError("nobody looks any more")
        began = time.monotonic()
        try:
            return self.watch.tick()
        finally:
            self._busy = time.monotonic() - began

    def first(self) -> View | None:
        """Begin with the first look; its view, where that takes no longer than :data:`PATIENCE`.

        The loop stands still for it: a look beside the work on an empty frame
        would lose the interpreter at every system call, and that frame would
        be painted for nothing.
        """
        looked = threading.Event()
        views: list[View] = []

        def look() -> View:
            try:
                views.append(self._look(0.0))
                return views[0]
            finally:
                looked.set()

        self._begun = self._helper.do(look)
        if looked.wait(PATIENCE) and views:
            self._given = views[0]
        return self._given

    async def run(self, deliver: Callable[[Tick], object]) -> None:
        """Look and deliver until cancelled; what :meth:`first` gave is not delivered again."""
        pause = 0.0
        try:
            while True:
                looking = self._begun or self._helper.do(partial(self._look, pause))
                self._begun = None
                try:
                    view = await looking
                except (ProctuiError, OSError) as error:
                    self.trouble = f"can't look: {error}"
                else:
                    self.trouble = None
                    if view is not self._given:
                        deliver(Tick(view, slowed=self.pace.factor))
                    self._given = None
                pause = self.pace.after(self._busy)
        finally:
            self._over = True
            self._now.set()
