"""Plays a recording: a source of snapshots, and a watch for the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proctui import text
from proctui.awareness.tree import Tree
from proctui.awareness.view import View
from proctui.errors import BadArgument
from proctui.machine.history import History
from proctui.model import Identity, ProcInfo, Snapshot
from proctui.recording.container import MAGIC, VERSION, Damage, Reader
from proctui.recording.decode import Decoder
from proctui.units import clock_text

__all__ = ["Replay", "ReplayWatch", "open_replay"]

_BLOCKED = "this is a recording: its processes are not there to be signalled"


class Replay:
    """A recording as a :class:`proctui.model.Source`: each sample is its next frame.

    After the last frame that one is given again and :attr:`ended` is true.
    Damaged parts are stepped over and told in :attr:`warnings`.  Raises
    :class:`NoSuchFile`, :class:`AccessDenied`, and :class:`BadArgument` for
    what is no recording, was written by a newer proctui, or holds no frame.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._reader = Reader(self.path)
        self.warnings: list[str] = []
        self.decoder = Decoder("")
        self.header: dict[str, Any] = {}
        self.ended = False
        self.frames = 0
        self._closing: str | None = None
        self._broken = False
        self._frames: Iterator[Snapshot] = self._play()
        self._last: Snapshot | None = None
        self._next: Snapshot | None = None
        try:
            self._next = self._advance()
        except BaseException:
            self._reader.close()
            raise
        if self._next is None:
            self._reader.close()
            why = self.warnings[0] if self.warnings else f"{self.path} holds no frame"
            raise BadArgument(why, "nothing was recorded")

    @property
    def interval(self) -> float:
        """Seconds between frames, as the recorder was told."""
        value = self.header.get("interval")
        if isinstance(value, int | float) and 0.05 <= value <= 3600:
            return float(value)
        return 1.0

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """The next frame; ``job`` and ``fresh`` change nothing, what was recorded is what there is."""
        if self._last is None and self._next is not None:
            self._last, self._next = self._next, None
            return self._last
        following = None if fresh else self._advance()
        if following is not None:
            self._last = following
        assert self._last is not None
        return self._last

    def info(self, identity: Identity) -> ProcInfo | None:
        """What was recorded about this process."""
        return self.decoder.info(identity)

    def close(self) -> None:
        self._reader.close()

    def _advance(self) -> Snapshot | None:
        if self.ended:
            return None
        following = next(self._frames, None)
        if following is None:
            self.ended = True
            if self._closing is None:
                last = None if self._last is None else self._last.wall
                when = "" if last is None else f" after {clock_text(last)}"
                self._warn(f"the recording breaks off{when}: the recorder did not end it")
        else:
            self.frames += 1
        return following

    def _play(self) -> Iterator[Snapshot]:
        usable = False
        for item in self._reader.lines():
            if isinstance(item, Damage):
                self._warn(item.message)
                usable = False
                continue
            _, document = item
            try:
                if "proctui" in document:
                    self._take_header(document)
                    usable = False
                elif "end" in document:
                    self._closing = str(document["end"])
                elif usable or document.get("full"):
                    usable = True
                    yield self.decoder.apply(document)
            except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
                self._warn(f"{self.path}: a frame can't be read: {text.sanitize(str(error))[:200]}")
                usable = False

    def _take_header(self, header: dict[str, Any]) -> None:
        if header.get("proctui") != MAGIC or type(header.get("version")) is not int:
            raise ValueError("a header that no recorder writes")
        if header["version"] > VERSION:
            raise BadArgument(
                f"{self.path} was written by a newer proctui (format {header['version']})",
                "replay it with that version",
            )
        boot_id = text.sanitize(str(header.get("boot_id", "")))[:64] or "unknown"
        if self.decoder.boot_id != boot_id:
            self.decoder = Decoder(boot_id)
        self.header = header
        first = header.get("first")
        if self.frames == 0 and type(first) is int and first > 0:
            self._warn(f"the first {first} frames were dropped to keep the file small")

    def _warn(self, words: str) -> None:
        if words not in self.warnings:
            self.warnings.append(words)


class ReplayWatch:
    """What the dashboard looks through instead of a live watch.

    ``tick`` plays the next frame, ``look`` gives the present one.  Every view
    is blocked: nothing in it can be signalled.
    """

    def __init__(self, replay: Replay, *, history: int = 3600) -> None:
        self.source = replay
        self.view: View | None = None
        self._history = History(history)
        self._tree = Tree()

    @property
    def interval(self) -> float:
        """Seconds between frames."""
        return self.source.interval

    @property
    def ended(self) -> bool:
        """Whether the last frame was shown."""
        return self.source.ended

    def tick(self) -> View:
        """The next frame; at the end the last one again."""
        before = None if self.view is None else self.view.snapshot
        snapshot = self.source.sample()
        if snapshot is not before:
            self._history.record(snapshot, self.source.decoder.job)
        elif self.view is not None and self.view.warnings == self._warnings():
            return self.view
        return self._see(snapshot, before)

    def look(self) -> View:
        """The frame that is shown; a recording has no now."""
        return self.view if self.view is not None else self.tick()

    def skip(self, frames: int | None = None) -> View:
        """Play so many frames at once (default: all that are left)."""
        view = self.look()
        while not self.ended and (frames is None or frames > 0):
            view = self.tick()
            frames = None if frames is None else frames - 1
        return view

    def _see(self, snapshot: Snapshot, before: Snapshot | None) -> View:
        decoder = self.source.decoder
        if before is not snapshot:
            gone = [row.pid for row in snapshot.died]
            self._tree.update(snapshot.procs, snapshot.changed, gone)
            self._tree.place(decoder.moved)
        self.view = View(
            snapshot=snapshot,
            session=decoder.session,
            verdicts=decoder.verdicts,
            children=self._tree.children,
            parents=self._tree.moved,
            strays=decoder.strays,
            job=decoder.job,
            tombs=decoder.tombs,
            history=self._history,
            leader_alive=decoder.leader_alive,
            warnings=self._warnings(),
            blocked=_BLOCKED,
            lookup=self.source.info,
        )
        return self.view

    def _warnings(self) -> tuple[str, ...]:
        words = [*self.source.decoder.warnings, *self.source.warnings]
        if self.source.ended:
            words.append("the recording ends here")
        return tuple(words)

    def close(self) -> None:
        self.source.close()


def open_replay(path: Path | str, *, history: int = 3600) -> ReplayWatch:
    """Open a recording for the dashboard; raises what :class:`Replay` raises."""
    return ReplayWatch(Replay(path), history=history)
