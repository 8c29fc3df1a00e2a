"""The keys of every result, from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.outside import document, proctui
from tests.support import python, running

INSPECT = (
    "pid identity name exe cmdline cwd user status role certainty evidence unchecked parent ancestors children pgid sid "
    "tty started age nice affinity cpu memory io connections fds threads limits cgroup container ctx_switches environ "
    "wait denied"
)


@pytest.fixture
def sleeper() -> Any:
    with running(python("import time; time.sleep(600)")) as child:
        yield child.pid


def has(result: dict[str, Any], names: str) -> None:
    missing = set(names.split()) - set(result)
    assert not missing, missing


def test_memory(sleeper: int) -> None:
    everything = document("memory")
    has(everything, "total processes system denied")
    has(everything["system"], "total available used percent swap_total swap_used")
    has(everything["processes"][0], "pid name role rss vms shared swap pss uss")
    one = document("memory", sleeper)
    (row,) = one["processes"]
    assert row["pid"] == sleeper and row["pss"] > 0 and one["total"] == row["rss"]
    assert all(row["pss"] is None for row in everything["processes"])


def test_cpu(sleeper: int) -> None:
    machine = document("cpu", "--duration", 1)
    has(machine, "usage basis duration user system cores per_core processes denied")
    assert machine["basis"] == "machine" and len(machine["per_core"]) == machine["cores"]
    one = document("cpu", sleeper, "--duration", 1)
    assert one["basis"] == "core" and one["processes"][0]["pid"] == sleeper
    has(one["processes"][0], "pid name role usage user system threads")


def test_inspect(sleeper: int) -> None:
    result = document("inspect", sleeper, "--threads", "--files")
    has(result, INSPECT)
    assert result["pid"] == sleeper
    assert result["identity"].startswith(f"{sleeper}:") or result["identity"].startswith(
        f"{sleeper}@"
    )
    assert isinstance(result["threads"], list) and isinstance(result["files"], list)
    has(result["parent"], "pid identity name role")
    assert result["parent"]["pid"] == os.getpid()
    plain = document("inspect", sleeper)
    assert isinstance(plain["threads"], int) and isinstance(plain["fds"], int)
    assert isinstance(plain["environ"], dict)


def test_system() -> None:
    result = document("system")
    has(result, "cpu memory disk network")
    has(result["cpu"], "usage per_core cores load")
    has(result["memory"], "total available used percent swap_total swap_used")
    has(result["disk"][0], "mount device total used free percent")
    has(result["network"][0], "nic bytes_sent bytes_recv")
    only = document("system", "memory")
    assert "memory" in only and not {"cpu", "disk", "network"} & set(only)


def test_tree(sleeper: int) -> None:
    result = document("tree", os.getpid())
    has(result["root"], "pid identity name cmdline role certainty status rss cpu children")
    assert sleeper in [child["pid"] for child in result["root"]["children"]]
    assert document("tree", os.getpid(), "--depth", 1)["root"]["children"] == []
    assert str(sleeper) in result["text"]


def test_stack(sleeper: int) -> None:
    result = document("stack", sleeper, "--all-threads")
    has(result, "pid threads tool mode paused_ms warnings text")
    thread = result["threads"][0]
    has(thread, "tid name state active holds_gil wait frames")
    has(thread["frames"][0], "function file line kind")
    assert result["paused_ms"] == 0
    tree = document("stack", sleeper, "--tree")
    assert tree["processes"][0]["pid"] == sleeper


def test_a_zombie_has_a_stack_result(sleeper: int) -> None:
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        result = document("stack", zombie.pid)
        assert result["threads"][0]["state"] == "Z"
        assert document("inspect", zombie.pid)["status"]
        assert document("stack", zombie.pid, "--exact")["paused_ms"] == 0


def test_hangs(sleeper: int) -> None:
    result = document("hangs", sleeper, "--for", 1)
    (verdict,) = result["verdicts"]
    has(verdict, "pid identity verdict evidence cycle")
    assert verdict["verdict"] == "idle"
    assert isinstance(result["graph"], list)


def test_logs(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("2026-01-02 03:04:05 INFO fine\n2026-01-02 03:04:06 ERROR broke\n")
    result = document("logs", log, "--pattern", "broke")
    has(result, "file scanned time levels pattern errors tracebacks timeline limits warnings")
    assert result["levels"]["error"] == 1 and result["levels"]["info"] == 1
    (match,) = result["pattern"]["matches"]
    assert match["line"] == 2 and match["byte"] == 30 and match["spans"] == [[26, 31]]
    assert (
        proctui("logs", log, "--pattern", "broke", "--matches", status=0).stdout
        == log.read_text().splitlines(True)[1]
    )


def test_logs_of_a_process(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    code = "import sys, time\nf = open(sys.argv[1], 'a')\nf.write('x'); f.flush()\nprint('up', flush=True)\ntime.sleep(600)"
    with running(python(code, str(log)), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline()
        result = document("logs", "--of", child.pid)
        has(result, "logs notes")
        assert [entry for entry in result["logs"] if entry["path"] == str(log)]
        has(result["logs"][0], "path pid fd deleted readable why")


def test_a_dry_run_shows_the_plan_and_signals_nothing() -> None:
    with running(["sleep", "600"]) as stranger:
        result = document("kill", stranger.pid, "--dry-run", "--yes", status=1)
        has(result["plan"], "id targets refused")
        has(result["plan"]["refused"][0], "pid identity role certainty evidence reason")
        assert stranger.poll() is None


def test_sessions_and_strays_of_nothing() -> None:
    assert document("sessions")["sessions"] == []


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    code = (
        "import ctypes, time\n"
        "ctypes.CDLL(None).prctl(15, b'\\x1b]0;P\\x07[/b]\\n', 0, 0, 0)\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    with running(
        python(code, "\x1b[31mred\nline", "--token=hunter2"), stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline()
        result = document("inspect", child.pid)
        assert "[/b]" in result["name"]
        assert "hunter2" not in str(result)
        text = proctui("tree", os.getpid(), status=0).stdout
        assert "\x1b" not in text and "hunter2" not in text
