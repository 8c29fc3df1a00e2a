"""What the tests of jobs share: starting one as a person would, and finding its processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import alive, wait_for

RUN = [sys.executable, "-m", "proctui", "run", "--no-tui"]

LINES = """
import os, sys, time
count, gate = int(sys.argv[1]), sys.argv[2]
sys.stdout.write("up\\n"); sys.stdout.flush()
for number in range(count):
    os.write(1, b"line %07d %s\\n" % (number, b"x" * 60))
    if number == count // 2:
        deadline = time.monotonic() + 60
        while not os.path.exists(gate) and time.monotonic() < deadline:
            time.sleep(0.005)
"""


def lines(count: int) -> bytes:
    """What :data:`LINES` writes."""
    return b"up\n" + b"".join(b"line %07d %s\n" % (n, b"x" * 60) for n in range(count))


def session(state: Path) -> dict[str, Any]:
    """The one session below ``$XDG_STATE_HOME``, as its file says."""
    found = wait_for(lambda: list((state / "proctui" / "sessions").glob("[0-9a-f]*/session.json")))
    assert len(found) == 1
    return json.loads(found[0].read_text())


def directory(state: Path) -> Path:
    (found,) = (state / "proctui" / "sessions").glob("[0-9a-f]*")
    return found


def status(state: Path) -> dict[str, Any]:
    try:
        return json.loads((directory(state) / "status.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}


def pid_of(state: Path, role: str) -> int:
    """The pid of the session's ``leader``, ``runner`` or ``keeper``, once the job has begun."""
    wait_for(lambda: session(state)["leader"], what="the leader")
    return wait_for(lambda: (session(state)[role] or [None, 0])[1], what=role)


def ended(state: Path) -> bool:
    return session(state)["state"] == "ended"


@contextlib.contextmanager
def front(
    *argv: str, options: tuple[str, ...] = (), **popen: Any
) -> Iterator[subprocess.Popen[Any]]:
    """``proctui run --no-tui`` in a session of its own; its job is ended with the block."""
    popen.setdefault("stdin", subprocess.DEVNULL)
    state = Path(os.environ["XDG_STATE_HOME"])
    with subprocess.Popen(
        [*RUN, *options, "--", *argv], start_new_session=True, **popen
    ) as process:
        try:
            yield process
        finally:
            end_everything(state)
            with contextlib.suppress(ProcessLookupError):
                if process.poll() is None:
                    process.kill()


def end_everything(state: Path) -> None:
    """Kill what the session recorded as spawned, by pidfd and only while it is that process."""
    for path in (state / "proctui" / "sessions").glob("[0-9a-f]*/"):
        for name in ("spawned.jsonl",):
            with contextlib.suppress(FileNotFoundError, ValueError):
                for line in (path / name).read_text().splitlines():
                    _, pid, inode, _, _ = json.loads(line)["identity"]
                    with contextlib.suppress(OSError):
                        pidfd = os.pidfd_open(pid)
                        if inode is None or os.fstat(pidfd).st_ino == inode:
                            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                        os.close(pidfd)


def gone(*pids: int) -> None:
    """Wait until none of them lives any more."""
    for pid in pids:
        wait_for(lambda pid=pid: not alive(pid), what=f"the end of {pid}")
