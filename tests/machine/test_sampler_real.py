"""The sampler on the real ``/proc``, beside real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from proctui.machine import identity, limits
from proctui.machine.sampler import ProcSource
from proctui.machine.source import open_source
from tests.support import python, running, wait_for

SLEEPER = python("input()")


@pytest.fixture(params=["proc", "psutil"])
def source(request):
    made = open_source(request.param)
    yield made
    made.close()


@pytest.fixture
def proc():
    made = ProcSource()
    yield made
    made.close()


def test_a_child_is_born_lives_and_dies(source):
    source.sample()
    with running(SLEEPER, stdin=subprocess.PIPE) as child:
        snapshot = source.sample()
        row = snapshot.procs[child.pid]
        assert child.pid in snapshot.born
        assert row.identity.same(identity.identify(child.pid))
        assert (row.ppid, row.pgid, row.sid) == (os.getpid(), child.pid, child.pid)
        assert row.uid == os.getuid()
        assert abs(row.started - psutil.Process(child.pid).create_time()) < 2
        # Amid an exec a command line is empty for a moment.
        wait_for(lambda: source.info(row.identity).cmdline)
        assert source.info(row.identity).cmdline[-1] == "input()"
        assert source.info(row.identity).exe == os.path.realpath(f"/proc/{child.pid}/exe")
    died = source.sample().died
    assert [one.identity for one in died if one.pid == child.pid] == [row.identity]
    assert source.info(row.identity) is None


def test_figures_agree_with_psutils(proc):
    code = "import threading\nx = bytearray(30_000_000)\nthreading.Thread(target=input).start()"
    with running(python(code), stdin=subprocess.PIPE) as child:
        other = psutil.Process(child.pid)
        wait_for(lambda: other.num_threads() == 2 and other.memory_info().rss > 30_000_000)
        row = proc.sample(fresh=True).procs[child.pid]
        # The kernel keeps a share of the count per CPU that stat leaves out (proc_pid_stat(5)).
        slack = 4096 * 64 * os.cpu_count() * max(1, os.cpu_count() // 16) * 4
        assert abs(row.rss - other.memory_info().rss) < slack
        assert row.threads == 2
        assert row.user_time == other.cpu_times().user
        assert row.system_time == other.cpu_times().system


def test_a_busy_child_uses_a_core(source):
    with running(python("while True: pass")) as child:
        source.sample()
        shares = []

        def measured():
            shares.append(source.sample(frozenset({child.pid})).procs[child.pid].cpu)
            return (shares[-1] or 0) > 0

        wait_for(measured)


def test_an_exec_changes_name_and_command(proc):
    with running(["sh", "-c", "read x; exec cat"], stdin=subprocess.PIPE) as child:
        row = proc.sample().procs[child.pid]
        assert row.name == "sh"
        wait_for(lambda: proc.info(row.identity).cmdline)
        assert proc.info(row.identity).cmdline[0] == "sh"
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_for(lambda: proc.sample().procs[child.pid].name == "cat")
        assert proc.info(row.identity).cmdline == ("cat",)


def test_an_exec_of_the_same_name_is_noticed(proc):
    with running(["sh", "-c", "read x; exec sh -c 'read y; :'"], stdin=subprocess.PIPE) as child:
        row = proc.sample().procs[child.pid]
        # A moment after the exec its arguments are not there yet.
        wait_for(lambda: proc.info(row.identity).cmdline)
        assert proc.info(row.identity).cmdline[2].startswith("read x")
        child.stdin.write(b"\n")
        child.stdin.flush()

        def renewed():
            proc.sample()
            return "read y; :" in proc.info(row.identity).cmdline

        wait_for(renewed)


def test_a_zombie_is_a_row_without_memory(source):
    child = subprocess.Popen(python("pass"))
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        row = source.sample().procs[child.pid]
        assert row.state == "Z"
        assert source.info(row.identity) is not None
    finally:
        child.wait()


def test_the_jobs_io_is_counted(source, tmp_path):
    code = (
        "import os, sys; f = open(sys.argv[1], 'wb'); f.write(b'x' * 4_000_000); f.flush();"
        "os.fsync(f.fileno()); print(flush=True); input()"
    )
    target = tmp_path / "written"
    with running(python(code, str(target)), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        if Path(f"/proc/{child.pid}/io").read_text().split("\nwrite_bytes: ")[1].startswith("0"):
            pytest.skip("the temporary directory is no disk")
        source.sample(frozenset({child.pid}))
        assert source.sample(frozenset({child.pid})).io[child.pid].write_bytes >= 4_000_000


def test_the_machine_agrees_with_psutil(source):
    system = source.sample().system
    assert system.cores == psutil.cpu_count()
    memory = psutil.virtual_memory()
    assert system.memory.total == memory.total
    assert abs(system.memory.available - memory.available) < 0.05 * memory.total
    assert system.memory.swap_total == psutil.swap_memory().total
    assert len(system.load) == 3


def test_kernel_threads_are_told(proc):
    rows = proc.sample().procs
    if 2 not in rows or rows[2].name != "kthreadd":
        pytest.skip("no kernel threads are visible here")
    assert rows[2].kernel
    assert not rows[os.getpid()].kernel


def test_our_children_get_our_own_limit_back():
    limits.raise_descriptor_limit()
    restore = limits.child_limits()
    code = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    done = subprocess.run(
        python(code), preexec_fn=restore, capture_output=True, text=True, check=True
    )
    assert tuple(map(int, done.stdout.split())) == limits._first


@pytest.mark.namespace
@pytest.mark.skipif(os.getuid() != 0 or shutil.which("unshare") is None, reason="mounts need root")
def test_with_hidepid_the_rest_is_simply_not_there():
    code = (
        "import os; from proctui.machine.sampler import ProcSource; s = ProcSource();"
        "a = s.sample(); b = s.sample(); print(sorted({r.uid for r in b.procs.values()}), os.getpid() in b.procs)"
    )
    script = (
        "mount -t proc -o hidepid=2 proc /proc && "
        f'exec setpriv --reuid 65534 --clear-groups "{sys.executable}" -c "$0"'
    )
    done = subprocess.run(
        ["unshare", "-m", "-p", "-f", "sh", "-c", script, code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.split("\n")[0] == "[65534] True", done.stderr
