"""The narrow ways beside the guard: our own helpers, the job's own group, ourselves."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.errors import BadArgument, Changed, NoSuchProcess
from proctui.killing import signals
from proctui.machine import identity as identities
from tests.support import alive, python, running, wait_for

PARENT = (
    "import subprocess,sys,time\n"
    "child=subprocess.Popen(['sleep','1000'])\n"
    "print(child.pid,flush=True)\n"
    "time.sleep(1000 if len(sys.argv)<2 else 0)"
)


def test_a_helper_goes_with_its_group() -> None:
    with running(python(PARENT), stdout=subprocess.PIPE) as helper:
        assert helper.stdout is not None
        child = int(helper.stdout.readline())
        assert signals.end_helper(helper, grace=2.0) == -signal.SIGTERM
        wait_for(lambda: not alive(child))


def test_the_children_of_a_helper_that_has_ended_go_too() -> None:
    with running(python(PARENT, "leave"), stdout=subprocess.PIPE) as helper:
        assert helper.stdout is not None
        child = int(helper.stdout.readline())
        os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOWAIT)
        held = os.pidfd_open(child)
        signals.end_helper(helper)
        wait_for(lambda: not alive(child))
        os.close(held)


def test_a_deaf_helper_gets_kill() -> None:
    code = (
        "import signal,time;signal.signal(15,signal.SIG_IGN);print(1,flush=True);time.sleep(1000)"
    )
    with running(python(code), stdout=subprocess.PIPE) as helper:
        assert helper.stdout is not None
        helper.stdout.readline()
        assert signals.end_helper(helper, grace=0.05) == -signal.SIGKILL


def test_a_helper_in_our_own_group_goes_alone() -> None:
    helper = subprocess.Popen(["sleep", "1000"])
    assert os.getpgid(helper.pid) == os.getpgrp()
    assert signals.end_helper(helper) == -signal.SIGTERM


def test_a_reaped_helper_is_left_alone() -> None:
    helper = subprocess.Popen(["true"])
    os.waitpid(helper.pid, 0)
    signals.end_helper(helper)


def test_a_multiprocessing_helper() -> None:
    helper = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,))
    helper.start()
    assert signals.end_helper(helper) == -signal.SIGTERM
    helper.close()


@pytest.fixture
def job() -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    with running(python(PARENT), stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        held = os.pidfd_open(leader.pid)
        yield leader, child, held
        os.close(held)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("old_kernel", [False, True])
def test_forwarding_reaches_the_job_and_its_children(
    job: tuple[subprocess.Popen[bytes], int, int],
    old_kernel: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader, child, held = job
    if old_kernel:

        def too_old(fd: int, signum: int, info: None = None, flags: int = 0) -> None:
            raise OSError(errno.EINVAL, "no such flag")

        monkeypatch.setattr(signal, "pidfd_send_signal", too_old)
    assert signals.forward(held, signal.SIGSTOP)
    wait_for(lambda: state(leader.pid) == state(child) == "T")
    assert signals.forward(held, signal.SIGCONT)
    wait_for(lambda: state(leader.pid) == state(child) == "S")
    assert signals.forward(held, signal.SIGTERM)
    assert leader.wait(5) == -signal.SIGTERM
    wait_for(lambda: not signals.forward(held, signal.SIGCONT), what="an empty group")


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGKILL])
def test_what_is_never_forwarded(
    job: tuple[subprocess.Popen[bytes], int, int], signum: int
) -> None:
    with pytest.raises(BadArgument):
        signals.forward(job[2], signum)
    assert alive(job[0].pid)


def test_before_its_setsid_a_job_has_no_group_to_forward_to() -> None:
    """The group of such a child is our own: nobody may be reached (case 18)."""
    child = subprocess.Popen(["sleep", "1000"])
    held = os.pidfd_open(child.pid)
    try:
        assert os.getpgid(child.pid) == os.getpgrp()
        assert not signals.forward(held, signal.SIGTERM)
        assert alive(child.pid)
    finally:
        os.close(held)
        signals.end_helper(child)


def test_stop_self_stops_and_end_self_ends_by_the_signal() -> None:
    code = (
        "from proctui.killing import signals\n"
        "import sys\n"
        "signals.stop_self(); print('on', flush=True); signals.end_self(2)"
    )
    import sys

    with running([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        wait_for(lambda: state(child.pid) == "T")
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout is not None and child.stdout.readline() == b"on\n"
        assert child.wait(5) == -signal.SIGINT


@pytest.mark.parametrize("bad", [True, 0, -1, 1.0, "TERM", 999, None])
def test_what_is_no_signal(bad: object) -> None:
    with pytest.raises(BadArgument):
        signals.check_signal(bad)


def test_a_pin_tells_dead_from_reaped() -> None:
    with running(["sleep", "1000"]) as child:
        held = signals.pin(identities.identify(child.pid))
        assert not held.dead() and not held.reaped()
        signals.send(held, signal.SIGKILL)
        assert signals.wait_dead([held], 5.0) == []
        assert held.dead() and not held.reaped()
        child.wait()
        assert held.dead() and held.reaped()
        with pytest.raises(ProcessLookupError):
            signals.send(held, signal.SIGTERM)
        held.close()


def test_a_pin_of_a_freed_number() -> None:
    with running(["sleep", "1000"]) as child:
        who = identities.identify(child.pid)
        with pytest.raises(Changed):
            signals.pin(who._replace(inode=1))
    with pytest.raises(NoSuchProcess):
        signals.pin(who)


def test_without_descriptors_each_use_opens_its_own() -> None:
    with running(["sleep", "1000"]) as child:
        who = identities.identify(child.pid)
        held = signals.Pin(who, None)
        assert not held.dead() and not held.reaped()
        signals.send(held, signal.SIGKILL)
        assert signals.wait_dead([held], 5.0) == []
        child.wait()
        assert held.reaped()


def test_without_descriptors_a_stranger_with_the_number_is_left_alone() -> None:
    with running(["sleep", "1000"]) as child:
        who = identities.identify(child.pid)
        stale = signals.Pin(who._replace(inode=1, start_ticks=1), None)
        assert stale.dead() and stale.reaped()
        with pytest.raises(ProcessLookupError):
            signals.send(stale, signal.SIGKILL)
        assert alive(child.pid)


def test_degraded_mode_compares_start_times_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", blocked)
    assert "pidfds are blocked" in (signals.degraded() or "")
    with running(["sleep", "1000"]) as child:
        who = identities.identify(child.pid)
        assert who.inode is None and who.start_ticks is not None
        with pytest.raises(Changed):
            signals.pin(who._replace(start_ticks=who.start_ticks - 1))
        held = signals.pin(who)
        assert held.fd is None and not held.dead()
        stale = signals.Pin(who._replace(start_ticks=who.start_ticks - 1), None)
        with pytest.raises(ProcessLookupError):
            signals.send(stale, signal.SIGKILL)
        assert alive(child.pid)
        signals.send(held, signal.SIGKILL)
        assert signals.wait_dead([held], 5.0) == []


def test_a_wait_of_years_is_cut_into_what_poll_takes() -> None:
    with running(["sleep", "0.05"]) as child:
        held = signals.pin(identities.identify(child.pid))
        assert signals.wait_dead([held], 1e8) == []
        held.close()
