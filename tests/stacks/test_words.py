"""What waits are called: the kernel's part in words, Python's leaves, names of processes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctui.stacks import calls, catalogue, kernel, origins, syscalls
from proctui.stacks.kernel import Call, ThreadLook
from proctui.stacks.names import label_by_frames, label_of, label_of_pid
from proctui.stacks.waits import describe
from tests.stacks.stage import cast
from tests.support import python, running, wait_for

X86_64 = {name: number for number, name in syscalls.table("x86_64").items()}


def sleeping(name: str, *args: int, state: str = "S", wchan: str | None = None) -> ThreadLook:
    number = next(n for n, known in syscalls.table().items() if known == name)
    full = (*args, *([0] * (6 - len(args))))
    return ThreadLook(
        os.getpid(), os.getpid(), "x", state, 0, wchan, Call(number, full), False, False
    )


@pytest.mark.parametrize(
    ("look", "kind", "timed", "words"),
    [
        (lambda: sleeping("wait4", 2346), "exit", False, "waiting for the exit of 2346"),
        (lambda: sleeping("wait4", 2**64 - 1), "exit", False, "waiting for any child to exit"),
        (lambda: sleeping("waitid", 1, 99), "exit", False, "waiting for the exit of 99"),
        (lambda: sleeping("futex", 4096, 128), "futex", False, "waiting on a futex without a time limit"),
        (
            lambda: sleeping("futex", 4096, 0),
            "futex",
            False,
            "waiting on a futex that other processes may share without a time limit",
        ),
        (lambda: sleeping("rt_sigsuspend"), "signal", False, "waiting for a signal without a time limit"),
        (lambda: sleeping("restart_syscall"), "restarted", True, None),
        (lambda: sleeping("io_uring_enter"), "unknown", False, "waiting for io_uring"),
        (lambda: sleeping("semop"), "unknown", False, None),
        (lambda: sleeping("read", state="T"), "stopped", False, "stopped by a signal"),
        (lambda: sleeping("read", state="Z"), "zombie", False, "ended, not yet reaped by its parent"),
        (
            lambda: sleeping("fsync", state="D", wchan="folio_wait"),
            "disk",
            False,
            "in an uninterruptible sleep in fsync, kernel function folio_wait",
        ),
        (lambda: sleeping("clone", 0x4000, state="D"), "vfork", False, None),
    ],
)  # fmt: skip
def test_a_call_in_words(
    look: Callable[[], ThreadLook], kind: str, timed: bool, words: str | None
) -> None:
    wait = calls.interpret(look())
    assert (wait.kind, wait.timed) == (kind, timed)
    assert words is None or wait.words == words


def test_a_32_bit_programs_numbers_are_not_taken_for_ours() -> None:
    wait = calls.interpret(sleeping("wait4", 5), compat=True)
    assert wait.kind == "unknown"


def test_an_unreadable_thread_is_said_to_be() -> None:
    look = ThreadLook(1, 1, "x", "S", 0, None, None, False, True)
    assert calls.interpret(look).words == "sleeping; what for may not be read"


@settings(deadline=None)
@given(
    st.sampled_from(sorted(syscalls.table())),
    st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
    st.sampled_from("SDRTtZXIP?"),
)
def test_any_call_with_any_arguments_has_words(number: int, args: list[int], state: str) -> None:
    look = ThreadLook(
        2**22 - 1, 2**22 - 1, "x", state, 0, None, Call(number, tuple(args)), False, False
    )
    wait = calls.interpret(look)
    assert wait.words and wait.words.isprintable()
    assert wait.kind == "file-lock" or not re.search("lock", wait.words, re.I)


def test_both_tables_know_the_same_waits() -> None:
    generic = set(syscalls.table("aarch64").values())
    missing = {"poll", "select", "pause", "epoll_wait", "vfork", "fork", "open", "stat", "lstat"}
    assert set(X86_64) - generic <= missing
    assert syscalls.table("vax") == {} and syscalls.name_of(0, "x86_64") == "read"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def said(pid: int, words: str) -> str:
    return wait_for(lambda: told if words in (told := describe(pid)) else "", what=words)


def test_describe_names_the_only_writer() -> None:
    with running(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        told = said(child.pid, "reading pipe:[")
        assert told.endswith(f"whose only writer is {os.getpid()}")


def test_describe_names_the_peer_of_a_local_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
        with running(python(code)) as child:
            connection, _ = server.accept()
            with connection:
                told = said(child.pid, f"receiving from 127.0.0.1:{port}")
                assert told.endswith(f"whose other end is held by {os.getpid()}")


def test_describe_tells_the_time_limit_of_polls_and_selects() -> None:
    code = "import select, sys; {}"
    for call, words in (
        ("select.select([0], [], [], 500)", "select on pipe:["),
        ("p = select.poll(); p.register(0); p.poll(500_000)", "poll on pipe:["),
        ("e = select.epoll(); e.register(0); e.poll()", "epoll on pipe:["),
    ):
        source = code.format(call).replace("register(0)", "register(0, 1)")
        with running(python(source), stdin=subprocess.PIPE) as child:
            told = said(child.pid, words)
            assert ("without a time limit" in told) == (words.startswith("epoll"))


def test_describe_a_fifo_that_nobody_opens(tmp_path: Any) -> None:
    os.mkfifo(tmp_path / "f")
    with running(python(f"open({str(tmp_path / 'f')!r})")) as child:
        said(
            child.pid, f"opening the FIFO {tmp_path / 'f'}: waiting for its other end to be opened"
        )


def test_describe_a_thread() -> None:
    with cast("lock_inversion") as actors:
        pid = actors["lock_inversion"].pid
        tid = kernel.thread_ids(pid)[1]
        assert describe(pid, tid) == "waiting on a futex without a time limit"


# Python's leaves


def frames(*rows: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"function": f, "file": file, "line": 1, "kind": "python"} for f, file in rows]


LIB = "/usr/lib/python3.11/"


@pytest.mark.parametrize(
    ("rows", "kind", "idle", "lock"),
    [
        ([("_worker", LIB + "concurrent/futures/thread.py"), ("Thread.run", LIB + "threading.py")], "executor-worker", True, False),
        (
            [("SemLock.__enter__", LIB + "multiprocessing/synchronize.py"), ("Queue.get", LIB + "multiprocessing/queues.py"), ("_process_worker", LIB + "concurrent/futures/process.py")],
            "pool-worker",
            True,
            False,
        ),
        (
            [("SemLock.__enter__", LIB + "multiprocessing/synchronize.py"), ("work", "/home/me/app.py"), ("_process_worker", LIB + "concurrent/futures/process.py")],
            "lock",
            False,
            True,
        ),
        ([("Condition.wait", LIB + "threading.py"), ("Queue.get", LIB + "queue.py"), ("f", "/a.py")], "queue-get", True, False),
        ([("Condition.wait", LIB + "threading.py"), ("Event.wait", LIB + "threading.py"), ("f", "/a.py")], "event", False, False),
        ([("Condition.wait", LIB + "threading.py"), ("Semaphore.acquire", LIB + "threading.py"), ("f", "/a.py")], "lock", False, True),
        ([("Condition.wait", LIB + "threading.py"), ("Future.result", LIB + "concurrent/futures/_base.py"), ("f", "/a.py")], "future", False, False),
        ([("Thread._wait_for_tstate_lock", LIB + "threading.py"), ("Thread.join", LIB + "threading.py"), ("f", "/a.py")], "join", False, False),
        ([("EpollSelector.select", LIB + "selectors.py"), ("BaseEventLoop._run_once", LIB + "asyncio/base_events.py")], "asyncio", True, False),
        ([("_ModuleLock.acquire", "<frozen importlib._bootstrap>"), ("f", "/a.py")], "lock", False, True),
        ([("recv_into", LIB + "site-packages/x.py"), ("worker", LIB + "multiprocessing/pool.py")], "unknown", False, False),
    ],
)  # fmt: skip
def test_meaning_of_leaves(rows: list[tuple[str, str]], kind: str, idle: bool, lock: bool) -> None:
    found = catalogue.meaning(frames(*rows), futex=True)
    assert (found.kind, found.idle, found.lock) == (kind, idle, lock)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("    with self.lock:", "lock"),
        ("    a.acquire()", "lock"),
        ("    item = jobs.get()", "queue-get"),
        ("    thread.join()", "join"),
        ("    model.forward(x)", "native"),
        (None, "lock"),
    ],
)
def test_a_futex_below_the_programs_own_line_is_told_by_the_line(
    line: str | None, kind: str
) -> None:
    assert catalogue.meaning(frames(("f", "/a.py")), futex=True, line=lambda _: line).kind == kind


def test_without_a_futex_the_programs_own_line_is_not_judged() -> None:
    assert catalogue.meaning(frames(("f", "/a.py"))).kind == "unknown"


def test_innermost_user_frame_and_short_files() -> None:
    rows = frames(
        ("get", LIB + "queue.py"), ("work", "/srv/app/jobs.py"), ("run", LIB + "threading.py")
    )
    user = origins.innermost_user(rows)
    assert user is not None and user["function"] == "work"
    assert origins.short_file("/usr/lib/python3.11/site-packages/pkg/mod.py") == "pkg/mod.py"
    assert origins.short_file("/usr/lib/python3.11/queue.py") == "queue.py"
    assert origins.short_file("/srv/app/jobs.py") == "app/jobs.py"
    assert origins.innermost_user(frames(("get", LIB + "queue.py"))) is None


def test_the_script_that_starts_an_installed_program_is_not_where_it_is() -> None:
    arbiter = {**frames(("run", LIB + "site-packages/gunicorn/arbiter.py"))[0], "line": 200}
    starter = {**frames(("<module>", "/srv/venv/bin/gunicorn"))[0], "line": 8}
    assert origins.innermost_user([arbiter, starter]) == arbiter
    assert origins.innermost_user([starter]) == starter
    for own in ({"line": 40}, {"function": "main"}, {"file": "/srv/bin/job.py"}):
        assert origins.innermost_user([arbiter, {**starter, **own}]) == {**starter, **own}


# names


@pytest.mark.parametrize(
    ("argv", "environ", "label"),
    [
        (["[pytest-xdist running] test_a.py::test_hang"], {"PYTEST_XDIST_WORKER": "gw1"}, "pytest worker gw1, running test_a.py::test_hang"),
        (["[pytest-xdist idle]"], {}, "pytest worker, idle"),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(5)"], {}, "resource tracker"),
        (["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(1)", "--multiprocessing-fork"], {}, "spawned worker"),
        (["python", "-c", "from multiprocessing.forkserver import main"], {}, "fork server"),
        (["python", "train.py"], {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, "rank 3 of 8, local rank 1"),
        (["python", "train.py"], {"RANK": "x"}, None),
        (["python", "-m", "pytest", "-n", "2"], {}, "pytest"),
        (["gunicorn: worker [app]"], {}, "gunicorn worker [app]"),
        (["ray::Trainer.step"], {}, "ray Trainer.step"),
        (["sleep", "9"], {}, None),
    ],
)  # fmt: skip
def test_labels(argv: list[str], environ: dict[str, str], label: str | None) -> None:
    assert label_of(argv, environ) == label


@pytest.mark.parametrize(
    ("known", "rows", "label"),
    [
        (None, [("Connection._recv", "multiprocessing/connection.py"), ("worker", "multiprocessing/pool.py"), ("Process._bootstrap", "multiprocessing/process.py")], "pool worker"),
        (None, [("sleep", "/srv/app.py"), ("BaseProcess._bootstrap", "multiprocessing/process.py")], "multiprocessing worker"),
        ("rank 1 of 2", [("sleep", "/srv/app.py"), ("BaseProcess._bootstrap", "multiprocessing/process.py")], "rank 1 of 2"),
        ("pytest", [("helper", "/srv/app.py"), ("test_it", "/srv/tests/test_a.py"), ("pytest_pyfunc_call", "site-packages/_pytest/python.py")], "pytest, running tests/test_a.py::test_it"),
        ("pytest worker gw0, running a.py::test_it", [("test_it", "/srv/a.py"), ("pytest_pyfunc_call", "site-packages/_pytest/python.py")], "pytest worker gw0, running a.py::test_it"),
        ("pytest", [("worker", "/srv/multiprocessing/pool.py")], "pytest"),
        (None, [], None),
    ],
)  # fmt: skip
def test_frames_tell_what_a_command_line_cannot(
    known: str | None, rows: list[tuple[str, str]], label: str | None
) -> None:
    found = [(function, file if file.startswith("/") else LIB + file) for function, file in rows]
    assert label_by_frames(known, frames(*found)) == label


def test_label_of_a_living_process_reads_only_what_names_it() -> None:
    environ = {"RANK": "0", "WORLD_SIZE": "2", "API_TOKEN": "hunter2"}
    with running(["sleep", "99"], env={**os.environ, **environ}) as child:
        assert wait_for(lambda: label_of_pid(child.pid)) == "rank 0 of 2"


def test_thread_ids_main_first() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        ids = kernel.thread_ids(os.getpid())
        assert ids[0] == os.getpid() and thread.native_id in ids
    finally:
        done.set()
        thread.join()
