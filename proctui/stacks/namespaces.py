"""Process and thread ids as a process in a pid namespace below ours knows them (pid_namespaces(7)).

System calls and memory hold a process's own numbers; ``NSpid`` of
``/proc/PID/status`` lists a process's number in each namespace, ours first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["child_of", "inner_ids", "is_initial", "thread_of"]

_INITIAL = 0xEFFFFFFC
"""The inode of the machine's first pid namespace (PROC_PID_INIT_INO)."""


def is_initial() -> bool:
    """Whether we see every process of the machine: our pid namespace is the first one."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL
    except OSError:
        return False


def child_of(pid: int, inner: int) -> int | None:
    """The child that process ``pid`` knows as ``inner``, by our number."""
    depth = len(_ids(f"/proc/{pid}/status"))
    if depth <= 1:
        return inner
    return next(
        (one for one in _children(pid) if _ids(f"/proc/{one}/status")[depth - 1 :][:1] == [inner]),
        None,
    )


def inner_ids(pid: int, tids: Iterable[int]) -> dict[int, int]:
    """The threads ``tids`` of process ``pid`` by the numbers they have there."""
    if len(_ids(f"/proc/{pid}/status")) <= 1:
        return {tid: tid for tid in tids}
    found = {tid: _ids(f"/proc/{pid}/task/{tid}/status")[-1:] for tid in tids}
    return {ids[0]: tid for tid, ids in found.items() if ids}


def thread_of(pid: int, inner: int, tids: Iterable[int]) -> int | None:
    """Which of the threads ``tids`` of process ``pid`` has the number ``inner`` there."""
    return inner_ids(pid, tids).get(inner)


def _ids(path: str) -> list[int]:
    try:
        with open(path, "rb") as file:
            lines = file.read(4096).splitlines()
    except OSError:
        return []
    line = next((line for line in lines if line.startswith(b"NSpid:")), b"")
    return [int(word) for word in line.split()[1:]]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found
