"""``--hang-after``: stacks, graph and verdict of a job that gets no further; 124 where it was ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proctui.errors import BadArgument
from proctui.jobs.progress import Sight
from proctui.jobs.watchdog import Watchdog
from tests.jobs.stage import RUN, ended, front
from tests.support import ZOO, python, wait_for


def test_a_deadlock_is_reported_proven_and_ended(tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
    place.mkdir()
    (place / "hang-1.txt").write_text("of another run")
    done = subprocess.run(
        [
            *RUN,
            "--hang-after",
            "0.6",
            "--then",
            "end",
            "--artifacts",
            str(place),
            "--",
            sys.executable,
            str(ZOO / "hangs.py"),
            "lock_inversion",
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert done.returncode == 124, done.stderr
    assert done.stdout == "ready\n"
    first = done.stderr.splitlines()[0]
    assert "no progress for" in first and "the job is deadlocked, proven: " in first
    for words in (
        "deadlock-proven",
        "cycle:",
        "waiting for a lock",
        "was ended, for it got no further: 1",
    ):
        assert words in done.stderr
    assert (place / "hang-1.txt").read_text() == "of another run"
    assert "deadlock-proven" in (place / "hang-2.txt").read_text()
    (document,) = place.glob("*.json")
    assert document.stem == "hang-2" and f"kept in {place}/hang-2.txt" in done.stderr
    found = json.loads(document.read_text())
    assert {"verdicts", "graph", "stacks", "warnings", "seen", "quiet_seconds"} <= set(found)
    assert found["ended"]["results"][0]["outcome"] in ("exited", "zombie")
    assert found["verdicts"][0]["verdict"] == "deadlock-proven"
    wait_for(lambda: ended(tmp_path / "state"))


def test_a_report_alone_lets_the_job_go_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = (
        "import os, sys, time\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.02)\n"
        "print('went on'); sys.exit(3)"
    )
    with front(
        *python(code, str(gate)),
        options=("--hang-after", "0.5", "--artifacts", str(tmp_path / "kept")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        assert b"no progress for" in process.stderr.readline()
        wait_for(lambda: list((tmp_path / "kept").glob("*.json")))
        gate.touch()
        assert process.stdout.read() == b"went on\n"
        process.stderr.read()
        assert process.wait(30) == 3


@pytest.mark.parametrize(
    "code",
    [
        "import time\nfor n in range(60): print(n, flush=True); time.sleep(0.05)",
        "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: pass",
        "import os, time\nr, w = os.pipe()\nfor n in range(60): os.write(w, b'x' * 9999); os.read(r, 9999); time.sleep(0.05)",
    ],
)
def test_what_gets_on_is_left_alone(code: str) -> None:
    done = subprocess.run(
        [*RUN, "--hang-after", "2", "--then", "end", "--", *python(code)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_slow_steps_are_progress_too() -> None:
    """Neither output nor CPU, but another line of its source each time."""
    code = "import time\n" + "time.sleep(0.35)\n" * 8
    done = subprocess.run(
        [*RUN, "--hang-after", "1.2", "--then", "end", "--", *python(code)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


class Quiet:
    """A job without processes that does nothing, until it does."""

    session_id = "no such session"
    hang: dict[str, Any] | None = None

    def __init__(self, tmp_path: Path) -> None:
        self.capture = {"output": tmp_path / "output"}
        self.capture["output"].write_text("")

    def runner(self) -> int:
        return 2**22 - 1

    def poll(self) -> None:
        return None


def patient(watchdog: Watchdog, condition: Callable[[], object]) -> None:
    def looked() -> bool:
        watchdog.check()
        watchdog.wait()
        return bool(condition())

    wait_for(looked)


def test_a_report_holds_until_something_moves(tmp_path: Path) -> None:
    job = Quiet(tmp_path)
    told: list[str] = []
    watchdog = Watchdog(job, 0.2, tell=told.append)  # type: ignore[arg-type]
    patient(watchdog, lambda: job.hang)
    for _ in range(5):
        watchdog.check()
        watchdog.wait()
    assert len(told) == 1 and told[0].startswith("proctui: no progress for")
    job.capture["output"].write_text("it goes on")
    watchdog.check()
    assert job.hang is None and told[1:] == ["proctui: the job gets on again\n"]
    patient(watchdog, lambda: job.hang)
    assert len(told) == 3 and told[2].startswith("\nproctui: no progress for")


def test_stacks_of_before_something_moved_are_no_witness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[int]] = []
    monkeypatch.setattr("proctui.stacks.capture_many", lambda pids: looks.append(pids) or [])
    now, written = 0.0, 0
    monkeypatch.setattr(
        "proctui.jobs.watchdog.see",
        lambda root, captures: Sight(now, ((1, written),), {}, {}, frozenset()),
    )
    job = Quiet(tmp_path)
    watchdog = Watchdog(job, 30.0, tell=print)  # type: ignore[arg-type]

    def passes(seconds: int) -> None:
        nonlocal now
        for _ in range(seconds):
            now += 1.0
            watchdog.check()
            watchdog.wait()

    passes(20)
    assert len(looks) == 1
    written = 7
    passes(14)
    assert len(looks) == 1
    passes(4)
    assert len(looks) == 2 and job.hang is None


def test_a_pause_of_our_own_is_no_progress_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctui.stacks.capture_many", lambda pids: [])
    now, written = 0.0, 0
    monkeypatch.setattr(
        "proctui.jobs.watchdog.see",
        lambda root, captures: Sight(now, ((1, written),), {}, {}, frozenset()),
    )
    job, told = Quiet(tmp_path), []
    watchdog = Watchdog(job, 0.2, tell=told.append)  # type: ignore[arg-type]

    def passes(seconds: float) -> None:
        nonlocal now
        now += seconds
        watchdog.check()
        watchdog.wait()

    while job.hang is None:
        passes(0.1)
    passes(600.0)
    passes(0.1)
    assert job.hang is not None and len(told) == 1
    written = 7
    passes(600.0)
    assert job.hang is None and told[1:] == ["proctui: the job gets on again\n"]


def test_what_ended_by_itself_was_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[dict[str, str]] = []
    document = {"plan": None, "results": results}
    monkeypatch.setattr("proctui.jobs.ending.end_job", lambda session: document)
    for outcome, by_us in ((None, False), ("gone", False), ("exited", True)):
        results[:] = [] if outcome is None else [{"outcome": outcome}]
        job = Quiet(tmp_path)
        watchdog = Watchdog(job, 0.1, then="end", tell=print)  # type: ignore[arg-type]
        patient(watchdog, lambda: job.hang)  # noqa: B023 - called at once
        assert watchdog.ended is by_us


def test_nonsense_is_refused() -> None:
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadArgument):
            Watchdog(None, seconds, tell=print)  # type: ignore[arg-type]
