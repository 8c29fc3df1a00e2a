"""``--hang-after``: stacks, graph and verdict of a job that gets no further; 124 where it was ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.errors import BadArgument
from tests.jobs.stage import RUN, ended, front
from tests.support import ZOO, python, wait_for


def test_a_deadlock_is_reported_proven_and_ended(tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
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
    for words in ("no progress for", "deadlock-proven", "cycle:", "waiting for a lock"):
        assert words in done.stderr
    (text,) = place.glob("*.txt")
    assert "deadlock-proven" in text.read_text()
    (document,) = place.glob("*.json")
    found = json.loads(document.read_text())
    assert {"verdicts", "graph", "stacks", "warnings", "seen", "quiet_seconds"} <= set(found)
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


def test_nonsense_is_refused() -> None:
    from proctui.jobs.watchdog import Watchdog

    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadArgument):
            Watchdog(None, seconds, tell=print)  # type: ignore[arg-type]
