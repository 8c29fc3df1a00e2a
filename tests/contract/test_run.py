"""``proctui run --no-tui`` from outside: no difference but the report of strays."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.outside import PROCTUI, document, proctui
from tests.support import alive, python, wait_for

RUN = [*PROCTUI, "run", "--no-tui"]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -SEGV $$"], 139),
        (["/nonexistent/command"], 127),
        (["/etc/passwd"], 126),
        (["true"], 0),
    ],
)
def test_the_status_is_the_commands(command: list[str], status: int) -> None:
    assert proctui("run", "--no-tui", "--", *command).returncode == status


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--", "echo", "a", "--", "b"], "a -- b\n"),
        (["echo", "--fence", "-n"], "--fence -n\n"),
        (["echo", "a", "--", "b", "--", "c"], "a -- b -- c\n"),
    ],
)
def test_no_word_of_the_command_is_dropped(argv: list[str], said: str) -> None:
    done = proctui("run", "--no-tui", *argv, status=0)
    assert (done.stdout, done.stderr) == (said, "")


def test_output_is_exact_and_apart() -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4096); sys.stderr.write('trouble\\n')"
    done = subprocess.run(
        [*RUN, "--", *python(code)], capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.stdout == bytes(range(256)) * 4096
    assert done.stderr == b"trouble\n"


def test_a_hundred_megabytes_byte_for_byte(tmp_path: Path) -> None:
    data = tmp_path / "data"
    subprocess.run(f"head -c 100000000 /dev/urandom > {data}", shell=True, check=True)
    with data.open("rb") as stream:
        want = hashlib.file_digest(stream, "sha256").hexdigest()
    done = subprocess.run(
        f"{' '.join(RUN)} --log {tmp_path}/log -- cat {data} | sha256sum",
        shell=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.stdout.split()[0] == want, done.stderr
    with (tmp_path / "log").open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == want


def test_stdin_passes() -> None:
    done = subprocess.run(
        [*RUN, "--", "wc", "-c"], input="x" * 300_000, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "300000"


def test_a_closed_pipe_ends_it() -> None:
    done = subprocess.run(
        f"{' '.join(RUN)} -- yes | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.stdout == "y\n"


def test_command_substitution_returns_although_a_stray_lives(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ > {pidfile}; exec sleep 600' >/dev/null 2>&1 & while [ ! -s {pidfile} ]; do :; done; echo done"
    done = subprocess.run(
        [*RUN, "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    stray = int(pidfile.read_text())
    try:
        assert done.stdout == "done\n" and done.returncode == 0
        assert str(stray) in done.stderr
        (session,) = document("sessions")["sessions"]
        assert session["state"] == "orphaned"
        assert {"id", "label", "state", "leader", "started", "parent", "strays"} <= set(session)
        listed = document("strays")
        assert str(stray) in str(listed)
        ended = document("strays", "--end", "--yes")
        assert [result["outcome"] for result in ended["results"]] in (
            ["exited"],
            ["zombie"],
            ["gone"],
        )
        wait_for(lambda: not alive(stray))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stray, 9)
    wait_for(
        lambda: (
            document("sessions")["sessions"] == []
            or document("sessions")["sessions"][0]["state"] == "ended"
        )
    )


@pytest.mark.parametrize("clean", ["", "env -i "])
def test_strays_end(tmp_path: Path, clean: str) -> None:
    pidfile = tmp_path / "pid"
    script = (
        f"(setsid {clean}/bin/sh -c 'echo $$ > {pidfile}; exec sleep 600' >/dev/null 2>&1 &) ; "
        f"while [ ! -s {pidfile} ]; do :; done; exit 3"
    )
    done = subprocess.run(
        [*RUN, "--strays", "end", "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    wait_for(lambda: not alive(int(pidfile.read_text())))


def test_ctrl_c_reaches_the_job() -> None:
    code = "import signal, sys, time\nsignal.signal(2, lambda *a: sys.exit(5))\nprint('up', flush=True)\ntime.sleep(600)"
    job = subprocess.Popen(
        [*RUN, "--", *python(code)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    with job:
        assert job.stdout is not None and job.stdout.readline() == "up\n"
        job.send_signal(signal.SIGINT)
        assert job.wait(30) == 5


def test_a_killed_front_does_not_take_the_job(tmp_path: Path) -> None:
    mark = tmp_path / "finished"
    gate = tmp_path / "gate"
    code = (
        "import os, pathlib, signal, sys, time\nsignal.alarm(120)\nprint('up', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "print('x' * 100000, flush=True)\npathlib.Path(sys.argv[2]).touch()"
    )
    front = subprocess.Popen(
        [*RUN, "--", *python(code, str(gate), str(mark))],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with front:
        assert front.stdout is not None and front.stdout.readline() == "up\n"
        front.kill()
        front.wait()
        (session,) = document("sessions")["sessions"]
        assert session["state"] == "live"
        gate.touch()
        wait_for(mark.exists)


def test_a_missing_feature_is_125() -> None:
    code = (
        "import sys\nfrom proctui.jobs import fence\nfence.landlock_abi = lambda: 0\n"
        "from proctui.cli.main import main\nsys.exit(main(['fence', '--', 'true']))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        == 125
    )
