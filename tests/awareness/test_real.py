"""The adversarial cases that hide processes, against real ones; each says who is whose."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proctui.awareness.connector import open_connector
from proctui.errors import NoSuchProcess
from proctui.machine import identity as kernel
from proctui.model import Certainty, Role
from tests.awareness.jobs import SUBREAPER, Job, hide, job, parent_of, terminal_of
from tests.support import python, running, wait_for

__all__ = ["job"]


@pytest.mark.parametrize("how", ["daemon", "clean", "scrub", "undumpable"])
def test_a_double_fork_is_found_whatever_it_hides(
    job: Callable[..., Job], tmp_path: Path, how: str
) -> None:
    """Cases 1 to 4: setsid; ``env -i``; environ scrubbed; non-dumpable."""
    started, pid = hide(job, tmp_path, how)
    view = started.watch.look()
    verdict = view.verdict(pid)
    assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
    assert pid in view.strays


@pytest.mark.parametrize("how", ["daemon", "clean"])
def test_a_library_finds_it_by_the_kernels_reports(
    job: Callable[..., Job], tmp_path: Path, how: str
) -> None:
    """Its caller is no subreaper; the forks in between live shorter than a look."""
    probe = open_connector()
    if probe is None:
        pytest.skip("no proc connector for us here")
    probe.close()
    ctypes.CDLL(None).prctl(SUBREAPER, 0, 0, 0, 0)
    started, pid = hide(job, tmp_path, how, reaps=False)
    assert parent_of(pid) == 1 or parent_of(pid) != os.getpid()
    view = started.watch.look()
    if any("reports were lost" in words for words in view.warnings):
        pytest.skip("this machine forks faster than its buffer holds")
    verdict = view.verdict(pid)
    assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
    assert "the kernel reported it" in verdict.evidence[0]


def test_without_reports_only_the_marker_is_left_and_that_is_likely(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctui.awareness.watch.open_connector", lambda: None)
    ctypes.CDLL(None).prctl(SUBREAPER, 0, 0, 0, 0)
    started, pid = hide(job, tmp_path, "scrub", reaps=False)
    verdict = started.watch.look().verdict(pid)
    assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.LIKELY)
    assert "marker" in verdict.evidence[0]


def test_without_reports_and_without_marker_it_stays_unknown(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctui.awareness.watch.open_connector", lambda: None)
    ctypes.CDLL(None).prctl(SUBREAPER, 0, 0, 0, 0)
    started, pid = hide(job, tmp_path, "clean", reaps=False)
    assert started.watch.look().role(pid) is Role.UNKNOWN


def test_a_name_that_looks_like_a_stat_line(job: Callable[..., Job]) -> None:
    """Case 7: the name ``) Z 1 1 (``."""
    code = (
        "import ctypes, os, time; ctypes.CDLL(None).prctl(15, b') Z 1 1 ('); print(os.getpid(),"
        " flush=True); time.sleep(300)"
    )
    started = job(*python(code))
    pid = int(started.line())
    view = started.watch.look()
    proc = view.proc(pid)
    assert proc is not None and (proc.name, proc.ppid) == (") Z 1 1 (", os.getpid())
    assert proc.state in ("R", "S")
    assert view.verdict(pid).certainty is Certainty.CERTAIN and view.leader_alive


ZOMBIE_LEADER = """
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(300,)).start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""


def test_a_zombie_leader_with_a_living_thread_is_no_dead_one(job: Callable[..., Job]) -> None:
    """Case 8."""
    started = job(*python(ZOMBIE_LEADER))
    pid = int(started.line())
    proc = wait_for(
        lambda: (row := started.watch.look().proc(pid)) and row.state == "Z" and row,
        what="the leader thread's end",
    )
    view = started.watch.look()
    assert proc.threads == 2 and view.leader_alive and kernel.alive(proc.identity)
    assert view.verdict(pid).certainty is Certainty.CERTAIN


def test_a_zombie_whose_parent_never_reaps(job: Callable[..., Job]) -> None:
    """Case 9: it has a role, and it is no stray."""
    code = (
        "import os, time; pid = os.fork(); pid or os._exit(3); print(pid, flush=True);"
        " time.sleep(300)"
    )
    started = job(*python(code))
    pid = int(started.line())
    wait_for(lambda: started.watch.look().snapshot.procs[pid].state == "Z", what="the zombie")
    view = started.watch.look()
    assert view.role(pid) is Role.SPAWNED and pid not in view.strays
    assert not kernel.alive(view.snapshot.procs[pid].identity)


def test_a_threads_id_is_no_process(job: Callable[..., Job]) -> None:
    """Case 10."""
    code = (
        "import threading, time; thread = threading.Thread(target=time.sleep, args=(300,));"
        " thread.start(); print(thread.native_id, flush=True); thread.join()"
    )
    started = job(*python(code))
    tid = int(started.line())
    view = started.watch.look()
    assert view.proc(tid) is None and view.role(tid) is Role.UNKNOWN
    with pytest.raises(NoSuchProcess):
        kernel.identify(tid)


def test_nested_sessions_stay_apart(job: Callable[..., Job]) -> None:
    """Case 21: the inner session's eyes see the outer as ancestors, the outer sees a job."""
    inner = (
        "import sys, subprocess; from proctui import ProcessBaseline; b = ProcessBaseline();"
        "c = subprocess.Popen(['sleep', '300']); import os;"
        "v = b.look(); print(c.pid, v.role(c.pid), v.role(os.getpid()), v.role(os.getppid()),"
        " flush=True); sys.stdin.read() or c.wait()"
    )
    started = job(sys.executable, "-c", inner)
    words = started.line().split()
    assert words[1:] == ["spawned", "self", "ancestor"]
    child = int(words[0])
    view = started.watch.look()
    assert view.verdict(child).certainty is Certainty.CERTAIN
    assert view.verdict(started.leader.pid).role is Role.SPAWNED
    assert view.role(os.getpid()) is Role.SELF


def test_a_new_child_of_a_baseline_shell_stays_unknown(job: Callable[..., Job]) -> None:
    """Case 22."""
    shell = ["sh", "-c", "read go; sleep 300 & echo $!; wait"]
    with running(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as before:
        started = job()
        assert before.stdin is not None and before.stdout is not None
        before.stdin.write("go\n")
        before.stdin.flush()
        pid = int(before.stdout.readline())
        view = started.watch.look()
        assert view.role(before.pid) is Role.BASELINE
        assert view.role(pid) is Role.UNKNOWN
        assert view.role(started.leader.pid) is Role.SPAWNED


def test_a_wall_clock_that_jumps_changes_no_identity(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 24: identities and spans count from boot."""
    started = job()
    before = started.watch.look().verdict(started.leader.pid)
    real = __import__("time").time
    monkeypatch.setattr("time.time", lambda: real() - 86_400)
    view = started.watch.look()
    assert view.verdict(started.leader.pid) == before
    assert view.snapshot.procs[started.leader.pid].identity == view.session.leader  # type: ignore[union-attr]


def test_without_descriptors_it_still_sees(job: Callable[..., Job]) -> None:
    """Case 24: EMFILE."""
    import resource

    started = job()
    started.watch.tick()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, hard))
    try:
        with running(["sleep", "300"]) as other:
            view = started.watch.look()
            assert view.role(started.leader.pid) is Role.SPAWNED
            assert view.role(other.pid) is not Role.BASELINE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tmux_window_opened_later_is_likely(job: Callable[..., Job], tmp_path: Path) -> None:
    """The trap of foreign terminals, with a real tmux server started by the job."""
    import shutil

    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    socket = str(tmp_path / "tmux")
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    started = job("sh", "-c", f"{' '.join(tmux)} new-session -d 'sleep 300'; echo up; sleep 300")
    assert started.line() == "up"
    environ = {name: value for name, value in os.environ.items() if name != "TMUX"}
    shown = subprocess.run(
        [*tmux, "new-window", "-d", "-P", "-F", "#{pane_pid} #{pid}", "sleep 301"],
        capture_output=True, text=True, check=True, env=environ,
    )  # fmt: skip
    window, server = map(int, shown.stdout.split())
    started.hidden += [kernel.identify(server), kernel.identify(window)]
    # tmux answers when it has forked; the child takes its terminal a moment later.
    wait_for(lambda: terminal_of(window), what="the window's terminal")
    view = started.watch.look()
    assert view.verdict(server).certainty is Certainty.CERTAIN
    verdict = view.verdict(window)
    assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.LIKELY)
    assert "not the job's" in " ".join(verdict.evidence)
