"""Whoever of the front, the keeper and the runner is killed: no byte, no status, no job is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.jobs.stage import LINES, RUN, directory, ended, front, lines, pid_of, session, status
from tests.support import alive, wait_for

COUNT = 20_000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def job(gate: Path, count: int = COUNT) -> list[str]:
    return [sys.executable, "-I", "-c", LINES, str(count), str(gate)]


def captured(state: Path) -> bytes:
    here = directory(state)
    older = sorted(here.glob("stdout.0*.log"))
    return b"".join(path.read_bytes() for path in [*older, here / "stdout.log"])


def test_a_killed_runner_is_replaced_and_the_front_gets_everything(
    state: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    log = tmp_path / "log"
    with front(
        *job(gate), options=("--log", str(log)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        runner, keeper = pid_of(state, "runner"), pid_of(state, "keeper")
        leader = pid_of(state, "leader")
        os.kill(runner, signal.SIGKILL)
        wait_for(lambda: pid_of(state, "runner") == keeper)
        assert session(state)["state"] == "running"
        assert alive(leader)
        gate.touch()
        assert process.stderr is not None
        assert b"up\n" + process.stdout.read() == lines(COUNT)
        err = process.stderr.read()
        assert process.wait(30) == 0
        assert b"keeper went on" in err
        assert log.read_bytes() == lines(COUNT)
        assert captured(state) == lines(COUNT)
        wait_for(lambda: ended(state))


def test_a_runner_killed_in_the_middle_of_the_stream_loses_nothing(
    state: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    out = tmp_path / "out"
    with out.open("wb") as target, front(*job(gate, 15 * COUNT), stdout=target) as process:
        runner = pid_of(state, "runner")
        wait_for(lambda: out.stat().st_size > 1000)
        os.kill(runner, signal.SIGKILL)
        assert process.wait(60) == 0
        assert out.read_bytes() == lines(15 * COUNT)
        assert session(state)["runner"] == session(state)["keeper"]


def test_the_status_comes_also_from_the_keeper(state: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = "while [ ! -e $1 ]; do sleep 0.01; done; kill -SEGV $$"
    with front("sh", "-c", code, "sh", str(gate)) as process:
        os.kill(pid_of(state, "runner"), signal.SIGKILL)
        gate.touch()
        assert process.wait(30) == 139


@pytest.mark.parametrize("victims", [("front",), ("front", "runner"), ("front", "keeper")])
def test_the_job_outlives_its_front(state: Path, tmp_path: Path, victims: tuple[str, ...]) -> None:
    gate = tmp_path / "gate"
    with front(*job(gate), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        pids = [process.pid if role == "front" else pid_of(state, role) for role in victims]
        leader = pid_of(state, "leader")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.wait(30)
        gate.touch()
        wait_for(lambda: not alive(leader))
        wait_for(lambda: status(state).get("state") == "ended")
        assert status(state)["exit_status"] == 0
        assert captured(state) == lines(COUNT)
        wait_for(lambda: ended(state))


def test_orphans_of_a_killed_runners_job_are_still_known(state: Path, tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    code = (
        "while [ ! -e $1 ]; do sleep 0.01; done; "
        "(setsid env -i /bin/sh -c 'echo $$ > '$2'; exec sleep 60' >/dev/null 2>&1 &); "
        "while [ ! -s $2 ]; do sleep 0.01; done"
    )
    with front("sh", "-c", code, "sh", str(gate), str(mark), stderr=subprocess.PIPE) as process:
        os.kill(pid_of(state, "runner"), signal.SIGKILL)
        keeper = pid_of(state, "keeper")
        wait_for(lambda: pid_of(state, "runner") == keeper)
        gate.touch()
        _, err = process.communicate(timeout=120)
        stray = int(mark.read_text())
        assert str(stray).encode() in err
        assert status(state)["strays"][0]["pid"] == stray
        os.kill(stray, signal.SIGKILL)
        wait_for(lambda: ended(state))


def test_a_closed_terminal_leaves_the_job(state: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with front(*job(gate), stdout=subprocess.DEVNULL) as process:
        leader = pid_of(state, "leader")
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(30) == -signal.SIGHUP
        assert alive(leader)
        gate.touch()
        wait_for(lambda: ended(state))
        assert captured(state) == lines(COUNT)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts a tiny disk")
def test_a_full_disk_costs_the_capture_not_the_output(tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    want = b"".join(b"%08d\n" % n for n in range(2_000_000))
    code = "import sys\nsys.stdout.write(''.join('%08d\\n' % n for n in range(2_000_000)))"
    script = (
        f"mount -t tmpfs -o size=4m tiny {place} || exit 77\n"
        f"export XDG_STATE_HOME={place} PROCTUI_FALLBACK={place}/no\n"
        'exec "$@"'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *RUN, "--", sys.executable, "-c", code],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("no mounts allowed here")
    assert done.returncode == 0, done.stderr
    assert done.stdout == want
    assert done.stderr == b"proctui: the disk was full: not all output was kept\n"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no tmpfs")
def test_a_state_directory_in_memory_is_no_matter_for_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        monkeypatch.setenv("XDG_STATE_HOME", place)
        done = subprocess.run(
            [*RUN, "--", "sh", "-c", "echo out; echo err >&2"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        wait_for(lambda: ended(Path(place)))
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("order", [("keeper", "runner"), ("runner", "keeper")])
def test_even_both_of_them_can_go(state: Path, tmp_path: Path, order: tuple[str, str]) -> None:
    gate, log = tmp_path / "gate", tmp_path / "log"
    with front(
        *job(gate), options=("--log", str(log)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        pids = [pid_of(state, role) for role in order]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        gate.touch()
        assert b"up\n" + process.stdout.read() == lines(COUNT)
        assert b"both killed" in process.stderr.read() or process.wait(30) == 0
        # Where nobody tells how the job ended (before Linux 6.15) it is our failure, not a guess.
        assert process.wait(30) in (0, 125)
        assert log.read_bytes() == captured(state) == lines(COUNT)


def test_the_keeper_knows_the_jobs_group_again(state: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with front(*job(gate), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        before = session(state)
        os.kill(pid_of(state, "runner"), signal.SIGKILL)
        wait_for(lambda: session(state)["runner"] == session(state)["keeper"])
        wait_for(lambda: status(state).get("notes"))
        after = session(state)
        for field in ("cgroup", "caps", "leader", "pgid", "sid", "tty", "extra", "label"):
            assert after[field] == before[field], field
        assert after["baseline"]["count"] > 0
        gate.touch()
        process.stdout.read()
        assert process.wait(30) == 0
    wait_for(lambda: ended(state))
