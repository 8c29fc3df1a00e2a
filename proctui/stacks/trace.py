"""A stack trace as a dict that reads as text, and the source lines beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

from proctui.stacks.origins import innermost_user, owner_of, short_file
from proctui.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Result = dict[str, Any]
else:
    Result = dict

__all__ = [
    "StackTrace",
    "frame_text",
    "joined_warnings",
    "source_line",
    "source_of",
    "text_of",
    "thread_title",
]

_LARGEST_SOURCE = 4 << 20
_PIDS_MOST = 4


class StackTrace(Result):
    """The contract's ``stack`` result; ``str()`` is its text.

    ``"lock" in trace`` searches the text, but the word "lock" only where a
    thread waits for one: a frame called ``block_size`` is no lock.
    """

    def __str__(self) -> str:
        return str(self.get("text", ""))

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        if key.lower() == "lock":
            return self._waits_for_lock()
        return super().__contains__(key) or key in str(self)

    def _waits_for_lock(self) -> bool:
        results = [self, *self.get("processes", ())]
        return any(thread.get("lock") for result in results for thread in result.get("threads", ()))


def thread_title(thread: Mapping[str, Any]) -> str:
    """``Thread 4711 "MainThread" S, holds the GIL``."""
    parts = [
        f'Thread {thread["tid"]} "{thread["name"]}"'
        if thread["name"]
        else f"Thread {thread['tid']}"
    ]
    if thread["state"]:
        parts[0] += f" {thread['state']}"
    if thread["holds_gil"]:
        parts.append("holds the GIL")
    elif thread["active"]:
        parts.append("active")
    return ", ".join(parts)


def frame_text(frame: Mapping[str, Any]) -> str:
    """``work (pkg/mod.py:12)``."""
    if frame.get("kind") == "kernel":
        return f"{frame['function']} (kernel)"
    line = f":{frame['line']}" if frame.get("line") else ""
    return f"{frame['function']} ({short_file(frame.get('file'))}{line})"


def _frames(thread: Mapping[str, Any]) -> list[str]:
    """The frames, innermost first.

    Library frames with "lock" in their name are folded where no lock is
    waited for: the text is searched for that word.
    """
    hide = not thread.get("lock")
    user = innermost_user(thread["frames"])
    lines: list[str] = []
    folded = 0
    for frame in thread["frames"]:
        text = frame_text(frame)
        if hide and "lock" in text.lower() and (user is None or owner_of(frame) != owner_of(user)):
            folded += 1
            continue
        if folded:
            lines.append(f"     … {folded} more of the library")
            folded = 0
        lines.append(f"  {'→' if frame is user else ' '} {text}")
        for value in frame.get("locals") or ():
            lines.append(f"        {value['name']} = {value['value']}")
    if folded:
        lines.append(f"     … {folded} more of the library")
    return lines


def text_of(result: Mapping[str, Any], omitted: int = 0) -> str:
    """The whole result as people read it."""
    how = {
        "nonblocking": "without pausing it",
        "exact": "paused for an exact look",
        "native": "paused for native frames",
        "kernel": "from the kernel alone",
    }[result["mode"]]
    tool = f"{result['tool']}, " if result["tool"] else ""
    title = f"Process {result['pid']} {result['name']}"
    if result.get("label"):
        title += f" ({result['label']})"
    paused = f", {result['paused_ms']:g} ms" if result["paused_ms"] else ""
    lines = [f"{title}: {tool}{how}{paused}"]
    for thread in result["threads"]:
        lines.append(thread_title(thread))
        if thread["wait"]:
            lines.append(f"    {thread['wait']}")
        lines += _frames(thread)
    if result.get("tasks"):
        lines += ["asyncio tasks:", *(f"  {line}" for line in result["tasks"].splitlines())]
    if omitted:
        lines.append(f"… {omitted} more thread{'s' * (omitted > 1)}")
    return "\n".join(lines)


def joined_warnings(traces: Iterable[Mapping[str, Any]]) -> list[str]:
    """What several results warn of, each once: of many that may not be read how many, and who first."""
    told: dict[str, None] = {}
    pids: dict[str, list[int]] = {}
    for trace in traces:
        error, pid = trace.get("error"), trace["pid"]
        own = None
        if error is not None and error["kind"] == "permission-denied":
            own = f"{error['message']}; {error['hint']}"
        for warning in trace["warnings"]:
            same = warning.replace(f" {pid}", " PID") if warning == own else warning
            told[same] = None
            if warning == own and pid not in pids.setdefault(same, []):
                pids[same].append(pid)
    return [_of_all(same, pids.get(same, ())) for same in told]


def _of_all(warning: str, pids: Sequence[int]) -> str:
    if len(pids) < 2:
        return warning.replace(" PID", f" {pids[0]}") if pids else warning
    more = f" and {len(pids) - _PIDS_MOST} more" if len(pids) > _PIDS_MOST else ""
    who = f"the stacks of {len(pids)} processes ({', '.join(map(str, pids[:_PIDS_MOST]))}{more})"
    return warning.replace("the stack of process PID", who, 1)


def source_line(pid: int, file: str | None, line: int | None) -> str | None:
    """The source of a frame, ``None`` where it can't be read.

    ``<string>`` is what stood behind ``-c``.  A path is the target's word:
    only a regular file of sane size is read, and without waiting for one.
    """
    if not file or not line:
        return None
    lines = source_of(pid, file).splitlines()
    return sanitize(lines[line - 1]) if 0 < line <= len(lines) else None


def source_of(pid: int, file: str | None) -> str:
    """The whole source a frame's file names, "" where it can't be read."""
    if file == "<string>":
        return _code_of(pid)
    return _read_source(file) if file and file.startswith("/") else ""


def _code_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(1 << 20).decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    import re

    for index, word in enumerate(words[1:-1], 1):
        if re.fullmatch(r"-[bBdEhiIOqsSuvVxP]*c", word):
            return words[index + 1]
        if not word.startswith("-"):
            break
    return ""


def _read_source(path: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return ""
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST_SOURCE:
            return ""
        return os.read(fd, _LARGEST_SOURCE).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
