"""Who was killed for want of memory is said to be: a real kill in a memory group of the test's own."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.awareness.naming import start_watch
from proctui.machine import oom
from tests.support import python, running, wait_for

LIMIT = 64 << 20
HUNGRY = f"import time\ndata = b'x' * {4 * LIMIT}\ntime.sleep(300)"
WAITING = f"import time\ndata = b'x' * {LIMIT // 4}\ntime.sleep(300)"


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory cgroup of 64 MB, of version 1 or 2, below our own."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in own:
        for root, limit in (
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ):
            if (controllers == "memory") != limit.endswith("bytes"):
                continue
            place = Path(f"{root}{path}", f"test-{os.getpid()}")
            try:
                place.mkdir()
            except OSError:
                continue
            if not (place / limit).exists():  # a plain directory: no such hierarchy here
                place.rmdir()
                continue
            (place / limit).write_text(str(LIMIT))
            yield place
            wait_for(lambda place=place: not (place / "cgroup.procs").read_text(), what="its end")
            place.rmdir()
            return
    pytest.skip("no memory cgroup may be made here")


def test_the_victim_of_the_oom_killer_is_told_from_who_was_merely_killed(group: Path) -> None:
    joined = f"echo $$ > {group}/cgroup.procs && exec {shlex.join(python(HUNGRY))}"
    hungry = shlex.join(["sh", "-c", joined])
    other = shlex.join(python(WAITING))
    script = f"read go; {hungry} & {other} & echo $!; wait"
    with running(["sh", "-c", script], stdin=-1, stdout=-1) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        watch = start_watch(shell.pid)
        assert watch.writer is not None
        watch.tick()
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        merely = int(shell.stdout.readline())
        tombs = wait_for(lambda: watch.tick().tombs, what="the victim's tomb")
        assert [(tomb.exit, tomb.oom) for tomb in tombs] == [(-signal.SIGKILL, True)]
        os.kill(merely, signal.SIGKILL)
        tombs = wait_for(lambda: watch.tick().tombs[1:], what="the other's tomb")
        assert [(tomb.exit, tomb.oom) for tomb in tombs] == [(-signal.SIGKILL, False)]
        watch.writer.discard()
        watch.close()


def test_the_kernel_counts_its_victims() -> None:
    counted = oom.kills()
    assert counted is not None and counted >= 0
