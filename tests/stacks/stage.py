"""Starting programs of the zoo, many at once, and proving that a look left them as they were."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import ZOO, running

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
TERMINAL = frozenset({"tty_input"})


class Actor(NamedTuple):
    """A started program; ``pid`` is the process that was started."""

    name: str
    pid: int
    child: subprocess.Popen[Any]

    def family(self) -> list[int]:
        """The process and its descendants, zombies too."""
        found = [self.pid]
        for pid in found:
            found += children_of(pid)
        return found


def _script_of(name: str) -> Path:
    files = [ZOO / "hangs.py", ZOO / "rests.py"]
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
        for name in names:
            stdin: int = subprocess.DEVNULL
            if name in TERMINAL:
                master, stdin = pty.openpty()
                stack.callback(os.close, master)
                stack.callback(os.close, stdin)
            child = stack.enter_context(
                running(
                    [*argv, str(_script_of(name)), name],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
            actors[name] = Actor(name, child.pid, child)
        for actor in actors.values():
            assert actor.child.stdout is not None
            assert actor.child.stdout.readline() == b"ready\n", actor.name
        yield actors


def condition_of(pid: int) -> dict[str, Any]:
    """What a look must leave alone: stopped or not, the tracer, pending signals."""
    fields = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":" in line
    )
    return {
        "stopped": fields["State"].split()[0] in "Tt",
        "tracer": int(fields["TracerPid"]),
        "pending": (int(fields["SigPnd"], 16), int(fields["ShdPnd"], 16)),
    }


def as_nobody() -> list[str] | None:
    """An argv prefix that runs a plain Python as an ordinary user; ``None`` where that can't be."""
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not shutil.which("setpriv") or not os.access(python, os.X_OK):
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
