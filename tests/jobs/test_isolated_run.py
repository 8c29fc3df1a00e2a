"""``run --isolate``: the command in a pid namespace of its own, all else as ever."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from proctui.jobs import fence, isolate
from tests.contract.outside import document
from tests.support import alive, python, running, wait_for

_REASON = isolate.missing()
pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(_REASON is not None, reason=str(_REASON)),
]
RUN = [sys.executable, "-m", "proctui", "run", "--no-tui", "--isolate"]


def run(*argv: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *options, "--", *argv],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def test_the_machine_has_no_name_inside_and_an_outsider_lives() -> None:
    with running(python("import time; time.sleep(600)")) as outsider:
        done = run("sh", "-c", f"kill {outsider.pid} 2>/dev/null || echo refused; echo $$")
        assert done.stdout == "refused\n2\n"
        assert alive(outsider.pid)


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (("sh", "-c", "exit 7"), 7, ""),
        (("sh", "-c", "kill -TERM $$"), 143, ""),
        (("/nonexistent",), 127, "no such file"),
        (("/dev/null",), 126, "permission denied"),
    ],
)
def test_the_status_and_the_reason_are_the_command_s(
    argv: tuple[str, ...], status: int, said: str
) -> None:
    done = run(*argv)
    assert done.returncode == status
    assert said in done.stderr.lower() and done.stdout == ""


@pytest.mark.skipif(fence.missing() is not None, reason=str(fence.missing()))
def test_both_walls_stand_at_once() -> None:
    done = run("cat", "/proc/self/status", options=("--fence",))
    assert done.returncode == 0
    assert "NoNewPrivs:\t1" in done.stdout and "Seccomp:\t2" in done.stdout


def test_nothing_is_left_behind_to_be_a_stray() -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*RUN, "--", "sh", "-c", "setsid sleep 600 & exit 3"],
        pass_fds=(writing,),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as front:
        os.close(writing)
        _, said = front.communicate(timeout=120)
    assert front.returncode == 3 and said == b""
    # End of file: the kernel ended the last one that could write.
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == b""


def test_a_reader_that_goes_ends_the_command() -> None:
    shell = " ".join([*RUN, "--", "yes", "|", "head", "-1"])
    done = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "y\n"


def test_the_guard_ends_what_runs_inside() -> None:
    with running([*RUN, "--", "sh", "-c", "sleep 600 & wait"], stdin=subprocess.DEVNULL) as front:

        def leaders() -> list[int]:
            listed = document("sessions")["sessions"]
            return [one["leader"]["pid"] for one in listed if one["state"] == "live"]

        (leader,) = wait_for(leaders)
        done = document("kill", leader, "--tree", "--yes", "--grace", "1")
        assert {one["outcome"] for one in done["results"]} <= {"exited", "zombie", "gone"}
        assert front.wait(timeout=120) != 0
