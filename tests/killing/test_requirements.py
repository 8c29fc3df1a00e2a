"""Test cases 1 to 4 of requirements.md by name, and the classes they speak of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from proctui import (
    ProcessBaseline,
    ProcessGroupManager,
    ProcessGroupProtection,
    ProcessProtection,
)
from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.killing import signals
from tests.support import alive, python, running, wait_for

SLEEP = ["sleep", "1000"]


@pytest.fixture
def baseline() -> Iterator[ProcessBaseline]:
    with ProcessBaseline() as captured:
        yield captured


@pytest.fixture
def manager(baseline: ProcessBaseline) -> Iterator[ProcessGroupManager]:
    made = ProcessGroupManager(baseline)
    yield made
    made.cleanup_all()


@pytest.fixture(autouse=True)
def fresh_protection() -> Iterator[None]:
    yield
    ProcessProtection.PROTECTED_PIDS.clear()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A child in our own group: what an unwary killpg would take us along with."""
    process = subprocess.Popen(SLEEP)
    yield process
    signals.end_helper(process)


# 1
def test_system_does_not_kill_its_own_process(manager: ProcessGroupManager) -> None:
    with pytest.raises(ValueError, match="Cannot kill"):
        ProcessProtection.safe_kill(os.getpid())
    with pytest.raises(ValueError, match="Cannot kill own process group"):
        manager.kill_managed_group(os.getpgrp())
    with pytest.raises(ValueError, match="Cannot kill protected process group"):
        ProcessGroupProtection().safe_killpg(os.getpgrp(), signal.SIGKILL)
    assert os.getpid() not in manager.baseline.get_safe_to_kill()


# 2
def test_system_does_not_kill_parent_process(baseline: ProcessBaseline) -> None:
    with pytest.raises(ValueError, match="protected"):
        ProcessProtection.safe_kill(os.getppid())
    with pytest.raises(ValueError):
        ProcessGroupProtection().safe_killpg(os.getpgid(os.getppid()))
    assert os.getppid() not in baseline.get_safe_to_kill()
    assert baseline.parent_pid == os.getppid()


# 3
def test_system_only_kills_spawned_processes(tmp_path: Path) -> None:
    with running(SLEEP) as before, ProcessBaseline() as baseline, running(SLEEP) as after:
        assert baseline.get_safe_to_kill() == {after.pid}
        assert baseline.is_spawned_process(after.pid)
        assert not baseline.is_spawned_process(before.pid)
        with pytest.raises(ValueError, match="before the session"):
            ProcessProtection.safe_kill(before.pid)
        ProcessProtection.safe_kill(after.pid)
        assert after.wait(5) == -signal.SIGTERM
        assert alive(before.pid)


# 4
def test_process_groups_are_properly_isolated(manager: ProcessGroupManager) -> None:
    one, two = manager.create_process_group(), manager.create_process_group()
    first, second, other = one.spawn(SLEEP), one.spawn(SLEEP), two.spawn(SLEEP)
    assert one.pgid == first.pid == os.getpgid(second.pid)
    assert two.pgid == other.pid
    assert os.getpgrp() not in (one.pgid, two.pgid)
    assert manager.managed_groups == {one.pgid, two.pgid}
    pgid = one.pgid
    manager.kill_managed_group(pgid)
    assert first.wait(5) == second.wait(5) == -signal.SIGTERM
    assert alive(other.pid) and manager.managed_groups == {two.pgid}
    with pytest.raises(ValueError):
        manager.kill_managed_group(pgid)


def test_a_group_that_nobody_made_here_is_refused(
    manager: ProcessGroupManager, child: subprocess.Popen[bytes]
) -> None:
    with running(SLEEP) as led, pytest.raises(ValueError, match="not made here"):
        manager.kill_managed_group(led.pid)
    with pytest.raises(ValueError, match="not made here"):
        manager.kill_managed_group(child.pid)
    assert alive(child.pid)


def test_a_group_cleans_up_with_its_block(manager: ProcessGroupManager) -> None:
    with manager.create_process_group() as group:
        family = group.spawn(
            python("import os,subprocess,time;subprocess.Popen(['sleep','1000']);time.sleep(1000)")
        )
        pgid = group.pgid
        assert pgid is not None
        wait_for(lambda: len(list(Path("/proc").glob(f"{family.pid}/task/*/children"))) == 1)
        kids = wait_for(
            lambda: Path(f"/proc/{family.pid}/task/{family.pid}/children").read_text().split()
        )
    assert family.returncode == -signal.SIGTERM
    assert not alive(int(kids[0]))
    assert manager.managed_groups == set()


def test_cleanup_ends_every_group(manager: ProcessGroupManager) -> None:
    children = [manager.create_process_group().spawn(SLEEP) for _ in range(3)]
    documents = manager.cleanup_all()
    assert len(documents) == 3
    assert {child.returncode for child in children} == {-signal.SIGTERM}
    assert manager.cleanup_all() == []


def test_a_group_outlives_its_reaped_leader(manager: ProcessGroupManager) -> None:
    group = manager.create_process_group()
    leader, follower = group.spawn(["true"]), group.spawn(SLEEP)
    leader.wait()
    third = group.spawn(SLEEP)
    assert os.getpgid(third.pid) == group.pgid == os.getpgid(follower.pid)
    manager.cleanup_all()
    assert follower.returncode == third.returncode == -signal.SIGTERM


def test_a_group_whose_members_all_ended_starts_anew(manager: ProcessGroupManager) -> None:
    group = manager.create_process_group()
    group.spawn(["true"]).wait()
    assert not group.exists()
    again = group.spawn(SLEEP)
    assert group.pgid == again.pid and manager.managed_groups == {again.pid}


@pytest.mark.parametrize("option", ["process_group", "start_new_session", "preexec_fn"])
def test_nothing_leads_a_program_out_of_its_group(
    manager: ProcessGroupManager, option: str
) -> None:
    with pytest.raises(BadArgument):
        manager.create_process_group().spawn(SLEEP, **{option: None})


def test_safe_kill_takes_the_callers_own_children_without_a_baseline(
    child: subprocess.Popen[bytes],
) -> None:
    ProcessProtection.safe_kill(child.pid, signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL


def test_safe_killpg_refuses_what_shares_our_group(child: subprocess.Popen[bytes]) -> None:
    guard = ProcessGroupProtection()
    assert guard.own_pgid == os.getpgrp() and guard.own_pgid in guard.protected_pgids
    with pytest.raises(ValueError):
        guard.safe_killpg(os.getpgid(child.pid))
    with running(SLEEP) as led:
        guard.protected_pgids.add(led.pid)
        with pytest.raises(ValueError, match=f"protected process group {led.pid}"):
            guard.safe_killpg(led.pid)
        assert alive(led.pid)
        guard.protected_pgids.discard(led.pid)
        guard.safe_killpg(led.pid)
        assert led.wait(5) == -signal.SIGTERM
    assert alive(child.pid)


@pytest.mark.parametrize("how", ["protect", "add", "update", "|=", "assigned"])
def test_what_is_protected_is_the_process_not_the_number(
    child: subprocess.Popen[bytes], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "protect":
        ProcessProtection.protect(child.pid)
    elif how == "add":
        ProcessProtection.PROTECTED_PIDS.add(child.pid)
    elif how == "update":
        ProcessProtection.PROTECTED_PIDS.update([child.pid])
    elif how == "|=":
        ProcessProtection.PROTECTED_PIDS |= {child.pid}
    else:
        monkeypatch.setattr(ProcessProtection, "PROTECTED_PIDS", {child.pid})
    assert ProcessProtection.is_protected(child.pid)
    for _ in range(2):
        with pytest.raises(ValueError, match="Cannot kill protected process"):
            ProcessProtection.safe_kill(child.pid)
    assert alive(child.pid)
    # Somebody else gets the number: it shields nobody.
    from proctui.machine import identity as identities

    found = identities.identify
    monkeypatch.setattr(
        identities, "identify", lambda pid: found(pid)._replace(inode=1, start_ticks=1)
    )
    assert not ProcessProtection.is_protected(child.pid)


def test_protected_ones_are_refused_whichever_way_they_are_reached(
    manager: ProcessGroupManager,
) -> None:
    group = manager.create_process_group()
    one, spared = group.spawn(SLEEP), group.spawn(SLEEP)
    ProcessProtection.protect(spared.pid)
    assert group.pgid is not None
    with pytest.raises(ValueError, match="refused"):
        manager.kill_managed_group(group.pgid)
    assert alive(one.pid) and alive(spared.pid)
    assert spared.pid not in manager.baseline.get_safe_to_kill()
    ProcessProtection.PROTECTED_PIDS.discard(spared.pid)
    manager.kill_managed_group(group.pgid)
    assert not alive(one.pid) and not alive(spared.pid)


def test_self_and_ancestors_need_no_protecting() -> None:
    assert ProcessProtection.is_protected(os.getpid())
    assert ProcessProtection.is_protected(os.getppid())
    assert ProcessProtection.is_protected(1)


def test_a_number_that_nobody_has_is_protected_for_who_gets_it() -> None:
    with running(["true"]) as gone:
        pass
    ProcessProtection.protect(gone.pid)
    assert ProcessProtection.is_protected(gone.pid)
    with pytest.raises(ValueError):
        ProcessProtection.safe_kill(gone.pid)


@pytest.mark.parametrize("bad", [True, False, 0, 1, -1, 1.0, "12", None, MagicMock(), 2**70])
def test_no_argument_but_a_pid_reaches_the_kernel(
    bad: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a system call was made")

    monkeypatch.setattr(signals, "send", never)
    monkeypatch.setattr(os, "pidfd_open", never)
    guard = ProcessGroupProtection()
    kinds = (BadArgument, NoSuchProcess) if bad == 2**70 else BadArgument
    with pytest.raises(kinds):
        ProcessProtection.safe_kill(bad)  # type: ignore[arg-type]
    with pytest.raises(kinds):
        guard.safe_killpg(bad)  # type: ignore[arg-type]
    if bad != 1:
        with pytest.raises(kinds):
            ProcessProtection.protect(bad)  # type: ignore[arg-type]


def test_errors_are_those_of_os_kill() -> None:
    with running(["true"]) as gone:
        pass
    with pytest.raises(ProcessLookupError):
        ProcessProtection.safe_kill(gone.pid)
    with pytest.raises(ProcessLookupError):
        ProcessGroupProtection().safe_killpg(gone.pid)
    with pytest.raises(RefusedError):
        ProcessProtection.safe_kill(2)


CONCURRENT = """
import os, subprocess, sys, threading
from proctui import ProcessBaseline, ProcessGroupManager, ProcessProtection
with ProcessBaseline() as baseline:
    manager = ProcessGroupManager(baseline)
    def work():
        for _ in range(2):
            with manager.create_process_group() as group:
                group.spawn(["sleep", "1000"])
                group.spawn(["sleep", "1000"])
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not manager.managed_groups, manager.managed_groups
    assert not baseline.get_safe_to_kill()
print("ok")
"""


def test_groups_may_be_used_by_several_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONCURRENT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "ok\n", done.stderr
