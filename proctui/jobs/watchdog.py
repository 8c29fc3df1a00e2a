"""``--hang-after S``: when a job gets no further, say where it stands, and end it on request."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proctui.errors import BadArgument, ProctuiError
from proctui.jobs.hang_report import ending_line, report_text
from proctui.jobs.progress import Progress, Sight, see
from proctui.units import iso_time

if TYPE_CHECKING:
    from proctui.jobs.launch import Job

__all__ = ["Watchdog"]

_LOOK_SECONDS = 2.0


class Watchdog:
    """Call :meth:`check` every :attr:`period` seconds; it never blocks.

    No progress means: no output, no CPU and no I/O beyond a trickle, and the
    stacks after ``seconds`` are those of half that time.  Stacks are taken in
    a thread.  ``tell`` is called with the report's text, from that thread.
    The report is ``job.hang``, for a dashboard, as long as nothing moves.
    """

    def __init__(
        self,
        job: Job,
        seconds: float,
        *,
        then: str = "report",
        artifacts: str | None = None,
        tell: Callable[[str], None],
    ) -> None:
        if not math.isfinite(seconds) or seconds <= 0:
            raise BadArgument("--hang-after needs a number of seconds above 0")
        self.job = job
        self.seconds = seconds
        self.then = then
        self.artifacts = None if artifacts is None else prepare(artifacts)
        self.tell = tell
        self.period = min(1.0, max(0.05, seconds / 10))
        self.ended = False
        self._progress = Progress(self._see, longest_gap=3 * self.period + 1.0)
        self._reported: Sight | None = None
        self._first: tuple[Sight, list[Any]] | None = None
        self._thread: threading.Thread | None = None

    def _see(self) -> Sight:
        return see(self.job.runner() or os.getpid(), self.job.capture.values())

    def check(self) -> None:
        """Look whether the job got on; begin a look at its stacks where it did not."""
        if self.job.poll() is not None:
            return
        quiet = self._progress.check()
        if self._thread is not None and self._thread.is_alive():
            return
        if self.job.hang is not None:
            if self._progress.starved:
                self._reported = self._progress.since
            if self._progress.since is self._reported:
                return
            self.job.hang = None
            if self.then == "report":
                self.tell("proctui: the job gets on again\n")
        first = self._first
        if first is None or first[0] is not self._progress.since:
            if quiet >= self.seconds / 2:
                self._begin(self._look_first)
        elif quiet >= self.seconds:
            self._begin(partial(self._conclude, *first))

    def wait(self, timeout: float | None = None) -> None:
        """Wait for a look that is under way."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _begin(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except ProctuiError as error:
                # Its processes ended while they were looked at: that is progress.
                self._progress.reset()
                if self.job.poll() is None and error.status > 3:
                    self.tell(f"proctui: the job's stacks can't be read: {error}\n")

        self._thread = threading.Thread(target=guarded, name="watchdog", daemon=True)
        self._thread.start()

    def _look_first(self) -> None:
        from proctui.stacks import capture_many

        since = self._progress.since
        self._first = since, list(capture_many(self._progress.now.pids))

    def _conclude(self, since: Sight, first: Sequence[Any]) -> None:
        from proctui import stacks

        pids = self._progress.now.pids
        second = stacks.capture_many(pids)
        if _moved(first, second):
            self._progress.reset()
            return
        verdict = stacks.find_hangs(pids, min(_LOOK_SECONDS, self.seconds), descendants=False)
        if self._progress.since is not since or self.job.poll() is not None:
            # It went on while we looked.
            return
        traces = verdict.get("stacks") or second
        quiet = time.monotonic() - since.at
        found: dict[str, Any] = {
            "session": self.job.session_id,
            "time": iso_time(time.time()),
            "quiet_seconds": round(quiet, 3),
            "seen": self._progress.words(),
            "verdicts": verdict["verdicts"],
            "graph": verdict["graph"],
            "stacks": [dict(trace) for trace in traces],
            "warnings": verdict.get("warnings", []),
            "then": self.then,
        }
        self._reported = since
        self.job.hang = found
        text = report_text(found, verdict, traces)
        name = None if self.artifacts is None else _free_name(self.artifacts)
        lead = "" if all(map(_ends_a_line, self.job.capture.values())) else "\n"
        self.tell(lead + text + self._keep(found, text, name))
        if self.then == "end":
            self._end(found)
            self._keep(found, text, name)

    def _keep(self, found: dict[str, Any], text: str, name: Path | None) -> str:
        """Text and JSON under ``--artifacts DIR``; where, in words."""
        if name is None:
            return ""
        document = json.dumps(found, indent=1, default=str) + "\n"
        try:
            name.with_suffix(".txt").write_text(text, "utf-8")
            name.with_suffix(".json").write_text(document, "utf-8")
        except OSError as error:
            return f"\nproctui: the report can't be kept: {error}\n"
        return f"\nproctui: kept in {name}.txt and .json\n"

    def _end(self, found: dict[str, Any]) -> None:
        from proctui.jobs import ending

        found["ended"] = result = ending.end_job(self.job.session_id)
        self.ended = any(row["outcome"] in ("exited", "zombie") for row in result["results"])
        told = ending_line(result)
        if told is not None:
            self.tell(told + "\n")
        error = result.get("error")
        if error:
            self.tell(f"proctui: the job was not ended: {error['message']}\n")


def _ends_a_line(path: Path) -> bool:
    """Whether what was printed so far ends with a line's end: a dot of pytest's does not."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return file.read(1) in (b"", b"\n")
    except OSError:
        return True


def _free_name(folder: Path) -> Path:
    """``hang-1``, or the first after it that is nobody's report yet; its text file is made."""
    names = (folder / f"hang-{number}" for number in itertools.count(1))
    return next(name for name in names if _is_made(name.with_suffix(".txt")))


def _is_made(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        # Writing it will meet the same, and tell it.
        return True
    return True


def prepare(artifacts: str) -> Path:
    """The directory for reports, made where it is missing; raises what names it."""
    path = Path(artifacts)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise BadArgument(
            f"--artifacts {artifacts}: {error.strerror}", "give a directory that can be written"
        ) from error
    return path


def _moved(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether a thread went on, came or went between two dumps of the same processes."""
    from proctui.stacks import compare

    common = {one["pid"] for one in first} & {one["pid"] for one in second}
    looks = [[one for one in look if one["pid"] in common] for look in (first, second)]
    return any(row["change"] != "same" for row in compare(looks))
