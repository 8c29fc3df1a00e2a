"""requirements.md's test cases 5 to 8: figures against programs whose use is known, and psutil."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctui import (
    get_cpu_profile,
    get_memory_profile,
    get_system_resources,
    inspect_process,
    show_process_tree,
)
from proctui.errors import BadArgument, NoSuchProcess
from tests.support import alive, python, running, wait_for

MB = 1 << 20


def reporting(code: str, *arguments: str) -> Any:
    """A child that runs ``code``, prints one JSON line and waits to be ended."""
    return running(
        python(code + "\nprint(flush=True)\nimport time\ntime.sleep(600)", *arguments),
        stdout=subprocess.PIPE,
        text=True,
    )


def ready(child: Any) -> str:
    line: str = child.stdout.readline()
    assert line, "the child ended early"
    return line


@pytest.fixture
def burner() -> Iterator[int]:
    """Burns one core, and says so once it does."""
    code = "print(flush=True)\nwhile True: pass"
    with running(python(code), stdout=subprocess.PIPE, text=True) as child:
        ready(child)
        yield child.pid


def test_case_5_memory_profiling_returns_accurate_data() -> None:
    allocate = "import sys\nkept = bytearray(int(sys.argv[1]))\nfor at in range(0, len(kept), 4096): kept[at] = 1"
    with reporting("") as small, reporting(allocate, str(120 * MB)) as large:
        ready(small)
        ready(large)
        less, more = get_memory_profile(small.pid), get_memory_profile(large.pid)
        (row,) = more["processes"]
        known = psutil.Process(large.pid).memory_full_info()
        for name in ("rss", "vms", "shared", "swap", "pss", "uss"):
            assert row[name] == pytest.approx(getattr(known, name), rel=0.02, abs=MB), name  # type: ignore[literal-required]
        assert more["total"] == row["rss"]
        assert 119 * MB < (more["total"] or 0) - (less["total"] or 0) < 125 * MB
        memory = psutil.virtual_memory()
        assert more["system"]["total"] == memory.total
        assert more["system"]["available"] == pytest.approx(memory.available, rel=0.1)


def test_children_are_counted_when_asked_for() -> None:
    code = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-I', '-c', 'import time; time.sleep(600)'])\nprint(child.pid, end='')"
    with reporting(code) as parent:
        child = int(ready(parent))
        wait_for(lambda: psutil.Process(child).memory_info().rss > 4 * MB)
        alone = get_memory_profile(parent.pid)
        both = get_memory_profile(parent.pid, include_children=True)
        assert [row["pid"] for row in alone["processes"]] == [parent.pid]
        assert [row["pid"] for row in both["processes"]] == [parent.pid, child]
        assert (both["total"] or 0) > (alone["total"] or 0)


def test_all_processes_are_in_the_machine_wide_profile() -> None:
    profile = get_memory_profile()
    own = next(row for row in profile["processes"] if row["pid"] == os.getpid())
    assert own["pss"] is None and own["role"] == "self"
    assert profile["total"] == sum(row["rss"] or 0 for row in profile["processes"])
    assert 1 in {row["pid"] for row in profile["processes"]}


def test_case_6_cpu_profiling_returns_accurate_data(burner: int) -> None:
    known = psutil.Process(burner)
    before, began = known.cpu_times(), time.monotonic()
    profile = get_cpu_profile(burner, duration=1)
    after, elapsed = known.cpu_times(), time.monotonic() - began
    share = (after.user + after.system - before.user - before.system) / elapsed * 100
    assert profile["basis"] == "core"
    # Whatever share the machine left it: both measured the same child at the same time.
    assert profile["usage"] == pytest.approx(share, abs=12)
    assert profile["usage"] == profile["processes"][0]["usage"]
    used = (profile["user"] or 0) + (profile["system"] or 0)
    assert used == pytest.approx((profile["usage"] or 0) * profile["duration"] / 100, abs=0.05)


def test_a_sleeper_uses_nothing_and_the_machine_is_told_as_a_whole(burner: int) -> None:
    with reporting("") as sleeper:
        ready(sleeper)
        assert get_cpu_profile(sleeper.pid, duration=0.3)["usage"] == 0
    profile = get_cpu_profile(duration=0.5)
    assert profile["basis"] == "machine"
    assert profile["cores"] == len(profile["per_core"]) == psutil.cpu_count()
    assert 0 < (profile["usage"] or 0) <= 100
    rows = {row["pid"]: row for row in profile["processes"]}
    assert rows[burner]["usage"] > 5
    assert rows[burner]["user"] > 0


def test_threads_and_children_are_in_the_cpu_profile() -> None:
    code = (
        "import subprocess, sys, threading, time\n"
        "child = subprocess.Popen([sys.executable, '-I', '-c', 'while True: pass'])\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "print(child.pid, end='')"
    )
    with reporting(code) as parent:
        child = int(ready(parent))
        profile = get_cpu_profile(parent.pid, duration=0.5)
        first, second = profile["processes"]
        assert first["pid"] == parent.pid and first["threads"] == 2
        assert second["pid"] == child and second["usage"] > 5
        assert profile["usage"] == first["usage"] < second["usage"]


def test_hot_functions_of_a_python_target() -> None:
    code = (
        "def furnace():\n  while True:\n    sum(range(1000))\n"
        "def main():\n  print(flush=True)\n  furnace()\nmain()"
    )
    with running(python(code), stdout=subprocess.PIPE, text=True) as child:
        ready(child)
        hot = get_cpu_profile(child.pid, duration=1)["hot"]
        assert hot and hot[0]["function"] == "furnace"
        assert 0 < hot[0]["share"] <= 1


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_that_ends_meanwhile_is_no_such_process(
    reaped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(["cat"], stdin=subprocess.PIPE) as child:

        def end_it(_seconds: float) -> None:
            child.stdin.close()
            if reaped:
                child.wait()
            else:
                wait_for(lambda: not alive(child.pid))

        monkeypatch.setattr("proctui.tools.cpu.pause", end_it)
        with pytest.raises(NoSuchProcess):
            get_cpu_profile(child.pid, duration=1)


@pytest.mark.parametrize("duration", [0, -1, True, "1", float("nan"), float("inf"), None])
def test_durations_that_make_no_sense(duration: Any) -> None:
    with pytest.raises(BadArgument):
        get_cpu_profile(duration=duration)


def test_case_7_process_inspection_works_for_all_processes() -> None:
    inspected = 0
    for pid in psutil.pids():
        try:
            result = inspect_process(pid, include_threads=True, include_files=True)
        except NoSuchProcess:
            continue
        inspected += 1
        json.dumps(result)
        assert result["pid"] == pid and result["identity"] and result["role"]
        for name in ("exe", "cwd", "environ", "limits", "fds", "io", "wait"):
            assert result[name] is not None or name in result["denied"], (pid, name)  # type: ignore[literal-required]
    assert inspected > 5


def test_inspection_of_known_files_sockets_threads(tmp_path: Path) -> None:
    log = tmp_path / "known file.log"
    code = (
        "import os, socket, sys, threading, time\n"
        "kept = open(sys.argv[1], 'a'); kept.write('x' * 77); kept.flush()\n"
        "listener = socket.create_server(('127.0.0.1', 0)); port = listener.getsockname()[1]\n"
        "one = socket.create_connection(('127.0.0.1', port)); two, _ = listener.accept()\n"
        "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.1', 0))\n"
        "pair = socket.socketpair()\n"
        "def burn():\n  open(f'/proc/self/task/{threading.get_native_id()}/comm', 'w').write('worker-bee')\n  time.sleep(600)\n"
        "threading.Thread(target=burn, daemon=True).start()\n"
        "while 'worker-bee' not in [open(f'/proc/self/task/{t}/comm').read().strip() for t in os.listdir('/proc/self/task')]: pass\n"
        "print(port, one.getsockname()[1], udp.getsockname()[1], end='')"
    )
    environ = {**os.environ, "API_TOKEN": "hunter2-very-secret", "PLAIN": "visible"}
    argv = python(
        code + "\nprint(flush=True)\nimport time\ntime.sleep(600)", str(log), "--password=hunter2"
    )
    with running(argv, stdout=subprocess.PIPE, text=True, env=environ, cwd=tmp_path) as child:
        port, client, datagram = map(int, ready(child).split())
        result = inspect_process(child.pid, include_threads=True, include_files=True)
        text = json.dumps(result)
        known = psutil.Process(child.pid)

    assert "hunter2" not in text and result["environ"] is not None
    assert result["environ"]["PLAIN"] == "visible" and result["environ"]["API_TOKEN"] != ""
    assert result["cwd"] == str(tmp_path) and result["ppid"] == os.getpid()  # type: ignore[typeddict-item]
    assert result["parent"]["pid"] == os.getpid() and result["parent"]["role"] == "self"  # type: ignore[index]
    assert result["age"] is not None and 0 <= result["age"] < 600
    assert known.pid == result["pid"]
    assert {one["name"] for one in result["threads"]} >= {"worker-bee"}
    assert all({"tid", "name", "state", "cpu"} <= set(one) for one in result["threads"])
    (kept,) = [one for one in result["files"] or () if one["path"] == str(log)]
    assert kept["position"] == 77 and kept["mode"] == "w" and "append" in kept["flags"]
    found = result["connections"] or []
    (listening,) = [one for one in found if one["state"] == "listen"]
    assert listening["local_port"] == port
    joined = {(one["local_port"], one["remote_port"]) for one in found if one["type"] == "tcp"}
    assert {(client, port), (port, client)} <= joined
    assert datagram in {one["local_port"] for one in found if one["type"] == "udp"}
    assert len([one for one in found if one["family"] == "unix"]) >= 2
    assert "sleep" in (result["wait"] or "")


def test_what_it_waits_for_is_said_in_words() -> None:
    with running(
        python("import sys; print('up', flush=True); sys.stdin.readline()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        ready(child)
        words = wait_for(
            lambda: "pipe:[" in (text := inspect_process(child.pid)["wait"] or "") and text
        )
        assert str(os.getpid()) in words


def test_case_8_system_resources_are_monitored_correctly() -> None:
    result = get_system_resources()
    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    assert result["memory"]["total"] == memory.total
    assert result["memory"]["used"] == pytest.approx(memory.total - memory.available, rel=0.1)
    root = next((one for one in result["disk"] if one["mount"] == "/"), None)
    if root is not None:
        assert root["total"] == disk.total and root["percent"] == pytest.approx(disk.percent, abs=1)
    nics = psutil.net_io_counters(pernic=True)
    for one in result["network"]:
        assert one["bytes_recv"] == pytest.approx(nics[one["nic"]].bytes_recv, rel=0.2, abs=MB)
    assert result["cpu"]["cores"] == psutil.cpu_count() == len(result["cpu"]["per_core"])
    assert result["cpu"]["load"] == pytest.approx(psutil.getloadavg(), abs=1)
    assert set(get_system_resources(["memory"])) == {"memory", "denied"}


def test_the_tree_is_the_callers_own_by_default() -> None:
    with reporting("") as child:
        ready(child)
        tree = show_process_tree()
        assert tree["root"]["pid"] == os.getpid() and tree["root"]["role"] == "self"
        (node,) = [one for one in tree["root"]["children"] if one["pid"] == child.pid]
        assert node["rss"] == pytest.approx(psutil.Process(child.pid).memory_info().rss, rel=0.1)
        assert str(child.pid) in tree["text"]
        assert show_process_tree(os.getpid(), depth=1)["root"]["children"] == []


@pytest.mark.parametrize("depth", [0, -1, True, 1.0, "2"])
def test_depths_that_make_no_sense(depth: Any) -> None:
    with pytest.raises(BadArgument):
        show_process_tree(depth=depth)


class _Index:
    def __index__(self) -> int:
        return 1


@pytest.mark.parametrize("pid", [0, -1, True, 1.0, "12", _Index(), 2**70 * -1])
def test_a_pid_is_checked_before_anything(pid: Any) -> None:
    for function in (get_memory_profile, get_cpu_profile, inspect_process, show_process_tree):
        with pytest.raises(BadArgument):
            function(pid)


@pytest.mark.parametrize("pid", [4_000_000, 2**40])
def test_a_pid_nobody_has(pid: int) -> None:
    for function in (get_memory_profile, get_cpu_profile, inspect_process, show_process_tree):
        with pytest.raises(NoSuchProcess):
            function(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_unprivileged_user_sees_what_he_may_and_is_told_of_the_rest(tmp_path: Path) -> None:
    sweep = (
        "import json, psutil, sys\nimport proctui\nkinds = set()\n"
        "for pid in psutil.pids():\n"
        "  try: result = proctui.inspect_process(pid, include_threads=True, include_files=True)\n"
        "  except proctui.NoSuchProcess: continue\n"
        "  json.dumps(result)\n"
        "  error = result.get('error')\n"
        "  kinds.add(error and error['kind'])\n"
        "  if error: assert result['denied'] and result['warnings'], pid\n"
        "for one in (proctui.get_memory_profile(), proctui.show_process_tree(1)): json.dumps(one)\n"
        "print(sorted(map(str, kinds)))"
    )
    assert "permission-denied" in as_nobody(sweep, tmp_path)


def as_nobody(code: str, state: Path, *arguments: object) -> str:
    line = ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c", code]
    done = subprocess.run(
        [*line, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "XDG_STATE_HOME": str(state)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_hot_functions_that_may_not_be_read_make_a_partial_result(tmp_path: Path) -> None:
    code = (
        "import json, sys, proctui\n"
        "print(json.dumps([proctui.get_cpu_profile(int(pid), 1) for pid in sys.argv[1:]]))"
    )
    with (
        running(python("import time; time.sleep(600)")) as script,
        running(["sleep", "9"]) as sleep,
    ):
        wait_for(lambda: Path(f"/proc/{script.pid}/comm").read_text().startswith("python"))
        one, other = json.loads(as_nobody(code, tmp_path, script.pid, sleep.pid))
    assert one["hot"] is None
    assert one["denied"] == ["hot"]
    assert one["error"]["kind"] == "permission-denied"
    assert one["warnings"]
    assert other["denied"] == []
    assert "error" not in other


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_ones_own_zombie_is_nothing_that_is_forbidden(tmp_path: Path) -> None:
    code = (
        "import json, os, proctui\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(0)\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print(json.dumps(proctui.inspect_process(pid, True, True)))"
    )
    result = json.loads(as_nobody(code, tmp_path))
    assert result["status"].startswith(("Z", "zombie"))
    assert "environ" in result["denied"]
    assert "error" not in result
