"""The flight recorder: every look at the machine into a bounded file."""

from __future__ import annotations

import errno
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proctui._version import __version__
from proctui.awareness.opening import open_watch
from proctui.awareness.view import View
from proctui.errors import BadArgument, NoSuchProcess, ProctuiError, check_pid
from proctui.machine import identity as identities
from proctui.model import Identity
from proctui.recording.container import Writer
from proctui.recording.encode import Encoder
from proctui.units import iso_time

__all__ = ["LIMIT", "Recorder", "record"]

LIMIT = 256 << 20
"""Bytes a recording may take; beyond it the oldest part goes."""
MEMBER_FRAMES = 300
"""A full frame is written every so many frames: what damage, or a shortened file, can cost."""


class Recorder:
    """Writes views into a file; use as a context manager.

    Raises :class:`NoSuchFile`, :class:`AccessDenied` and
    :class:`BadArgument` (exists and is no recording) when made.
    """

    def __init__(self, output: Path | str, *, limit: int = LIMIT, interval: float = 1.0) -> None:
        self._writer = Writer(Path(output), limit=limit)
        self._encoder = Encoder()
        self._interval = interval
        self._in_member = 0
        self._began = 0
        self.frames = 0

    @property
    def size(self) -> int:
        """Bytes written so far and still kept."""
        return self._writer.size

    @property
    def dropped(self) -> int:
        """How many times :data:`MEMBER_FRAMES` frames had to go."""
        return self._writer.dropped

    def write(self, view: View, keep: frozenset[int] | None = None) -> None:
        """Add one frame, of the pids in ``keep`` alone if given; raises ``OSError`` when full."""
        too_large = self._writer.size - self._began > self._writer.limit // 4
        if self.frames == 0 or self._in_member >= MEMBER_FRAMES or too_large:
            self._writer.begin(self._header())
            self._began = self._writer.size
            self._encoder.reset()
            self._in_member = 0
        self._writer.line(self._encoder.frame(view, keep))
        self._in_member += 1
        self.frames += 1

    def _header(self) -> dict[str, Any]:
        return {
            "by": __version__,
            "boot_id": identities.boot_id(),
            "host": platform.node(),
            "interval": self._interval,
            "first": self.frames,
        }

    def end(self, reason: str) -> None:
        """Say why the recording ends, and close it."""
        try:
            if self.frames:
                self._writer.line({"end": reason, "frames": self.frames})
            self._writer.close()
        except OSError:
            self._writer.abandon()
            raise

    def abandon(self) -> None:
        """Close without a last word."""
        self._writer.abandon()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end("closed")
        else:
            self.abandon()


def record(
    output: Path | str,
    *,
    pid: int | None = None,
    interval: float = 1.0,
    duration: float | None = None,
    stop: threading.Event | None = None,
    session: str | None = None,
    source: str = "auto",
    limit: int = LIMIT,
    on_frame: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Record until ``duration`` seconds passed, ``stop`` is set, Ctrl-C, or all of it ended.

    With ``pid`` that process, its ancestors and everything that descended
    from it; without it the whole machine in the eyes of the session, up to
    the end of its job.  Returns ``file frames seconds bytes processes reason
    started ended dropped_parts``; ``reason`` is ``duration stopped
    interrupted`` or ``ended``.  ``on_frame`` gets that summary after every
    frame.  Raises what :class:`Recorder` and ``open_watch`` raise,
    :class:`NoSuchProcess`, and :class:`ProctuiError` (with the summary as
    ``result``) where the disk is full: what was written can be replayed.
    """
    if pid is not None:
        check_pid(pid)
        identities.identify(pid)
    if not 0.05 <= interval <= 3600:
        raise BadArgument("interval must lie between 0.05 and 3600 seconds")
    if duration is not None and duration <= 0:
        raise BadArgument("the recording must last longer than 0 seconds")
    path = Path(output)
    halt = stop or threading.Event()
    watch = open_watch(session, source=source, history=0)
    try:
        recorder = Recorder(path, limit=limit, interval=interval)
        subject = _Subject(pid)
        summary: dict[str, Any] = {"file": str(path), "started": iso_time(time.time())}
        began = time.monotonic()

        def tell(reason: str | None) -> dict[str, Any]:
            return summary | {
                "ended": iso_time(time.time()),
                "frames": recorder.frames,
                "seconds": round(time.monotonic() - began, 3),
                "bytes": recorder.size,
                "processes": len(subject.seen),
                "reason": reason,
                "dropped_parts": recorder.dropped,
            }

        try:
            reason = None
            due = began
            while reason is None:
                try:
                    view = watch.tick()
                    keep = subject.members(view)
                    recorder.write(view, keep)
                    if on_frame is not None:
                        on_frame(tell(None))
                    if subject.over(view):
                        reason = "ended"
                        break
                    due = max(due + interval, time.monotonic())
                    last = began + duration if duration is not None else None
                    until = due if last is None else min(due, last)
                    if halt.wait(max(0.0, until - time.monotonic())):
                        reason = "stopped"
                    elif last is not None and time.monotonic() >= last:
                        reason = "duration"
                        recorder.write(view := watch.tick(), subject.members(view))
                except KeyboardInterrupt:
                    reason = "interrupted"
            recorder.end(reason)
        except OSError as error:
            recorder.abandon()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise
            raise ProctuiError(
                f"{path} can't be written any more: {error.strerror}",
                "what was recorded until now can be replayed",
                result=tell("full"),
            ) from error
        except BaseException:
            recorder.abandon()
            raise
        return tell(reason)
    finally:
        watch.close()


class _Subject:
    """Whom a recording is about: one process with its kin, or everybody."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._root: Identity | None = None
        self._family: dict[int, Identity] = {}
        self._had_job = False
        self.seen: set[tuple[object, ...]] = set()

    def members(self, view: View) -> frozenset[int] | None:
        """The pids to record; ``None`` for all."""
        procs = view.snapshot.procs
        if self._pid is None:
            born = view.snapshot.born if self.seen else procs
            self.seen.update(procs[pid].identity.key for pid in born if pid in procs)
            return None
        if self._root is None:
            row = procs.get(self._pid)
            if row is None:
                raise NoSuchProcess(
                    f"no process {self._pid}", "`proctui tree` shows those there are"
                )
            self._root = row.identity
            self._family[self._pid] = row.identity
        for pid, who in list(self._family.items()):
            row = procs.get(pid)
            if row is None or not row.identity.same(who):
                del self._family[pid]
        for pid in list(self._family):
            for child in view.descendants(pid):
                self._family.setdefault(child, procs[child].identity)
        self.seen.update(who.key for who in self._family.values())
        above = view.ancestors(self._pid) if self._pid in self._family else []
        return frozenset(self._family) | frozenset(above)

    def over(self, view: View) -> bool:
        """Whether nothing is left to record."""
        if self._pid is not None:
            return all(view.snapshot.procs[pid].state in "ZX" for pid in self._family)
        if view.job:
            self._had_job = True
        return self._had_job and view.session is not None and not view.job
