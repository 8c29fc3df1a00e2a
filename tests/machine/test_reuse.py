"""Real reuse of a pid, forced in a private pid namespace: two processes never become one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(
        os.getuid() != 0 or shutil.which("unshare") is None,
        reason="a private pid namespace needs root and unshare",
    ),
]

INSIDE = """
import os, sys
from proctui.errors import ProctuiError
from proctui.machine import details, identity
from proctui.machine.procdir import open_process
from proctui.machine.sampler import ProcSource

WANTED = 4000

def child():
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(WANTED - 1))
    end, keep = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(keep)
        os.read(end, 1)
        os._exit(0)
    os.close(end)
    return pid, keep

def finish(pid, keep):
    os.close(keep)
    os.waitpid(pid, 0)

for budget in (None, 0):
    source = ProcSource(descriptor_budget=budget)
    source.sample()
    for number in range(30):
        pid, keep = child()
        assert pid == WANTED, pid
        before = source.sample().procs[pid].identity
        info = source.info(before)
        with open_process(before) as held:
            finish(pid, keep)
            pid, keep = child()
            try:
                held.raw("stat")
                raise SystemExit("the directory of the dead answered")
            except OSError:
                pass
        assert not identity.alive(before)
        try:
            details.inspect(before)
            raise SystemExit("the successor was taken for the dead")
        except ProctuiError:
            pass
        snapshot = source.sample()
        after = snapshot.procs[pid].identity
        assert not after.same(before), (before, after)
        assert [row.identity for row in snapshot.died] == [before], snapshot.died
        assert pid in snapshot.born
        assert source.info(before) is None
        finish(pid, keep)
        assert [row.identity for row in source.sample().died] == [after]
    source.close()
print("fine")
"""


def test_a_reused_pid_is_never_mixed_up():
    done = subprocess.run(
        ["unshare", "-p", "-f", "--mount-proc", sys.executable, "-c", INSIDE],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if "unshare:" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "fine\n", done.stderr
