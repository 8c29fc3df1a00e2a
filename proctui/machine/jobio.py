"""I/O of the job's processes, over held descriptors of ``/proc/PID/io`` (proc_pid_io(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from proctui.model import Io

__all__ = ["JobIo", "parse_io"]

_FIELDS = re.compile(rb"^(?:read|write)_bytes: (\d+)", re.M)
_DENIED = Io(None, None, None, None)


def parse_io(raw: bytes) -> tuple[int, int] | None:
    """Bytes that really were read from and written to storage."""
    found = _FIELDS.findall(raw)
    return (int(found[0]), int(found[1])) if len(found) == 2 else None


class JobIo:
    """Keeps one descriptor for each process of the job, up to ``budget``; the rest is reopened."""

    def __init__(self, root: str, budget: int) -> None:
        self._root = root
        self.budget = budget
        self._fds: dict[int, int] = {}
        self._last: dict[int, tuple[float, bytes, Io]] = {}

    def sample(self, now: float, pids: Iterable[int]) -> dict[int, Io]:
        """Figures of these processes; all ``None`` where the kernel refuses them."""
        wanted = set(pids)
        for pid in self._last.keys() - wanted | self._fds.keys() - wanted:
            self.drop(pid)
        return {pid: self._one(now, pid) for pid in wanted}

    def last(self) -> dict[int, Io]:
        """The figures of the last sample, of those that live."""
        return {pid: io for pid, (_, _, io) in self._last.items()}

    def _one(self, now: float, pid: int) -> Io:
        try:
            raw = self._read(pid)
        except OSError:
            return _DENIED
        figures = parse_io(raw)
        if figures is None:
            return _DENIED
        read, written = figures
        last = self._last.get(pid)
        if last is None or now <= last[0]:
            io = Io(read, written, None, None)
        elif raw == last[1] and last[2].read_rate == 0.0 and last[2].write_rate == 0.0:
            io = last[2]
        else:
            before = last[2]
            elapsed = now - last[0]
            io = Io(
                read,
                written,
                max(0, read - (before.read_bytes or 0)) / elapsed,
                max(0, written - (before.write_bytes or 0)) / elapsed,
            )
        self._last[pid] = (now, raw, io)
        return io

    def _read(self, pid: int) -> bytes:
        fd = self._fds.get(pid)
        if fd is not None:
            return os.pread(fd, 512, 0)
        fd = os.open(f"{self._root}/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)
        if len(self._fds) < self.budget:
            self._fds[pid] = fd
            return os.pread(fd, 512, 0)
        try:
            return os.pread(fd, 512, 0)
        finally:
            os.close(fd)

    def drop(self, pid: int) -> None:
        """Forget a process that is gone."""
        self._last.pop(pid, None)
        fd = self._fds.pop(pid, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        for pid in list(self._fds):
            self.drop(pid)
