"""Hot functions of running Python processes, by ``py-spy record --nonblocking``.

Only threads that are at work are sampled: a hung job profiles empty.  Before
3.11 Python does not know its threads' ids, so that nobody can ask the kernel
which of them work: there the one that holds the GIL is.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.errors import BadArgument, NoSuchProcess, ProctuiError, ToolMissing, check_pid
from proctui.machine.identity import identify
from proctui.stacks import kernel, pyspy, starting, tooling
from proctui.stacks.tasks import python_version
from proctui.text import sanitize

__all__ = [
    "SAMPLES_PER_SECOND",
    "hot_functions",
    "hottest",
    "joined",
    "need_writable",
    "profile",
    "save_speedscope",
]

SAMPLES_PER_SECOND = 100
_FEWEST, _MOST = 10, 800
"""Samples a second of one process at least, and of all together: each costs half a millisecond."""
_KNOWS_THREADS = (3, 11)
_GRACE = 15.0
_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def hot_functions(
    pids: int | Iterable[int], seconds: float = 1.0, *, save: str | None = None, most: int = 50
) -> list[dict[str, Any]] | None:
    """Where Python processes spend their time: [``function file line share cumulative``].

    ``share`` (0 to 1) is of the samples in which the function itself ran,
    ``cumulative`` of those in which it was anywhere on the stack; ``line`` is
    the hottest one.  ``None`` where none of them is Python.  ``save`` writes a
    speedscope file.  Raises :class:`NoSuchProcess`, :class:`AccessDenied`,
    :class:`ToolMissing`.
    """
    document = profile(pids, seconds)
    if document is None:
        return None
    if save is not None:
        save_speedscope(document, save)
    return hottest(document)[:most]


def profile(pids: int | Iterable[int], seconds: float = 1.0) -> dict[str, Any] | None:
    """One speedscope document of all the processes; ``None`` where none is Python.

    py-spy counts whole seconds, so the time is rounded up to at least one.
    """
    wanted = [check_pid(pid) for pid in ([pids] if isinstance(pids, int) else pids)]
    tool = starting.find_tool("py-spy")
    if tool is None:
        raise pyspy.missing()
    whole = max(1, math.ceil(seconds))
    rate = min(SAMPLES_PER_SECOND, max(_FEWEST, _MOST // max(1, len(wanted))))
    documents: list[dict[str, Any]] = []
    errors: list[ProctuiError] = []
    with tempfile.TemporaryDirectory(prefix="proctui-") as folder:
        jobs = []
        for pid in wanted:
            try:
                identify(pid)
                if kernel.available() and kernel.glance(pid).kernel:
                    continue
            except NoSuchProcess as error:
                errors.append(error)
                continue
            jobs.append((pid, _argv(tool, pid, whole, rate, os.path.join(folder, str(pid)))))

        def done(key: object, outcome: tooling.Outcome) -> None:
            assert isinstance(key, int)
            found = _read(os.path.join(folder, str(key)), key)
            if found is not None:
                documents.append(found)
                return
            dump = pyspy.read_dump(key, outcome._replace(status=outcome.status or 1))
            if isinstance(dump.error, ProctuiError) and not isinstance(dump.error, ToolMissing):
                errors.append(dump.error)

        tooling.run_many(jobs, done, timeout=whole + _GRACE, at_once=max(1, len(jobs)))
    if documents:
        return joined(documents)
    if errors:
        raise errors[0]
    return None


def _argv(tool: str, pid: int, seconds: int, rate: int, path: str) -> list[str]:
    argv = [
        tool, "record", "--nonblocking", "--format", "speedscope", "--full-filenames",
        "--rate", str(rate), "--duration", str(seconds), "--output", path, "--pid", str(pid),
    ]  # fmt: skip
    version = python_version(pid)
    return argv if version is None or version >= _KNOWS_THREADS else [*argv, "--gil"]


def _read(path: str, pid: int) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return None
    for frame in document["shared"]["frames"]:
        for key in ("name", "file"):
            frame[key] = sanitize(str(frame.get(key) or ""))
    for one in document["profiles"]:
        one["name"] = sanitize(f"{pid}: {one['name']}")
    return dict(document)


def joined(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One document of many: of other processes, or of the same ones a while later."""
    frames: list[dict[str, Any]] = []
    profiles: dict[str, dict[str, Any]] = {}
    for document in documents:
        base = len(frames)
        frames += document["shared"]["frames"]
        for one in document["profiles"]:
            empty = {**one, "samples": [], "weights": [], "endValue": 0.0}
            whole = profiles.setdefault(one["name"], empty)
            whole["samples"] += [[index + base for index in sample] for sample in one["samples"]]
            whole["weights"] += one["weights"]
            whole["endValue"] += one["endValue"] - one["startValue"]
    return {
        "$schema": _SCHEMA,
        "name": "proctui",
        "exporter": "proctui",
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": list(profiles.values()),
    }


def hottest(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What :func:`hot_functions` tells of a profile, the hottest first."""
    frames = document["shared"]["frames"]
    own: Counter[tuple[str, str]] = Counter()
    anywhere: Counter[tuple[str, str]] = Counter()
    lines: dict[tuple[str, str], Counter[int | None]] = {}
    total = 0
    for one in document["profiles"]:
        for sample in one["samples"]:
            if not sample:
                continue
            total += 1
            # Outermost first (speedscope's file format).
            anywhere.update({(frames[i]["name"], frames[i]["file"]) for i in sample})
            leaf = frames[sample[-1]]
            key = (leaf["name"], leaf["file"])
            own[key] += 1
            lines.setdefault(key, Counter())[leaf.get("line")] += 1
    return [
        {
            "function": key[0],
            "file": key[1] or None,
            "line": lines[key].most_common(1)[0][0],
            "share": round(count / total, 4),
            "cumulative": round(anywhere[key] / total, 4),
        }
        for key, count in own.most_common()
    ]


def need_writable(path: str) -> None:
    """Raise :class:`BadArgument` where a file can't be written; one that is not there is made."""
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise BadArgument(f"{path} can't be written: {error.strerror}") from error


def save_speedscope(document: Mapping[str, Any], path: str) -> None:
    """Write a profile that https://www.speedscope.app opens; raises :class:`BadArgument`."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
    except OSError as error:
        raise BadArgument(f"{path} can't be written: {error.strerror}") from error
