"""What makes a set of waits closed, and what keeps it open however closed it looks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui import stacks
from proctui.stacks import kernel, memory, namespaces
from proctui.stacks.closed import ClosedSets
from proctui.stacks.graph import WaitGraph
from proctui.stacks.looking import Observation
from proctui.stacks.waits import describe
from proctui.stacks.world import World
from tests.killing.namespace import isolated
from tests.stacks.stage import cast, children_of
from tests.support import python, running, wait_for


def closed(pid: int) -> bool:
    return pid in WaitGraph(World(), [pid]).closed()


def verdict_of(pid: int) -> str:
    row = next(row for row in stacks.find_hangs(pid, 0.3)["verdicts"] if row["pid"] == pid)
    return str(row["verdict"])


# what rests


def test_threads_of_a_native_helper_wait_for_what_its_main_thread_reads(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    source, helper = tmp_path / "helper.c", tmp_path / "helper"
    source.write_text(
        "#include <pthread.h>\n#include <unistd.h>\n"
        "pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;\n"
        "pthread_cond_t work = PTHREAD_COND_INITIALIZER;\n"
        "void *worker(void *_) { pthread_mutex_lock(&mutex); pthread_cond_wait(&work, &mutex); return 0; }\n"
        "int main(int argc, char **_) {\n"
        "  pthread_t thread; char byte; pthread_create(&thread, 0, worker, 0);\n"
        "  if (argc > 1) pthread_join(thread, 0); else read(0, &byte, 1); }\n"
    )
    subprocess.run(["cc", "-pthread", "-w", "-o", helper, source], check=True)
    code = (
        "import subprocess, sys, threading\n"
        "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)\n"
        "threading.Event().wait()"
    )
    for arguments, expected in (((), "waiting"), (("join",), "deadlock-proven")):
        with running(python(code, str(helper), *arguments)) as child:
            (pid,) = wait_for(lambda top=child.pid: children_of(top))
            wait_for(lambda one=pid: len(kernel.thread_ids(one)) == 2 and closed(one))
            wait_for(lambda one=pid, what=expected: verdict_of(one) == what)


def test_a_handler_that_sends_workers_home_opens_no_lock() -> None:
    code = (
        "import signal, threading\n"
        "signal.signal(signal.SIGTERM, lambda *_: home.set())\n"
        "home, lock = threading.Event(), threading.Lock()\n"
        "lock.acquire()\n"
        "thread = threading.Thread(target=lambda: {}); thread.start(); thread.join()"
    )
    for wait, expected in (("home.wait()", "waiting"), ("lock.acquire()", "deadlock-proven")):
        with running(python(code.format(wait))) as child:
            wait_for(lambda pid=child.pid: len(kernel.thread_ids(pid)) == 2 and closed(pid))
            wait_for(lambda pid=child.pid, what=expected: verdict_of(pid) == what)


# who was not asked about


def test_whom_it_waits_for_is_looked_at_too_and_gets_no_row() -> None:
    with cast("pipe_full") as actors:
        parent, child = actors["pipe_full"].family()
        wait_for(lambda: closed(child))
        found = stacks.find_hangs(child, 0.3)
        (row,) = found["verdicts"]
        assert row["pid"] == child and row["verdict"] == "deadlock-proven", row
        assert set(row["cycle"]) == {parent, child}


def test_a_stranger_is_no_member_until_it_was_looked_at() -> None:
    with cast("pipe_full") as actors:
        parent, child = actors["pipe_full"].family()
        wait_for(lambda: closed(child))
        observation = Observation()
        observation.look([child], 0.1)
        sets = ClosedSets(WaitGraph(observation.world, observation.seen), observation.seen)
        assert sets.members == set() and sets.strangers() == {parent}
        observation.look([parent], 0.1)
        sets = ClosedSets(WaitGraph(observation.world, observation.seen), observation.seen)
        assert sets.members == {parent, child} and sets.strangers() == set()


def test_who_ran_since_the_look_is_no_member() -> None:
    """The graph is made after the look: what changes in between makes no proof of what was."""
    with cast("self_deadlock") as actors:
        pid = actors["self_deadlock"].pid
        wait_for(lambda: stacks.find_hangs(pid, 0.1)["verdicts"][0]["verdict"] == "deadlock-proven")
        observation = Observation()
        observation.look([pid], 0.1)
        graph = WaitGraph(observation.world, observation.seen)
        beats = len(actors["self_deadlock"].beats())
        actors["self_deadlock"].child.send_signal(signal.SIGINT)
        wait_for(lambda: len(actors["self_deadlock"].beats()) > beats)
        wait_for(lambda: kernel.glance(pid).state == "S")
        assert ClosedSets(graph, observation.seen).members == set()


def test_a_thread_that_runs_has_no_count_of_switches() -> None:
    assert kernel.switches(os.getpid(), threading.get_native_id()) is None
    with running(["sleep", "99"]) as child:
        wait_for(lambda: kernel.glance(child.pid).state == "S")
        count = wait_for(lambda: kernel.switches(child.pid, child.pid))
        assert kernel.switches(child.pid, child.pid) == count


# what can't be looked at


def test_an_epoll_whose_numbers_are_no_longer_its_files_is_open() -> None:
    code = (
        "import os, select\n"
        "read, write = os.pipe()\n"
        "epoll = select.epoll()\n"
        "epoll.register(read, select.EPOLLIN)\n"
        "kept = os.dup(read)\n"
        "os.close(read)\n"
        "{}\n"
        "epoll.poll()"
    )
    for other in ("", "os.dup2(os.pipe()[0], read)"):
        with running(python(code.format(other))) as child:
            wait_for(lambda: "epoll on" in describe(child.pid))
            assert "descriptors that can't be looked at" in describe(child.pid)
            assert not closed(child.pid)


def test_a_poll_whose_set_may_not_be_read_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, select\np = select.poll()\np.register(os.pipe()[0], select.POLLIN)\np.poll()"
    with running(python(code)) as child:
        wait_for(lambda: "poll on pipe:" in describe(child.pid))
        assert closed(child.pid)
        monkeypatch.setattr(kernel, "read_memory", lambda *_: None)
        assert "descriptors that can't be looked at" in describe(child.pid)
        assert not closed(child.pid)


# frozen


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A control group of our own that can be frozen."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    root = next((Path(line.split()[1]) for line in mounts if line.split()[2] == "cgroup2"), None)
    if root is None:
        pytest.skip("no control groups of the second version here")
    group = root / f"proctui-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        if not (group / "cgroup.freeze").exists():
            pytest.skip("this kernel can't freeze a control group")
        yield group
    finally:
        with contextlib.suppress(OSError):
            (group / "cgroup.freeze").write_text("0")
        wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_what_is_frozen_waits_for_nobody_but_the_thaw(freezer: Path) -> None:
    with cast("socket_protocol") as actors:
        pids = actors["socket_protocol"].family()
        wait_for(lambda: closed(pids[0]))
        for pid in pids:
            (freezer / "cgroup.procs").write_text(str(pid))
        (freezer / "cgroup.freeze").write_text("1")
        wait_for(lambda: "frozen 1" in (freezer / "cgroup.events").read_text())
        found = stacks.find_hangs(pids[0], 0.2)
        assert [row["verdict"] for row in found["verdicts"]] == ["waiting", "waiting"]
        assert "frozen with its control group" in found["verdicts"][0]["evidence"][0]
        assert not stacks.is_responding(pids[0], 0.2)
        assert stacks.capture(pids[0])["threads"][0]["wait"].startswith("frozen")
        (freezer / "cgroup.freeze").write_text("0")
        wait_for(lambda: closed(pids[0]))


# namespaces


def test_numbers_of_another_namespace_are_told_as_ours() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    code = "import subprocess; subprocess.Popen(['sleep', '99']).wait()"
    with running(["unshare", "-pf", "--kill-child", *python(code)], stderr=subprocess.PIPE) as top:

        def below(pid: int) -> int | None:
            return next(iter(children_of(pid)), None)

        wait_for(lambda: top.poll() is not None or below(top.pid))
        if top.returncode is not None:
            pytest.skip("namespaces are not allowed here")
        first = wait_for(lambda: below(top.pid))
        sleeper = wait_for(lambda: below(first))
        assert first is not None and sleeper is not None
        wait_for(lambda: "the exit of" in describe(first))
        assert describe(first) == f"waiting for the exit of {sleeper}"
        assert namespaces.child_of(first, 2) == sleeper
        assert namespaces.child_of(first, 9999) is None
        assert namespaces.thread_of(first, 1, [first]) == first
        assert namespaces.thread_of(os.getpid(), 1, [os.getpid()]) is None


def test_in_a_container_what_its_first_process_holds_may_be_held_outside() -> None:
    script = """
import threading
from proctui.stacks.world import World
read, write = os.pipe()
target = os.readlink(f"/proc/self/fd/{write}")
with running([sys.executable, "-I", "-c", "input()"], stdin=read) as child:
    print(World().blind(target))
    code = "import os; os.pipe(); print('ready', flush=True); input()"
    with running([sys.executable, "-I", "-c", code], stdin=read, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        fds = Path(f"/proc/{other.pid}/fd")
        own = {os.readlink(fd) for fd in fds.iterdir()} - {os.readlink(f) for f in Path("/proc/self/fd").iterdir() if f.exists()}
        print([World().blind(one) for one in own if one.startswith("pipe:")])
"""
    first, second = isolated(script).splitlines()
    assert first == "['a process outside of this container holds the other end']"
    assert second == "[[]]"


# threads of Pythons that don't know their threads' ids


def test_a_threads_id_is_found_from_pythons_own_number() -> None:
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        tids = kernel.thread_ids(os.getpid())
        for thread in [threading.main_thread(), *threads]:
            assert thread.ident is not None
            found = memory.thread_of_ident(os.getpid(), thread.ident, tids)
            assert found == thread.native_id
        assert memory.thread_of_ident(os.getpid(), 8, tids) is None
    finally:
        done.set()
        for thread in threads:
            thread.join()


def python_of(version: str) -> str:
    """An interpreter of that version, on PATH or kept by pyenv."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, kept)):
        if path and subprocess.run([path, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            return path
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_other_pythons_are_read_like_ours(version: str) -> None:
    interpreter = python_of(version)
    code = (
        "import threading\n"
        "lock, taken = threading.Lock(), threading.Event()\n"
        "def keep():\n    lock.acquire(); taken.set(); lock.acquire()\n"
        "thread = threading.Thread(target=keep, name='keeper'); thread.start(); taken.wait()\n"
        "print('ready', flush=True); thread.join()"
    )
    with running([interpreter, "-I", "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        wait_for(lambda: "lock" in stacks.capture(child.pid))
        threads = stacks.capture(child.pid)["threads"]
        assert [thread["tid"] for thread in threads] == kernel.thread_ids(child.pid)
        assert [thread["name"] for thread in threads] == ["MainThread", "keeper"]
        assert [thread["active"] for thread in threads] == [False, False]
        assert threads[0]["wait"] == "waiting for a thread to end"
        (row,) = stacks.find_hangs(child.pid, 0.3)["verdicts"]
        assert row["verdict"] == "deadlock-proven"
