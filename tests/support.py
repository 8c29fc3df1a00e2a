"""What tests share: waiting for a condition, and programs that are surely gone afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ZOO = Path(__file__).parent / "zoo"


def wait_for(condition: Callable[[], T], timeout: float = 60.0, what: str = "") -> T:
    """Poll until ``condition()`` is truthy and return it; never a bare sleep in a test."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what or condition}")
        time.sleep(0.01)


@contextlib.contextmanager
def running(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child in a session of its own whose whole group is ended with the block.

    The group is ours by construction (``start_new_session``) and its leader
    is unreaped while we signal it, so nothing else can be hit.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen(list(argv), start_new_session=True, **options)
    try:
        yield child
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
            child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def python(code: str, *arguments: str) -> list[str]:
    """An argv that runs ``code`` in a bare interpreter."""
    return [sys.executable, "-I", "-c", code, *arguments]


def alive(pid: int) -> bool:
    """Whether ``pid`` exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in (b"Z", b"X")
