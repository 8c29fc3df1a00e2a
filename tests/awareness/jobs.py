"""A job that the test itself runs, as a runner would, and programs that hide."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proctui.awareness.baseline import Baseline
from proctui.awareness.registry import marker_value
from proctui.awareness.watch import Watch
from proctui.awareness.writer import SessionWriter, create_session
from proctui.errors import NoSuchProcess, RefusedError
from proctui.machine import identity as kernel
from proctui.machine.source import open_source
from proctui.model import Identity
from tests.support import python, wait_for

SUBREAPER = 36
SLEEP = "import time; time.sleep(300)"
HIDE = """
import os, sys, time
how = sys.argv[1]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[2] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[2] + ".new", sys.argv[2])
code = "import time; time.sleep(300)"
if how == "clean":
    os.execve(sys.executable, [sys.executable, "-I", "-c", code], {})
if how == "scrub":
    import ctypes
    os.environ.clear()
if how == "undumpable":
    import ctypes
    ctypes.CDLL(None).prctl(4, 0)
time.sleep(300)
"""


@contextlib.contextmanager
def reaper() -> Iterator[None]:
    """This process takes in orphans, as a runner does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SUBREAPER, 1, 0, 0, 0) != 0:
        pytest.skip("no subreaper here")
    try:
        yield
    finally:
        libc.prctl(SUBREAPER, 0, 0, 0, 0)


class Job:
    """A session with a leader, run by this process as its runner, as ``proctui run`` would."""

    def __init__(self, *argv: str, reaps: bool = True) -> None:
        self.source = open_source()
        baseline, _ = Baseline.capture(self.source)
        self.writer: SessionWriter = create_session("job", kind="run" if reaps else "library")
        self.writer.write_baseline(baseline)
        self.watch = Watch(self.source, writer=self.writer, history=0)
        environ = {**os.environ, "PROCTUI_SESSION": marker_value(None, self.writer.session.id)}
        self.leader = subprocess.Popen(
            list(argv) or python(SLEEP), start_new_session=True, env=environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        leader = kernel.identify(self.leader.pid) if reaps else kernel.own()
        self.writer.update(leader=leader, pgid=leader.pid, sid=leader.pid)
        self.hidden: list[Identity] = []

    def line(self) -> str:
        assert self.leader.stdout is not None
        return self.leader.stdout.readline().strip()

    def end(self) -> None:
        """End everything that this test's job left, each by its own identity."""
        for identity in [
            *self.hidden,
            *(record.identity for record in self.watch.classifier.lineage),
        ]:
            with contextlib.suppress(OSError, NoSuchProcess, RefusedError):
                descriptor, now = kernel.pin(identity.pid)
                if now.same(identity):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os.close(descriptor)
        self.leader.kill()
        self.leader.wait()
        if self.leader.stdout is not None:
            self.leader.stdout.close()
        for identity in self.hidden:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(identity.pid, 0)
        self.writer.discard()
        self.watch.close()


@pytest.fixture
def job() -> Iterator[Callable[..., Job]]:
    jobs: list[Job] = []

    def start(*argv: str, reaps: bool = True) -> Job:
        jobs.append(Job(*argv, reaps=reaps))
        return jobs[-1]

    with reaper():
        yield start
        for one in jobs:
            one.end()


def hide(
    job: Callable[..., Job], tmp_path: Path, how: str, *, reaps: bool = True
) -> tuple[Job, int]:
    place = tmp_path / "pid"
    started = job(*python(HIDE, how, str(place)), reaps=reaps)
    wait_for(place.exists, what="the hidden process")
    pid = int(place.read_text())
    started.hidden.append(kernel.identify(pid))
    wait_for(lambda: parent_of(pid) in (os.getpid(), 1), what="its parents' end")
    return started, pid


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def terminal_of(pid: int) -> int:
    """The device number of its controlling terminal, 0 for none."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4])
