"""Follows growing files and keeps their newest lines; survives rotation and truncation."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Tail", "TailLine"]

_CHUNK = 1 << 18
_FIRST = 1 << 18


class TailLine(NamedTuple):
    """A line without its newline; ``stream`` is the name of its file."""

    stream: str
    text: str


class _File:
    """One file: where we stand in it, and the line that has not ended yet."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.inode: int | None = None
        self.position = 0
        self.rest = b""

    def read(self) -> list[TailLine]:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return []
        try:
            info = os.fstat(fd)
            if info.st_ino != self.inode or info.st_size < self.position:
                first = self.inode is None
                self.inode, self.rest = info.st_ino, b""
                self.position = max(0, info.st_size - _FIRST) if first else 0
            if info.st_size == self.position:
                return []
            if info.st_size - self.position > 8 * _CHUNK:
                self.position, self.rest = info.st_size - _FIRST, b""
            data = os.pread(fd, _CHUNK, self.position)
        except OSError:
            return []
        finally:
            os.close(fd)
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.rest = self.rest[-_CHUNK:]
        return [TailLine(self.name, line.decode("utf-8", "replace")) for line in lines]


class Tail:
    """The newest lines of several files, in the order in which they were seen to arrive."""

    def __init__(self, files: Sequence[tuple[str, Path]], limit: int = 20_000) -> None:
        self.files = [_File(name, path) for name, path in files]
        self.lines: deque[TailLine] = deque(maxlen=limit)
        self.dropped = 0

    def poll(self) -> int:
        """Read what is new; how many lines that were."""
        count = 0
        for file in self.files:
            fresh = file.read()
            count += len(fresh)
            overflow = len(self.lines) + len(fresh) - (self.lines.maxlen or 0)
            self.dropped += max(0, overflow)
            self.lines.extend(fresh)
        return count

    def unfinished(self) -> list[TailLine]:
        """Lines that have not ended yet: prompts and progress bars."""
        return [
            TailLine(file.name, file.rest.decode("utf-8", "replace"))
            for file in self.files
            if file.rest
        ]
