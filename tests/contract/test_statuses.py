"""Exit statuses and error kinds, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.outside import PROCTUI, document, failure, proctui
from tests.support import python, running, wait_for

NOBODY = 4_000_000


@pytest.mark.parametrize("command", ["--version", "--help"])
def test_the_cheap_answers_do_not_import_textual(command: str) -> None:
    code = (
        "import sys\nfrom proctui.cli.main import main\n"
        "try:\n status = main(sys.argv[1:])\nexcept SystemExit as end:\n status = end.code\n"
        "assert not status, status\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('textual', 'rich', 'psutil')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("argv", "kind", "status"),
    [
        (["inspect", NOBODY], "no-such-process", 3),
        (["inspect", 2**40], "no-such-process", 3),
        (["inspect", 0], "bad-argument", 2),
        (["inspect", "abc"], "bad-argument", 2),
        (["stack", NOBODY], "no-such-process", 3),
        (["tree", NOBODY], "no-such-process", 3),
        (["memory", NOBODY], "no-such-process", 3),
        (["cpu", NOBODY], "no-such-process", 3),
        (["hangs", NOBODY], "no-such-process", 3),
        (["kill", NOBODY, "--yes"], "no-such-process", 3),
        (["kill", 1, "--yes"], "bad-argument", 2),
        (["kill", "-1", "--yes"], "bad-argument", 2),
        (["logs", "/nonexistent/file"], "no-such-file", 3),
        (["logs", "/tmp"], "bad-argument", 2),
        (["logs", "/dev/null"], "bad-argument", 2),
        (["logs", "--of", NOBODY], "no-such-process", 3),
        (["kill", os.getpid(), "--yes", "--session", "nope"], "no-such-session", 3),
        (["system", "gpu"], "bad-argument", 2),
        (["call", "nope", "{}"], "bad-argument", 2),
        (["call", "inspect_process", "{"], "bad-argument", 2),
        (["call", "inspect_process", "{}"], "bad-argument", 2),
        (["call", "inspect_process", '{"pid": true}'], "bad-argument", 2),
        (["call", "inspect_process", '{"pid": 12, "colour": 1}'], "bad-argument", 2),
        (["replay", "/nonexistent/file"], "no-such-file", 3),
        (["frobnicate"], "bad-argument", 2),
        (["inspect"], "bad-argument", 2),
    ],
)
def test_failures_have_one_document_and_the_right_status(
    argv: list[object], kind: str, status: int
) -> None:
    failure(*argv, kind=kind, status=status)


def test_without_json_trouble_goes_to_stderr() -> None:
    done = proctui("inspect", NOBODY, status=3)
    assert done.stdout == ""
    assert str(NOBODY) in done.stderr


def test_a_thread_id_is_no_process() -> None:
    code = "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,), daemon=True)\nt.start()\nprint(t.native_id, flush=True)\ntime.sleep(600)"
    with running(python(code), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        tid = int(child.stdout.readline())
        failure("inspect", tid, kind="no-such-process", status=3)
        failure("kill", tid, "--yes", kind="no-such-process", status=3)


def test_self_and_ancestors_are_refused() -> None:
    result = failure("kill", os.getpid(), "--yes", kind="refused", status=1)
    (entry,) = result["plan"]["refused"]
    assert entry["role"] == "ancestor"
    assert entry["reason"] and entry["evidence"]
    assert result["plan"]["targets"] == [] and result["results"] == []


def test_a_stranger_is_refused_and_lives() -> None:
    with running(["sleep", "600"]) as stranger:
        result = failure("kill", stranger.pid, "--yes", kind="refused", status=1)
        assert result["plan"]["refused"][0]["role"] in ("unknown", "baseline")
        assert stranger.poll() is None


def test_without_a_terminal_and_without_yes_it_refuses() -> None:
    with running(["sleep", "600"]) as stranger:
        failure("kill", stranger.pid, kind="refused", status=1)
        failure("adopt", stranger.pid, kind="refused", status=1)
        assert stranger.poll() is None


@pytest.mark.parametrize("command", [[], ["watch", "1"], ["demo"]])
def test_a_dashboard_without_a_terminal_says_so(command: list[str]) -> None:
    done = subprocess.run(
        [*PROCTUI, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )
    assert done.returncode in (1, 2, 5), done
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_interrupting_a_follow_is_130(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("INFO one\n")
    follow = subprocess.Popen(
        [*PROCTUI, "logs", str(log), "--follow", "--last", "1", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with follow:
        assert follow.stdout is not None
        assert "INFO one" in json.loads(follow.stdout.readline())["text"]
        follow.send_signal(2)
        assert follow.wait(30) == 130


def test_doctor_always_ends_well() -> None:
    checks = document("doctor")["checks"]
    assert {"name", "ok", "detail", "fix"} <= set(checks[0])
    assert any(check["name"] for check in checks)


def test_help_topics() -> None:
    listing = proctui("help", status=0).stdout
    for topic in ("agents", "mcp", "fence", "guarantees", "benchmarks"):
        assert topic in listing
        assert len(proctui("help", topic, status=0).stdout) > 200


def test_completion_of_a_closed_pipe_is_quiet() -> None:
    done = subprocess.run(
        f"{' '.join(PROCTUI)} help guarantees | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    wait_for(lambda: True)
