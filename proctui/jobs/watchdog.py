"""``--hang-after S``: when a job gets no further, say where it stands, and end it on request."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proctui.errors import BadArgument, ProctuiError
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
    a thread.  ``tell`` is called with the report's text, from that thread;
    :attr:`found` is the latest report as a document.
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
        self.found: dict[str, Any] | None = None
        self.ended = False
        self.count = 0
        self._progress = Progress(self._see, longest_gap=3 * self.period + 1.0)
        self._first: list[Any] | None = None
        self._thread: threading.Thread | None = None
        self._reported = False

    def _see(self) -> Sight:
        return see(self.job.runner() or os.getpid(), self.job.capture.values())

    @property
    def hanging(self) -> bool:
        """Whether the last report still holds: nothing has moved since."""
        return self._reported

    def check(self) -> None:
        """Look whether the job got on; begin a look at its stacks where it did not."""
        if self.job.poll() is not None:
            return
        quiet = self._progress.check()
        if self._thread is not None and self._thread.is_alive():
            return
        if quiet == 0.0:
            self._first, self._reported = None, False
        elif self._reported:
            return
        elif quiet >= self.seconds and self._first is not None:
            self._begin(self._conclude)
        elif quiet >= self.seconds / 2 and self._first is None:
            self._begin(self._look_first)

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
                self._first = None
                if self.job.poll() is None and error.status > 3:
                    self.tell(f"proctui: the job's stacks can't be read: {error}\n")

        self._thread = threading.Thread(target=guarded, name="watchdog", daemon=True)
        self._thread.start()

    def _look_first(self) -> None:
        from proctui.stacks import capture_many

        since = self._progress.since
        first = capture_many(self._progress.now.pids)
        if self._progress.since is since:
            self._first = first

    def _conclude(self) -> None:
        from proctui import stacks

        since, pids = self._progress.since, self._progress.now.pids
        second = stacks.capture_many(pids)
        if _moved(self._first or [], second):
            self._progress.reset()
            self._first = None
            return
        verdict = stacks.find_hangs(pids, min(_LOOK_SECONDS, self.seconds), descendants=False)
        if self._progress.since is not since or self.job.poll() is not None:
            # It went on while we looked.
            return
        traces = verdict.get("stacks") or second
        quiet = time.monotonic() - since.at
        self.count += 1
        self._reported = True
        self.found = {
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
        text = "\n".join(self._lines(quiet, verdict, traces))
        self._keep(text)
        self.tell(text)
        if self.then == "end":
            self._end()

    def _lines(self, quiet: float, verdict: dict[str, Any], traces: Sequence[Any]) -> list[str]:
        from proctui import stacks

        assert self.found is not None
        unreadable = sum(1 for trace in traces if trace.get("error"))
        lines = [
            f"proctui: no progress for {quiet:.0f} s: {self.found['seen']}, stacks unchanged",
            "",
            stacks.hang_text(verdict),
            "",
            stacks.merged_text(stacks.merge(traces)),
        ]
        if unreadable:
            lines.append(f"! the stacks of {unreadable} processes could not be read")
        if self.artifacts is not None:
            lines.append(f"proctui: kept in {self.artifacts}")
        return [*lines, ""]

    def _keep(self, text: str) -> None:
        """Text and JSON under ``--artifacts DIR``, and what a dashboard shows."""
        assert self.found is not None
        document = json.dumps(self.found, indent=1, default=str) + "\n"
        if self.artifacts is None:
            return
        try:
            (self.artifacts / f"hang-{self.count}.txt").write_text(text, "utf-8")
            (self.artifacts / f"hang-{self.count}.json").write_text(document, "utf-8")
        except OSError as error:
            self.tell(f"proctui: the report can't be kept: {error}\n")

    def _end(self) -> None:
        from proctui.jobs import ending

        self.ended = True
        result = ending.end_job(self.job.session_id)
        assert self.found is not None
        self.found["ended"] = result
        error = result.get("error")
        if error:
            self.ended = False
            self.tell(f"proctui: the job was not ended: {error['message']}\n")


def prepare(artifacts: str) -> Path:
    """The directory for reports, made where it is missing; raises what names it."""
    path = Path(artifacts)
    try:
        path.mkdir(parents=True, exist_ok=True)
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
