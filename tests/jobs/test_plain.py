"""``run --no-tui`` in scripts and pipelines: nothing is different."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.awareness import live, registry
from tests.jobs.stage import (
    RUN,
    directory,
    end_everything,
    ended,
    front,
    gone,
    pid_of,
    session,
    status,
)
from tests.support import python, wait_for


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def shell(script: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run a shell script in which ``RUN`` is the command up to its ``--``."""
    script = script.replace("RUN", " ".join(RUN))
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, timeout=120, check=False, **options
    )


def test_a_script_without_a_shebang_runs(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    assert shell(f"RUN -- {script} x").stdout == f"{script} x\n".encode()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nosuchcommand", 127, b"nosuchcommand: command not found"),
        ("/no/such/file", 127, b"/no/such/file: no such file"),
        ("/", 126, b"permission denied"),
        ("''", 127, b"command not found"),
    ],
)
def test_what_cannot_be_started_is_said(state: Path, command: str, code: int, words: bytes) -> None:
    done = shell(f"RUN -- {command}")
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr and done.stderr.count(b"\n") == 1
    wait_for(lambda: ended(state))


def test_our_own_trouble_is_125(tmp_path: Path) -> None:
    for script in (
        f"RUN --log {tmp_path}/no/such/log -- touch {tmp_path}/ran",
        f"XDG_STATE_HOME=/proc/no PROCTUI_FALLBACK=/proc/no/where RUN -- touch {tmp_path}/ran",
    ):
        done = shell(script)
        assert done.returncode == 125, done
        assert b"be written" in done.stderr and done.stdout == b""
        assert not (tmp_path / "ran").exists()


def test_mixed_output_keeps_its_order() -> None:
    code = "import os\nfor n in range(2000): os.write(1 + n % 2, b'%d\\n' % n)"
    done = subprocess.run(
        [*RUN, "--", *python(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    assert done.stdout.split() == [b"%d" % n for n in range(2000)]


def test_a_reader_that_leaves_ends_the_job(state: Path) -> None:
    done = shell("set -o pipefail; RUN -- yes | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout.split() == [b"y", b"141"]
    wait_for(lambda: ended(state))


def test_a_reader_that_leaves_is_noticed_before_anything_is_written() -> None:
    code = "import os, select, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\np = select.poll(); p.register(1, 0); p.poll(); os.write(1, b'x'); print('survived')"
    done = shell(f'RUN -- {sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}')
    assert done.stdout.split() == [b"141"]


def test_one_closed_stream_leaves_the_other() -> None:
    code = "import sys\nfor n in range(5): print('out', n, flush=True)\nsys.stderr.write('end\\n')"
    done = shell(f'(RUN -- {sys.executable} -c "{code}") 2>&1 >/dev/null')
    assert done.stdout == b"end\n"


def test_who_feeds_us_learns_that_nobody_reads() -> None:
    done = shell("yes | RUN -- sh -c 'exec 0<&-; echo closed'; echo ${PIPESTATUS[0]}")
    assert done.stdout.split() == [b"closed", b"141"]


def test_a_stalled_reader_stalls_the_job(tmp_path: Path) -> None:
    code = "import os, sys\nn = 0\nwhile True:\n    n += os.write(1, b'x' * 65536)\n    os.pwrite(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), b'%020d' % n, 0)"
    count = tmp_path / "count"
    with front(*python(code, str(count)), stdout=subprocess.PIPE) as process:
        wait_for(lambda: count.exists() and count.read_bytes())
        leader = pid_of(tmp_path / "state", "leader")
        wait_for(
            lambda: (
                Path(f"/proc/{leader}/wchan").read_text() in ("pipe_write", "anon_pipe_write", "0")
            )
        )
        written: list[int] = []

        def settled() -> bool:
            written.append(int(count.read_bytes()))
            return len(written) > 20 and written[-1] == written[-20]

        wait_for(settled)
        assert written[-1] < 32 << 20
        assert process.poll() is None


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_stays_closed(tmp_path: Path, closing: str) -> None:
    code = (
        "import os, sys\n"
        "def shut(n):\n"
        "    try: os.fstat(n)\n"
        "    except OSError: return True\n"
        "found = ' '.join(str(n) for n in range(3) if shut(n))\n"
        "open(sys.argv[1], 'w').write(found)"
    )
    script, plain, ours = tmp_path / "look.py", tmp_path / "plain", tmp_path / "ours"
    script.write_text(code)
    look = f"{sys.executable} {script}"
    assert shell(f"{look} {plain} {closing}").returncode == 0
    assert shell(f"RUN -- {look} {ours} {closing}").returncode == 0
    assert ours.read_text() == plain.read_text() != ""


def test_a_closed_output_is_an_error_of_the_command() -> None:
    assert shell("RUN -- /bin/echo hello >&-").returncode == 1


@pytest.mark.parametrize("settings", [{}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "C"}])
def test_the_environment_is_the_callers(settings: dict[str, str]) -> None:
    names = ("PATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "PROCTUI_FALLBACK")
    environ = {name: os.environ[name] for name in names} | settings
    for verb in (["run", "--no-tui"], ["fence"]):
        done = subprocess.run(
            [sys.executable, "-m", "proctui", *verb, "--", "/usr/bin/env"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 125:
            said = dict(line.split("=", 1) for line in done.stdout.splitlines())
            said.pop("PROCTUI_SESSION", None)
            assert said == environ, verb


def test_too_few_descriptors_are_our_trouble_not_the_commands() -> None:
    statuses = {
        shell(f"ulimit -n {limit}; RUN -- sh -c 'exit 3'").returncode for limit in range(14, 24)
    }
    assert statuses <= {3, 125} and 125 in statuses
    assert shell("ulimit -n 32; RUN -- sh -c 'ulimit -n'").stdout == b"32\n"


def test_other_descriptors_are_handed_on(tmp_path: Path) -> None:
    done = shell(f"RUN -- sh -c 'echo through >&7' 7>{tmp_path}/seven; cat {tmp_path}/seven")
    assert done.stdout == b"through\n"


def test_signals_are_reset_and_the_marker_is_there(state: Path) -> None:
    # Python itself ignores PIPE and XFSZ, so grep shows what it was given.
    done = shell("RUN -- sh -c 'grep SigIgn /proc/self/status; echo $PROCTUI_SESSION'")
    words = done.stdout.split()
    assert int(words[1], 16) == 0
    assert words[2].decode() == session(state)["session_id"]


def test_nested_markers_are_appended() -> None:
    outer = "0" * 31 + "1"
    done = shell(
        "RUN -- sh -c 'echo $PROCTUI_SESSION'", env={**os.environ, "PROCTUI_SESSION": outer}
    )
    assert re.fullmatch(rb"0{31}1:[0-9a-f]{32}\n", done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1])
def test_signals_are_passed_on(number: int) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(int(sys.argv[1]), lambda n, f: sys.exit(40 + n))\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    with front(*python(code, str(number)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(30) == 40 + number


def test_nothing_of_ours_carries_the_jobs_words(state: Path) -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with front(
        *python(code, "--unmistakable"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        runner, keeper = pid_of(state, "runner"), pid_of(state, "keeper")
        for pid in (process.pid, runner, keeper):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"unmistakable" not in words and words.startswith(b"proctui: "), words
            assert Path(f"/proc/{pid}/comm").read_text().startswith("proctui")
        assert os.getsid(runner) == runner and os.getsid(keeper) == keeper
        assert (
            os.readlink(f"/proc/{keeper}/fd/0")
            == os.readlink(f"/proc/{runner}/fd/1")
            == "/dev/null"
        )
        process.stdin.close()
        assert process.wait(30) == 0
        gone(runner, keeper)


def test_the_capture_is_bounded_and_the_cut_is_told(state: Path, tmp_path: Path) -> None:
    config = tmp_path / "config" / "proctui" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[run]\ncapture_mb = 64\n")
    done = shell("RUN -- head -c 120000000 /dev/zero | wc -c")
    assert done.stdout.split() == [b"120000000"]
    wait_for(lambda: ended(state))
    kept = sum(path.stat().st_size for path in directory(state).glob("stdout*.log"))
    assert 64 << 20 <= kept <= 96 << 20
    assert status(state)["cut"][0] == 120_000_000 - kept
    assert b"the beginning of the output is not kept with the session" in done.stderr
    assert b"64 MB" in done.stderr and done.stderr.count(b"\n") == 1


def test_files_are_private_and_the_end_is_certified(state: Path) -> None:
    done = shell("umask 0; RUN -- sh -c 'echo x; kill -ABRT $$'")
    assert done.returncode == 134
    wait_for(lambda: ended(state))
    here = directory(state)
    assert here.stat().st_mode & 0o777 == 0o700
    for path in here.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    told = status(state)
    assert (told["exit_status"], told["exit_code"], told["signal"]) == (134, None, "SIGABRT")
    assert told["max_rss"] > 0 and told["cpu"]["user"] >= 0 and told["ends"] == [2, 0]
    assert session(state)["exit_status"] == 134


def test_the_runner_tells_the_truth_and_resizes(state: Path) -> None:
    code = "import subprocess, sys\nchild = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True)\nsys.stdin.read()\nchild.kill()"
    with front(*python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        child = int(process.stdout.readline())
        pid_of(state, "leader")
        (found,) = registry.list_sessions()
        answer = live.ask(found, {"ask": "truth"})
        assert answer["ok"] and answer["session"]["session_id"] == found.id
        spawned = {entry["identity"][1]: entry for entry in answer["spawned"]}
        assert spawned[child]["certainty"] == "certain"
        assert str(pid_of(state, "leader")) in spawned[child]["evidence"][0]
        assert answer["baseline"] == (directory(state) / "baseline.jsonl").read_text()
        assert live.ask(found, {"ask": "status"})["status"]["state"] == "running"
        refused = live.ask(found, {"ask": "resize", "columns": 100, "rows": 30})
        assert refused["error"]["kind"] == "not-supported"
        assert live.ask(found, {"ask": "nonsense"})["ok"] is False
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_session_whose_directory_vanishes_goes_on(state: Path, tmp_path: Path) -> None:
    import shutil

    code = "import sys; print('up', flush=True); sys.stdin.read(); print('still here')"
    with front(*python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        shutil.rmtree(directory(state))
        process.stdin.close()
        assert process.stdout.read() == b"still here\n"
        assert process.wait(30) == 0


def test_a_stray_is_reported_with_how_to_end_it(state: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = (
        f"(setsid sh -c 'echo $$ > {mark}; exec sleep 60' >/dev/null 2>&1 &); "
        f"while [ ! -s {mark} ]; do sleep 0.01; done; exit 4"
    )
    try:
        done = shell(f"RUN -- sh -c {script!r}" if '"' in script else f'RUN -- sh -c "{script}"')
        assert done.returncode == 4
        assert b"1 process of it did not" in done.stderr and b"strays --end" in done.stderr
        assert re.search(rb"\d+  sleep \d+: (orphan of the job|child of)", done.stderr)
        assert session(state)["state"] == "running"
        assert status(state)["state"] == "orphaned"
    finally:
        end_everything(state)
        with contextlib.suppress(FileNotFoundError):
            gone(int(mark.read_text()))
    wait_for(lambda: ended(state))
