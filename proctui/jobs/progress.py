"""Whether a job gets on: its output, its CPU time, its reads and writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from proctui.jobs import family
from proctui.machine.stat import CLOCK_TICKS

__all__ = ["Progress", "Sight", "runner_of", "see"]

CPU_TRICKLE = 0.02
"""Seconds of CPU per second that waiting costs: polling loops, timers, heartbeats."""
IO_TRICKLE = 256.0
"""Bytes per second that are no progress: a heartbeat over a pipe."""


class Sight(NamedTuple):
    """One look: what was written so far, CPU seconds and bytes moved by each live process."""

    at: float
    output: tuple[tuple[int, int], ...]
    cpu: dict[tuple[int, int], float]
    moved: dict[tuple[int, int], int]
    unreadable: frozenset[int]

    @property
    def pids(self) -> list[int]:
        return [pid for pid, _ in self.cpu]


def see(root: int, captures: Iterable[Path]) -> Sight:
    """Look at everything alive below the runner ``root``."""
    cpu: dict[tuple[int, int], float] = {}
    moved: dict[tuple[int, int], int] = {}
    unreadable: set[int] = set()
    for member in family.walk(root):
        if member.zombie:
            continue
        key = (member.pid, member.line.start)
        cpu[key] = (member.line.utime + member.line.stime) / CLOCK_TICKS
        amount = _moved(member.pid)
        if amount is None:
            unreadable.add(member.pid)
        else:
            moved[key] = amount
    return Sight(time.monotonic(), tuple(map(_mark, captures)), cpu, moved, frozenset(unreadable))


def _mark(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except OSError:
        return (0, 0)
    return (info.st_ino, info.st_size)


def _moved(pid: int) -> int | None:
    """Bytes read and written through system calls (rchar, wchar: proc_pid_io(5))."""
    try:
        with open(f"/proc/{pid}/io", "rb") as file:
            words = file.read().split()
        return int(words[1]) + int(words[3])
    except (OSError, ValueError, IndexError):
        return None


class Progress:
    """Remembers since when nothing has moved.

    ``longest_gap`` are the seconds between two checks that still count.  A
    process that was born since counts with all it did; that alone is no
    progress, or a loop around ``sleep 1`` would look alive for ever.
    """

    def __init__(self, look: Callable[[], Sight], longest_gap: float = 5.0) -> None:
        self._look = look
        self.longest_gap = longest_gap
        self.since = look()
        self.now = self.since
        self.starved = False

    def check(self) -> float:
        """Seconds for which nothing has moved by now."""
        before, self.now = self.now, self._look()
        now = self.now
        elapsed = now.at - self.since.at
        moved = (
            now.output != self.since.output
            or _grown(self.since.cpu, now.cpu) > CPU_TRICKLE * elapsed + 0.1
            or _grown(self.since.moved, now.moved) > IO_TRICKLE * elapsed + 1024
        )
        # We were stopped or starved ourselves: whether the job moved meanwhile is not known.
        self.starved = not moved and now.at - before.at > self.longest_gap
        if moved or self.starved:
            self.reset()
        return now.at - self.since.at

    def reset(self) -> None:
        """Something moved."""
        self.since = self.now

    def words(self) -> str:
        """What was seen of it, for the report."""
        elapsed = max(0.001, self.now.at - self.since.at)
        share = 100 * _grown(self.since.cpu, self.now.cpu) / elapsed
        text = f"nothing printed, {share:.1f} % CPU, hardly any input or output"
        if self.now.unreadable:
            text += f" (that of {len(self.now.unreadable)} processes could not be read)"
        return text


def _grown(
    before: dict[tuple[int, int], float] | dict[tuple[int, int], int],
    now: dict[tuple[int, int], float] | dict[tuple[int, int], int],
) -> float:
    return sum(value - before.get(key, 0) for key, value in now.items())


def runner_of(directory: Path) -> int | None:
    """The pid of the runner that serves a session now, from its file."""
    import json

    try:
        found = json.loads((directory / "session.json").read_text())["runner"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    pid = found[1] if isinstance(found, list) and len(found) > 1 else None
    return pid if isinstance(pid, int) and Path(f"/proc/{pid}").exists() else None
