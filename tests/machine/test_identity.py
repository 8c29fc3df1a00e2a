"""Identities: unique for good, never a thread's, never by pid alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proctui.errors import BadArgument, NoSuchProcess
from proctui.machine import identity
from tests.support import python, running, wait_for


def test_own_identity_is_stable_and_alive():
    one, two = identity.own(), identity.own()
    assert one.same(two)
    assert one.pid == os.getpid()
    assert one.boot_id == identity.boot_id()
    assert identity.alive(one)


def test_a_childs_identity_is_not_ours_and_ends_with_it():
    with running(python("input()"), stdin=subprocess.PIPE) as child:
        who = identity.identify(child.pid)
        assert not who.same(identity.own())
        assert identity.alive(who)
        child.communicate(b"\n")
    assert not identity.alive(who)
    with pytest.raises(NoSuchProcess):
        identity.identify(child.pid)


def test_an_unreaped_zombie_has_an_identity_but_does_not_live():
    child = subprocess.Popen(python("pass"))
    try:
        who = identity.identify(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identity.identify(child.pid).same(who)
        assert not identity.alive(who)
    finally:
        child.wait()


def test_a_zombie_leader_whose_thread_runs_is_alive():
    code = (
        "import ctypes, threading, time, sys\n"
        "def stay():\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
        "threading.Thread(target=stay).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\n"
        wait_for(lambda: b") Z " in Path(f"/proc/{child.pid}/stat").read_bytes())
        assert identity.alive(identity.identify(child.pid))


def test_a_threads_id_is_no_process():
    ready, done = threading.Event(), threading.Event()
    tids: list[int] = []

    def body() -> None:
        tids.append(threading.get_native_id())
        ready.set()
        done.wait()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        ready.wait()
        with pytest.raises(NoSuchProcess):
            identity.identify(tids[0])
        with pytest.raises(NoSuchProcess):
            identity._identify_by_start(tids[0])
    finally:
        done.set()
        thread.join()


def test_pin_gives_a_descriptor_of_the_very_process():
    with running(python("input()"), stdin=subprocess.PIPE) as child:
        fd, who = identity.pin(child.pid)
        try:
            assert who.same(identity.identify(child.pid))
            if identity.has_pidfs():
                assert os.fstat(fd).st_ino == who.inode
        finally:
            os.close(fd)


def test_without_pidfds_the_start_time_decides(monkeypatch):
    def blocked(pid: int, flags: int = 0) -> int:
        raise PermissionError(1, "seccomp")

    monkeypatch.setattr(os, "pidfd_open", blocked)
    with running(python("input()"), stdin=subprocess.PIPE) as child:
        who = identity.identify(child.pid)
        assert who.inode is None
        assert who.start_ticks
        assert identity.alive(who)
    assert not identity.alive(who)


def test_another_boots_identity_is_dead():
    assert not identity.alive(identity.own()._replace(boot_id="another"))


@pytest.mark.parametrize("pid", [True, 0, -1, 1.0, "12", None])
def test_what_is_no_pid_is_refused_before_any_call(pid, monkeypatch):
    monkeypatch.setattr(os, "pidfd_open", None)
    with pytest.raises(BadArgument):
        identity.identify(pid)


def test_targets():
    assert identity.parse_target("123") == (123, None)
    pid, who = identity.parse_target("123:4567")
    assert (pid, who.inode, who.boot_id) == (123, 4567, identity.boot_id())
    pid, who = identity.parse_target("123@89")
    assert (who.inode, who.start_ticks) == (None, 89)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "0", "1:", ":2", "1:2:3", "1 ", "²", "1@", "1:-2", "1.0", "٣"]
)
def test_bad_targets(text):
    with pytest.raises(BadArgument):
        identity.parse_target(text)


def test_our_written_identity_leads_back_to_us():
    _, who = identity.parse_target(str(identity.own()))
    assert who.same(identity.own()) or identity.own().inode is None


def test_import_needs_no_ctypes_and_no_psutil():
    code = (
        "import sys; import proctui.machine.identity, proctui.machine.sampler; "
        "print([m for m in ('ctypes', 'psutil', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
