"""``stack``, ``hangs`` and ``debug`` as a person and a script meet them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from proctui import stacks
from proctui.errors import AccessDenied, Changed, NotSupported
from proctui.killing import attach as attaching
from proctui.stacks import debugger, kernel
from tests.stacks.stage import as_nobody, cast, condition_of, nobody_environment
from tests.support import python, running, wait_for

PROCTUI = [sys.executable, "-m", "proctui"]
TOOLLESS = (
    "import sys; sys.executable = '/nowhere/python'\n"
    "from proctui.cli.main import main; sys.exit(main())"
)


def run(
    *arguments: object, command: list[str] = PROCTUI, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        **options,
    )


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == "", done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settled(pid: int, verdict: str) -> None:
    def judged() -> bool:
        rows = stacks.find_hangs(pid, 0.2, descendants=False)["verdicts"]
        return bool(rows) and rows[0]["verdict"] == verdict

    wait_for(judged, what=verdict)


# stack


def test_the_quick_way_and_the_parsers_say_the_same() -> None:
    with cast("lock_inversion") as actors:
        pid = actors["lock_inversion"].pid
        settled(pid, "deadlock-proven")
        quick, slow = (
            run("stack", pid, "--all-threads"),
            run("stack", pid, "--all-threads", "--locals"),
        )
        assert quick.returncode == slow.returncode == 0 and quick.stderr == slow.stderr == ""
        shared = [line for line in slow.stdout.splitlines() if " = " not in line]
        assert quick.stdout.splitlines() == shared
        main = run("stack", pid, "--json")
        assert [thread["tid"] for thread in document(main)["threads"]] == [pid]
        assert run("stack", pid).stdout == document(main)["text"] + "\n"


def test_a_tree_is_one_text_and_one_list() -> None:
    with cast("pipe_full") as actors:
        pids = actors["pipe_full"].family()
        settled(pids[1], "deadlock-proven")
        text = run("stack", pids[0], "--tree")
        assert text.returncode == 0
        assert [line.split()[1] for line in text.stdout.splitlines() if line[:8] == "Process "] == [
            str(pid) for pid in pids
        ]
        found = document(run("stack", pids[0], "--tree", "--json"))
        assert [one["pid"] for one in found["processes"]] == pids
        assert found["text"] == "\n\n".join(one["text"] for one in found["processes"])
        assert "processes" not in found["processes"][0]


def test_a_pause_that_would_cut_a_write_must_be_asked_for_twice() -> None:
    with running(
        python("import os, time; os.write(1, b'x' * 1_000_000); time.sleep(99)"),
        stdout=subprocess.PIPE,
    ) as child:
        wait_for(lambda: "writing to pipe:" in stacks.describe(child.pid))
        for option in ("--exact", "--native"):
            refused = run("stack", child.pid, option, "--json")
            assert refused.returncode == 1
            assert document(refused)["error"]["kind"] == "refused"
        assert "writing to pipe:" in stacks.describe(child.pid)
        twice = run("stack", child.pid, "--exact", "--exact", "--json")
        found = json.loads(twice.stdout)
        assert twice.returncode == 0 and found["mode"] == "exact" and found["paused_ms"] > 0


def test_without_py_spy_what_needs_none_is_shown(tmp_path: Path) -> None:
    toolless = [sys.executable, "-c", TOOLLESS]
    environ = {**os.environ, "PATH": str(tmp_path)}
    with cast("self_deadlock", "idle_executor") as actors, running(["sleep", "99"]) as other:
        settled(actors["self_deadlock"].pid, "deadlock-proven")
        wait_for(lambda: kernel.glance(other.pid).name == "sleep")
        for actor in actors.values():
            done = run("stack", actor.pid, "--json", command=toolless, env=environ)
            found = document(done)
            assert done.returncode == 5 and found["error"]["kind"] == "tool-missing"
            assert found["threads"][0]["wait"].startswith("waiting on a futex")
            # A futex may be a rest or a deadlock: which it is the frames would tell.
            done = run("hangs", actor.pid, "--for", 0.2, "--json", command=toolless, env=environ)
            found = document(done)
            assert done.returncode == 5 and found["error"]["kind"] == "tool-missing"
            assert found["verdicts"][0]["verdict"] == "waiting"
        done = run("stack", other.pid, "--json", command=toolless, env=environ)
        assert done.returncode == 0 and "error" not in document(done)


def test_native_frames_need_no_py_spy(tmp_path: Path) -> None:
    tool = shutil.which("eu-stack") or shutil.which("gdb")
    if tool is None:
        pytest.skip("neither eu-stack nor gdb is installed")
    (tmp_path / Path(tool).name).symlink_to(tool)
    with cast("sleeper") as actors:
        wait_for(lambda: kernel.glance(actors["sleeper"].pid).state == "S")
        done = run(
            "stack", actors["sleeper"].pid, "--native", "--json",
            command=[sys.executable, "-c", TOOLLESS], env={**os.environ, "PATH": str(tmp_path)},
        )  # fmt: skip
        found = json.loads(done.stdout)
        assert done.returncode == 0 and found["tool"] == Path(tool).name
        assert "py-spy is not installed" in found["warnings"]


def test_a_function_named_after_errors_is_none() -> None:
    code = "import time\ndef raise_error():\n    print(flush=True); time.sleep(99)\nraise_error()"
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        wait_for(lambda: "raise_error" in stacks.capture(child.pid))
        for arguments in (["stack", child.pid, "--tree"], ["hangs", child.pid, "--for", 0.1]):
            done = run(*arguments, "--json")
            assert done.returncode == 0 and "error" not in document(done)


# hangs


def test_a_hang_is_status_6_and_the_worst_comes_first() -> None:
    with cast("mixed_tree") as actors:
        pid = actors["mixed_tree"].pid
        settled(pid, "deadlock-proven")
        done = run("hangs", pid, "--for", 0.3)
        assert done.returncode == 6
        first = done.stdout.splitlines()[0].split()
        assert first[0] == "deadlock-proven" and first[1].startswith(f"{pid}:")
        found = run("hangs", pid, "--for", 0.3, "--json")
        assert found.returncode == 6
        rows = document(found)["verdicts"]
        assert {"pid", "identity", "verdict", "evidence", "cycle"} <= set(rows[0])
        assert {row["verdict"] for row in rows} == {"deadlock-proven", "idle"}


def test_names_tell_what_a_process_does() -> None:
    environ = {**os.environ, "RANK": "3", "WORLD_SIZE": "8"}
    with running(["sleep", "99"], env=environ) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        assert "sleep (rank 3 of 8)" in run("hangs", child.pid, "--for", 0.1).stdout
        assert "sleep (rank 3 of 8)" in run("stack", child.pid).stdout


def test_who_may_not_look_is_told_so_with_the_one_fix() -> None:
    prefix = as_nobody()
    if prefix is None:
        pytest.skip("needs root, setpriv and a Python for everybody")
    theirs = [*prefix, "-m", "proctui"]
    environ = {**nobody_environment(), "XDG_STATE_HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere"}
    with cast("sleeper") as actors:
        pid = actors["sleeper"].pid
        wait_for(lambda: kernel.glance(pid).state == "S")
        for arguments in (["stack", pid], ["hangs", pid, "--for", 0.1], ["debug", pid]):
            done = run(*arguments, "--json", command=theirs, env=environ, cwd="/")
            error = document(done)["error"]
            assert done.returncode == 4 and error["kind"] == "permission-denied", arguments
            command = "debug" if arguments[0] == "debug" else "stack"
            assert error["hint"].endswith(f"-m proctui {command} {pid}")
            assert error["hint"].startswith("sudo ")


# debug

needs_gdb = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")


@needs_gdb
def test_without_a_terminal_nobody_is_attached_to() -> None:
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        asked = run("debug", child.pid)
        assert asked.returncode == 1 and f"-nx -p {child.pid}" in asked.stdout
        for more in ((), ("--yes",)):
            done = run("debug", child.pid, "--json", *more)
            assert done.returncode == 1 and document(done)["error"]["kind"] == "refused"
        assert condition_of(child.pid)["tracer"] == 0


@needs_gdb
def test_gdb_takes_the_terminal_and_leaves_the_program_as_it_was() -> None:
    ours, theirs = pty.openpty()
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        with running(
            [*PROCTUI, "debug", str(child.pid), "--how", "gdb", "--yes"],
            stdin=theirs, stdout=theirs, stderr=theirs,
        ) as debug:  # fmt: skip
            heard = b""

            def hears(words: bytes) -> bool:
                nonlocal heard
                heard += os.read(ours, 1 << 16)
                return words in heard

            wait_for(lambda: hears(b"(gdb)"))
            assert condition_of(child.pid)["tracer"] != 0
            os.write(ours, b"detach\nquit\n")
            reader = threading.Thread(target=debug.wait)
            reader.start()
            reader.join(60)
            assert debug.returncode == 0
        after = condition_of(child.pid)
        assert not after["stopped"] and after["tracer"] == 0
    os.close(ours)
    os.close(theirs)


def test_whom_the_plan_named_is_attached_to_or_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(debugger, "find_tool", lambda name: "/bin/true")
    monkeypatch.setattr(debugger, "_has_terminal", lambda: True)
    done = attaching.Attached(0, "")
    monkeypatch.setattr(attaching, "attach", lambda *given, **more: ran.append(given) or done)
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        planned = debugger.plan(child.pid)["identity"]
        with pytest.raises(Changed):
            debugger.attach(child.pid, planned=f"{child.pid}:1")
        assert ran == []
        debugger.attach(child.pid, planned=planned)
        assert len(ran) == 1


def test_debugpy_is_said_to_listen_only_where_somebody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debugger, "_need_debugpy", lambda version: None)
    monkeypatch.setattr(attaching, "attach", lambda *_, **__: attaching.Attached(0, "already"))
    with cast("sleeper") as actors, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = debugger.attach(actors["sleeper"].pid, "debugpy", port)
        assert found["listen"] == f"127.0.0.1:{port}"
        server.close()
        with pytest.raises(NotSupported, match="could not attach"):
            debugger.attach(actors["sleeper"].pid, "debugpy", port)


def test_what_may_not_be_traced_is_denied_before_anything_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "may_attach", lambda pid: False)
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).name == "sleep")
        with pytest.raises(AccessDenied, match="the memory of process"):
            debugger.plan(child.pid)
