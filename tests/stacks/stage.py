"""Starting programs of the zoo, many at once, and proving that a look left them as they were."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proctui import stacks
from proctui.stacks import kernel, remote
from tests.support import ZOO, running, wait_for

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
TERMINAL = frozenset({"tty_input"})


@dataclasses.dataclass
class Actor:
    """A started program; ``pid`` is the process that was started, ``terminal`` our end of its own."""

    name: str
    pid: int
    child: subprocess.Popen[Any]
    terminal: int | None = None
    heard: bytes = b""

    def family(self) -> list[int]:
        """The process and its descendants, zombies too."""
        found = [self.pid]
        for pid in found:
            found += children_of(pid)
        return found

    def lines(self) -> list[str]:
        """What it has said so far, but for an unfinished line; never waits."""
        assert self.child.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.child.stdout.fileno(), 1 << 16):
                self.heard += chunk
        return self.heard.decode().split("\n")[:-1]

    def beats(self, pid: int | None = None) -> list[int]:
        """The numbers of the beats that one process (default: the started one) has sent."""
        start = f"beat {pid or self.pid} "
        return [int(line[len(start) :]) for line in self.lines() if line.startswith(start)]

    def waits_to_hear(self, line: str) -> None:
        wait_for(lambda: line in self.lines(), timeout=60, what=f"{self.name}: {line}")


def _script_of(name: str) -> Path:
    files = [ZOO / f"{kind}.py" for kind in ("hangs", "traps", "rests", "services")]
    return next(file for file in files if f"\ndef {name}(" in file.read_text())


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


@contextlib.contextmanager
def cast(*names: str, argv: Sequence[str] = (sys.executable,)) -> Iterator[dict[str, Actor]]:
    """Start these plays; each has said that it is ready."""
    with contextlib.ExitStack() as stack:
        actors: dict[str, Actor] = {}
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        os.chmod(folder, 0o777)
        for name in names:
            stdin: int = subprocess.DEVNULL
            terminal = None
            if name in TERMINAL:
                terminal, stdin = pty.openpty()
                stack.callback(os.close, terminal)
                stack.callback(os.close, stdin)
            child = stack.enter_context(
                running(
                    [*argv, str(_script_of(name)), name],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "TMPDIR": folder},
                )
            )
            assert child.stdout is not None
            os.set_blocking(child.stdout.fileno(), False)
            actors[name] = Actor(name, child.pid, child, terminal)
        for actor in actors.values():
            actor.waits_to_hear("ready")
        yield actors


def condition_of(pid: int) -> dict[str, Any]:
    """What a look must leave alone: stopped or not, the tracer, pending signals."""
    fields = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":" in line
    )
    return {
        "zombie": fields["State"].split()[0] in "ZX",
        "stopped": fields["State"].split()[0] in "Tt",
        "tracer": int(fields["TracerPid"]),
        "pending": (int(fields["SigPnd"], 16), int(fields["ShdPnd"], 16)),
    }


def traffic_of(pid: int) -> dict[str, int]:
    """Bytes and calls of reading and writing: one that is cut short is made, and counted, again."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines[:4])}


def runs_of(pid: int) -> dict[int, int | None]:
    """How often each thread gave up its CPU: unchanged where it has not run at all."""
    return {tid: kernel.switches(pid, tid) for tid in kernel.thread_ids(pid)}


def drained(actor: Actor) -> bytes:
    """Read in its place the full pipe that a play does not read, until it says that its writer ended."""
    ends = [
        os.open(link, os.O_RDONLY | os.O_NONBLOCK)
        for link in Path(f"/proc/{actor.pid}/fd").iterdir()
        if os.readlink(link).startswith("pipe:") and link.lstat().st_mode & stat.S_IRUSR
    ]
    taken = b""

    def is_over() -> bool:
        nonlocal taken
        over = any(line.startswith("ended ") for line in actor.lines())
        for end in ends:
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(end, 1 << 16):
                    taken += chunk
        return over

    try:
        wait_for(is_over, timeout=60, what=f"{actor.name}: the end of the writer")
    finally:
        for end in ends:
            os.close(end)
    return taken


def as_nobody() -> list[str] | None:
    """An argv prefix that runs a plain Python as an ordinary user; ``None`` where that can't be."""
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not shutil.which("setpriv") or not os.access(python, os.X_OK):
        return None
    # Where only ancestors may look, neither his look nor its py-spy would see anything.
    if remote.yama() >= 1:
        return None
    prefix = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", python]
    probe = subprocess.run(
        [
            *prefix,
            "-c",
            "import sys; assert sys.version_info >= (3, 11); import proctui.stacks.capturing",
        ],
        env=nobody_environment(),
        capture_output=True,
        cwd="/",
    )
    return prefix if probe.returncode == 0 else None


def nobody_environment() -> dict[str, str]:
    beside = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{beside}:{os.environ['PATH']}",
        "HOME": "/",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def look(pids: list[int], *, every: bool = False) -> dict[str, Any]:
    """The verdicts; ``every``: after every other kind of look that pauses nothing."""
    if every:
        stacks.wait_graph(pids)
        stacks.capture_many(pids, locals=True)
    return stacks.find_hangs(pids, 1.0)


def look_as_nobody(pids: list[int], *, every: bool = False) -> dict[str, Any]:
    """The same by a process of an ordinary user."""
    code = (
        "import json, sys\n"
        "from tests.stacks.stage import look\n"
        "pids, every = json.loads(sys.argv[1])\n"
        "print(json.dumps(look(pids, every=every)))"
    )
    done = subprocess.run(
        [*(as_nobody() or ()), "-c", code, json.dumps([pids, every])],
        stdout=subprocess.PIPE,
        env=nobody_environment(),
        cwd="/",
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
