"""The front's last resort: runner and keeper were both killed, the job lives.

The front holds the reading ends too, so the job notices nothing; it moves the
output itself, into the same files, and learns how the job ended from its
pidfd.  What the job leaves behind is nobody's child of ours any more and is
not looked for.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proctui.awareness.exits import exit_status
from proctui.jobs import birth, status
from proctui.jobs.capture import Sink, Store
from proctui.jobs.wire import Page

if TYPE_CHECKING:
    from proctui.jobs.launch import Job
    from proctui.jobs.tap import Tap

__all__ = ["Rescue"]

_PATIENCE = 2.0
_NOTE = "the runner and the keeper were killed: the output is whole, strays were not looked for"


class Rescue:
    """Moves the streams within the front's loop; ``told`` is the status once the job has ended."""

    def __init__(self, job: Job, taps: Sequence[Tap], job_fd: int) -> None:
        assert job.means is not None and job.page is not None
        means, self._page = job.means, job.page
        self._taps = taps
        self._job_fd = job_fd
        self._session_id = job.session_id
        self._found = job.status()
        self.told: dict[str, Any] | None = None
        self._ended: float | None = None
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._directory = os.open(job.place, flags)
        except OSError:
            self._directory = -1
        store = Store(self._directory, means.bound, self._page, self._announce)
        self.sinks = [
            Sink(store, index, stream.name, stream.source, stream.through)
            for index, stream in enumerate(means.plumbing.streams)
        ]
        for sink in self.sinks:
            if self._page.words[Page.BROKEN] & (1 << sink.index):
                sink.open = False
            else:
                sink.resume()
        if means.log is not None:
            for sink in self.sinks:
                sink.log = means.log.take
            means.log.resume([sink for sink in self.sinks if sink.segment >= 0])

    def _announce(self, sink: Sink) -> None:
        self._taps[sink.index].add(sink.number, sink.base, os.dup(sink.segment))

    def register(self, poller: select.poll) -> None:
        """Listen to the streams that the taps are not behind with, and to the job's end."""
        for sink in self.sinks:
            if sink.open and not sink.held_back():
                poller.register(sink.source, select.POLLIN)
        if self.told is None and self._ended is None:
            poller.register(self._job_fd, select.POLLIN)

    def serve(self, ready: Mapping[int, int]) -> None:
        """Move what has come."""
        for sink in self.sinks:
            if sink.open and sink.source in ready and sink.pump() is None:
                sink.close()
        if self._ended is None and self._job_fd in ready:
            self._ended = time.monotonic()
            for sink in self.sinks:
                sink.drain()
        if self._ended is not None and self.told is None:
            # The kernel tells once the job's new parent has reaped it.
            code = exit_status(self._job_fd)
            if code is not None or time.monotonic() > self._ended + _PATIENCE:
                self._conclude(code)

    @property
    def ending(self) -> bool:
        """Whether the job has ended, but not yet how."""
        return self._ended is not None and self.told is None

    def _conclude(self, code: int | None) -> None:
        shown = None if code is None else 128 - code if code < 0 else code
        notes = [*(self._found.get("notes") or []), _NOTE]
        self.told = {
            **self._found,
            "state": "ended",
            "exit_status": shown,
            "ends": [sink.total for sink in self.sinks],
            "strays": [],
            "notes": notes,
        }
        with contextlib.suppress(OSError):
            status.write(self._directory, self.told)
        birth.clear(self._session_id)
