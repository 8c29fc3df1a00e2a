"""Stacks of single processes: the result's form, the words, the refusals, and nothing changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from proctui import stacks
from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.stacks import kernel, starting
from tests.stacks.stage import as_nobody, cast, condition_of, nobody_environment
from tests.support import python, running, wait_for

KEYS = {"pid", "threads", "tool", "mode", "paused_ms", "warnings", "text"}
THREAD_KEYS = {"tid", "name", "state", "active", "holds_gil", "wait", "frames"}
FRAME_KEYS = {"function", "file", "line", "kind"}

BLOCKED_WRITER = "import os, sys; n = os.write(1, b'x' * 1_000_000); sys.stderr.write(str(n))"


def state_of(pid: int) -> str:
    return kernel.glance(pid).state


def blocked_writer(**options: Any) -> Any:
    return running(
        python(BLOCKED_WRITER), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def wait_writing(pid: int) -> None:
    wait_for(lambda: "writing to pipe:" in stacks.describe(pid), what="a blocked write")


def test_result_has_the_contracts_keys_and_is_json() -> None:
    with cast("lock_inversion") as actors:
        pid = actors["lock_inversion"].pid
        wait_for(lambda: "lock" in stacks.capture(pid))
        found = stacks.capture(pid)
        assert set(found) >= KEYS
        assert found["pid"] == pid and found["tool"] == "py-spy" and found["mode"] == "nonblocking"
        assert found["paused_ms"] == 0 and found["warnings"] == []
        for thread in found["threads"]:
            assert set(thread) >= THREAD_KEYS
            assert all(set(frame) >= FRAME_KEYS for frame in thread["frames"])
        by_name = {thread["name"]: thread for thread in found["threads"]}
        assert found["threads"][0]["tid"] == pid
        assert by_name["left"]["wait"] == "waiting for a lock"
        assert by_name["left"]["frames"][0]["function"].endswith("left")
        assert by_name["left"]["frames"][0]["kind"] == "python"
        assert json.loads(json.dumps(found)) == found
        assert str(found) == found["text"] and "waiting for a lock" in found


def test_without_all_threads_only_the_main_one_and_the_text_says_so() -> None:
    with cast("lock_inversion") as actors:
        found = stacks.capture(actors["lock_inversion"].pid, all_threads=False)
        assert [thread["tid"] for thread in found["threads"]] == [found["pid"]]
        assert "2 more threads" in str(found)


@pytest.mark.parametrize("play", ["sleeper", "periodic_worker", "idle_executor", "join_a_getter"])
def test_a_process_that_waits_for_no_lock_is_never_said_to(play: str) -> None:
    with cast(play) as actors:
        wait_for(lambda: state_of(actors[play].pid) == "S")
        found = stacks.capture(actors[play].pid)
        assert "lock" not in found
        assert "lock" not in str(found)


def test_a_function_named_after_locks_is_no_lock() -> None:
    code = "import time\ndef unlock_clock():\n    print('ready', flush=True); time.sleep(99)\nunlock_clock()"
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        wait_for(lambda: "unlock_clock" in stacks.capture(child.pid))
        found = stacks.capture(child.pid)
        assert "lock" not in found


def test_a_native_mutex_is_a_lock_with_its_owner() -> None:
    with cast("native_mutex") as actors:
        pid = actors["native_mutex"].pid
        wait_for(lambda: "lock" in stacks.capture(pid))
        main, *others = stacks.capture(pid)["threads"]
        assert not main["lock"]
        for one, other in (others, reversed(others)):
            words = f"waiting for a mutex (a lock) that thread {other['tid']} owns"
            assert one["wait"] == words == stacks.describe(pid, one["tid"])


def test_a_busy_thread_holds_the_gil() -> None:
    with cast("busy_loop") as actors:
        wait_for(lambda: "busy_loop" in stacks.capture(actors["busy_loop"].pid))
        thread = stacks.capture(actors["busy_loop"].pid)["threads"][0]
        assert thread["active"] and thread["state"] == "R" and thread["holds_gil"]
        assert thread["frames"][0]["function"] == "busy_loop"


def test_hostile_names_are_harmless() -> None:
    code = (
        "import threading, time\n"
        "t = threading.Thread(target=time.sleep, args=(99,), name='x\\x1b]0;pwn\\x07\\n[red]')\n"
        "t.start(); print('ready', flush=True)"
    )
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        found = stacks.capture(child.pid)
        assert "x␛]0;pwn␇␊[red]" in [thread["name"] for thread in found["threads"]]
        assert "\x1b" not in json.dumps(found, ensure_ascii=False)


def test_locals_are_shown_on_request_and_secrets_are_not() -> None:
    code = (
        "import time\n"
        "def f(answer, api_token):\n    print('ready', flush=True); time.sleep(99)\n"
        "f(42, 'hunter2hunter2')"
    )
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        wait_for(lambda: state_of(child.pid) == "S")
        frames = stacks.capture(child.pid, locals=True)["threads"][0]["frames"]
        values = {value["name"]: value["value"] for value in frames[0]["locals"]}
        assert values["answer"] == "42"
        assert "hunter2" not in values["api_token"]
        assert "locals" not in stacks.capture(child.pid)["threads"][0]["frames"][0]


def test_what_is_not_python_has_its_kernel_state() -> None:
    with running(["sleep", "99"]) as child:
        wait_for(lambda: state_of(child.pid) == "S")
        found = stacks.capture(child.pid)
        assert found["tool"] is None and found["mode"] == "kernel" and "error" not in found
        thread = found["threads"][0]
        assert thread["wait"].startswith("sleeping, at most")
        assert thread["frames"][0]["kind"] == "kernel"


def test_native_frames_of_what_is_not_python() -> None:
    if not (starting.find_tool("eu-stack") or starting.find_tool("gdb")):
        pytest.skip("neither eu-stack nor gdb is installed")
    with running(["sleep", "99"]) as child:
        wait_for(lambda: state_of(child.pid) == "S")
        found = stacks.capture(child.pid, native=True)
        if "error" in found:
            pytest.skip("native frames may not be read here")
        assert found["mode"] == "native" and found["tool"] in ("eu-stack", "gdb")
        assert found["paused_ms"] > 0
        assert found["threads"][0]["frames"][0]["kind"] == "native"
        assert any("nanosleep" in frame["function"] for frame in found["threads"][0]["frames"])


def test_native_frames_of_python_stand_among_its_own() -> None:
    with cast("sleeper") as actors:
        found = stacks.capture(actors["sleeper"].pid, native=True)
        kinds = {frame["kind"] for frame in found["threads"][0]["frames"]}
        assert found["mode"] == "native" and kinds == {"native", "python"}
        assert condition_of(actors["sleeper"].pid)["tracer"] == 0


def test_exact_pauses_and_measures_it() -> None:
    with cast("busy_loop") as actors:
        found = stacks.capture(actors["busy_loop"].pid, exact=True)
        assert found["mode"] == "exact" and 0 < found["paused_ms"] < 20_000
        assert wait_for(lambda: state_of(actors["busy_loop"].pid) == "R")


def test_zombies_and_kernel_threads_are_results() -> None:
    with cast("zombie") as actors:
        zombie = actors["zombie"].family()[1]
        found = stacks.capture(zombie)
        assert found["threads"][0]["state"] == "Z"
        assert found["threads"][0]["wait"] == "ended, not yet reaped by its parent"
        assert "error" not in found
    try:
        is_kernel = kernel.glance(2).kernel
    except NoSuchProcess:
        is_kernel = False
    if is_kernel:
        found = stacks.capture(2)
        assert found["mode"] == "kernel" and found["threads"] and "error" not in found


def test_a_blocked_writer_loses_nothing_by_default() -> None:
    with blocked_writer(env={**os.environ, "PYTHONUNBUFFERED": "1"}) as child:
        wait_writing(child.pid)
        for _ in range(3):
            found = stacks.capture(child.pid, locals=True)
        assert "writing to pipe:" in found["threads"][0]["wait"]
        stacks.find_hangs(child.pid, 0.2)
        assert len(child.stdout.read()) == 1_000_000
        assert child.stderr.read() == b"1000000"
        assert child.wait() == 0


@pytest.mark.parametrize("option", ["exact", "native"])
def test_a_blocked_writer_is_paused_only_when_asked_twice(option: str) -> None:
    with blocked_writer() as child:
        wait_writing(child.pid)
        with pytest.raises(RefusedError, match="cut a write"):
            stacks.capture(child.pid, **{option: True})
        assert condition_of(child.pid)["tracer"] == 0
        found = stacks.capture(child.pid, **{option: 2})
        assert found["mode"] == option and found["paused_ms"] > 0
        assert any("although" in warning for warning in found["warnings"])


@pytest.mark.parametrize("option", ["exact", "native"])
@pytest.mark.parametrize("play", ["stopped", "vfork_d_state"])
def test_no_tracer_is_started_in_state_d_or_t(play: str, option: str) -> None:
    with cast(play) as actors:
        pid = actors[play].pid
        wait_for(lambda: state_of(pid) in "DT")
        found = stacks.capture(pid, **{option: 2})
        assert found["mode"] == "nonblocking" and found["paused_ms"] == 0
        assert any(warning.startswith("not paused:") for warning in found["warnings"])
        assert found["threads"][0]["frames"]


def test_no_second_tracer() -> None:
    if not starting.find_tool("gdb"):
        pytest.skip("gdb is not installed")
    with cast("sleeper") as actors:
        pid = actors["sleeper"].pid
        with running(
            ["gdb", "-nx", "-q", "-p", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ):
            wait_for(lambda: condition_of(pid)["tracer"] != 0)
            wait_for(lambda: state_of(pid) == "t")
            found = stacks.capture(pid, exact=True)
            assert found["paused_ms"] == 0
            assert any("traces it" in warning for warning in found["warnings"])


@pytest.mark.parametrize("pid", [True, 0, -1, 1.0, "12"])
def test_a_pid_is_a_plain_number(pid: Any) -> None:
    with pytest.raises(BadArgument):
        stacks.capture(pid)


def test_nobody_has_the_pid() -> None:
    with pytest.raises(NoSuchProcess):
        stacks.capture(2**22 - 1)


def test_a_threads_id_is_no_process() -> None:
    ids: list[int] = []
    done = threading.Event()
    thread = threading.Thread(target=lambda: (ids.append(threading.get_native_id()), done.wait()))
    thread.start()
    try:
        wait_for(lambda: ids)
        with pytest.raises(NoSuchProcess):
            stacks.capture(ids[0])
    finally:
        done.set()
        thread.join()


def test_without_py_spy_the_kernels_part_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proctui.stacks.pyspy.find_tool", lambda name: None)
    with cast("sleeper") as actors:
        wait_for(lambda: state_of(actors["sleeper"].pid) == "S")
        found = stacks.capture(actors["sleeper"].pid)
        assert found["error"]["kind"] == "tool-missing"
        assert found["error"]["hint"] == f"{sys.executable} -m pip install py-spy"
        assert found["threads"][0]["wait"].startswith("sleeping")


def test_a_stuck_tool_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "py-spy"
    fake.write_text("#!/bin/sh\nexec sleep 99\n")
    fake.chmod(0o755)
    monkeypatch.setattr("proctui.stacks.pyspy.find_tool", lambda name: str(fake))
    with cast("sleeper") as actors:
        wait_for(lambda: state_of(actors["sleeper"].pid) == "S")
        found = stacks.capture(actors["sleeper"].pid, timeout=0.3)
        assert "py-spy took too long and was ended" in found["warnings"]
        assert found["threads"][0]["wait"].startswith("sleeping")


def test_what_ends_while_it_is_looked_at_is_no_such_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running(["sleep", "99"]) as child:
        fake = tmp_path / "py-spy"
        fake.write_text(f"#!/bin/sh\nkill -9 {child.pid}\nexit 1\n")
        fake.chmod(0o755)
        monkeypatch.setattr("proctui.stacks.pyspy.find_tool", lambda name: str(fake))
        reaper = threading.Thread(target=child.wait)
        reaper.start()

        def gone() -> bool:
            try:
                stacks.capture(child.pid)
            except NoSuchProcess:
                return True
            return False

        wait_for(gone)
        reaper.join()


def test_many_come_one_by_one_and_in_order() -> None:
    names = ("sleeper", "busy_loop", "shell", "idle_server", "stopped")
    with cast(*names) as actors:
        pids = [actors[name].pid for name in names]
        came: list[int] = []
        found = stacks.capture_many([*pids, 2**22 - 1], lambda one: came.append(one["pid"]))
        assert [one["pid"] for one in found] == pids
        assert sorted(came) == sorted(pids)
        assert [one["tool"] for one in found] == ["py-spy", "py-spy", None, "py-spy", "py-spy"]


def test_an_ordinary_user_sees_his_own_and_is_told_about_others(tmp_path: Path) -> None:
    prefix = as_nobody()
    if prefix is None:
        pytest.skip("needs root, setpriv and a Python for everybody")
    code = "import json, sys; from proctui import stacks; print(json.dumps(stacks.capture(int(sys.argv[1]))))"

    def look(pid: int) -> dict[str, Any]:
        done = subprocess.run(
            [*prefix, "-c", code, str(pid)],
            capture_output=True,
            env=nobody_environment(),
            cwd="/",
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    with cast("sleeper") as actors:
        wait_for(lambda: state_of(actors["sleeper"].pid) == "S")
        found = look(actors["sleeper"].pid)
        assert found["error"]["kind"] == "permission-denied"
        assert found["error"]["hint"].endswith(f"-m proctui stack {actors['sleeper'].pid}")
        assert {"wait", "frames"} <= set(found["denied"])
        assert found["threads"][0]["state"] == "S"
    with running(
        [*prefix, "-c", "import time; print('ready', flush=True); time.sleep(99)"],
        stdout=subprocess.PIPE,
        cwd="/",
    ) as child:
        assert child.stdout.readline()
        wait_for(lambda: state_of(child.pid) == "S")
        found = look(child.pid)
        assert "error" not in found, found["warnings"]
        assert found["threads"][0]["wait"].startswith("sleeping")
        assert condition_of(child.pid)["tracer"] == 0


def test_a_stop_that_was_not_there_before_is_told_with_its_cure() -> None:
    from proctui.machine.identity import identify
    from proctui.stacks.assemble import after_check
    from proctui.stacks.preflight import preflight

    with cast("sleeper") as actors:
        pid = actors["sleeper"].pid
        before = preflight(pid, identify(pid))
        assert after_check(before) == []
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: state_of(pid) == "T")
        (warning,) = after_check(before)
        assert f"proctui kill {pid} --signal CONT" in warning
        os.kill(pid, signal.SIGCONT)
