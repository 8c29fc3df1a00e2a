"""The job's processes as its reaper sees them: everything below it, whatever they did.

A runner is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so an orphan of
the job becomes its child and nothing that the job started leaves its tree.
The kernel lists the children of each thread (proc_pid_task_children(5)), so
a look costs as much as the job is large, not as the machine is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from proctui.jobs.libc import LIBC
from proctui.machine import stat
from proctui.text import decode

__all__ = ["Member", "become_subreaper", "read", "walk"]

_PR_SET_CHILD_SUBREAPER = 36


class Member(NamedTuple):
    """One descendant, zombies included; ``depth`` 1 is a child of the root."""

    pid: int
    line: stat.StatLine
    depth: int

    @property
    def name(self) -> str:
        return decode(self.line.name)

    @property
    def zombie(self) -> bool:
        return self.line.state in "ZX" and self.line.threads <= 1


def become_subreaper() -> bool:
    """Make orphaned descendants our children; False where the system has no such thing."""
    try:
        return bool(LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, 65536)
        while len(data) % 65536 == 0 and (more := os.read(fd, 65536)):
            data += more
        return data
    except OSError:
        return None
    finally:
        os.close(fd)


def _children(pid: int, threads: int) -> list[int]:
    if threads <= 1:
        tids: Iterable[str] = (str(pid),)
    else:
        try:
            tids = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return []
    found: list[int] = []
    for tid in tids:
        raw = _read(f"/proc/{pid}/task/{tid}/children")
        if raw:
            found += map(int, raw.split())
    return found


def read(pid: int) -> stat.StatLine | None:
    """The stat line of ``pid``, ``None`` once it is gone."""
    raw = _read(f"/proc/{pid}/stat")
    try:
        return stat.parse(raw) if raw else None
    except ValueError:
        return None


def walk(root: int, without: Iterable[int] = ()) -> list[Member]:
    """Every descendant of ``root``, parents first; ``without`` are left out with all below them.

    Where a process changes parents during the look it may be missed or seen
    once too often; each pid is listed once.
    """
    seen = {root, *without}
    members: list[Member] = []
    queue = [(root, 1, 1)]
    for pid, threads, depth in queue:
        for child in _children(pid, threads):
            if child in seen:
                continue
            line = read(child)
            if line is None:
                continue
            seen.add(child)
            members.append(Member(child, line, depth))
            queue.append((child, line.threads, depth + 1))
    return members
