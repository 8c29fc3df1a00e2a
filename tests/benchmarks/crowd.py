"""Crowds of idle, busy and short-lived processes for the benchmarks, all ours and all ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_IDLE = """
import gc, os, sys
gc.disable()
count = int(sys.argv[1])
end, keep = os.pipe()
for number in range(count):
    if os.fork() == 0:
        os.close(keep)
        os.read(end, 1)
        os._exit(0)
print("ready", flush=True)
sys.stdin.read()
os.close(keep)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""

_BUSY = """
import os, sys, time
count = int(sys.argv[1])
end, keep = os.pipe()
os.set_blocking(end, False)
for number in range(count):
    if os.fork() == 0:
        os.close(keep)
        while True:
            until = time.process_time() + 0.0012
            while time.process_time() < until:
                pass
            bytearray(200_000)
            time.sleep(0.5)
            try:
                if os.read(end, 1) == b"":
                    os._exit(0)
            except BlockingIOError:
                pass
print("ready", flush=True)
sys.stdin.read()
os.close(keep)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""

_CHURN = """
import os, select, sys, time
rate = float(sys.argv[1])
print("ready", flush=True)
begun, made = time.monotonic(), 0
while not select.select([0], [], [], 0.05)[0]:
    due = int((time.monotonic() - begun) * rate) - made
    for number in range(due):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    made += due
"""


@contextlib.contextmanager
def _program(code: str, argument: str) -> Iterator[int]:
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        if child.stdout.readline() != b"ready\n":
            raise SystemExit(f"the crowd of {argument} could not be started (limits?)")
        yield child.pid
    finally:
        # The end of its input ends the parent, whose closed pipe ends every child.
        child.stdin.close()
        child.stdout.close()
        child.wait()


def idle(count: int) -> contextlib.AbstractContextManager[int]:
    """``count`` children blocked in a read; gives their parent's pid."""
    return _program(_IDLE, str(count))


def busy(count: int) -> contextlib.AbstractContextManager[int]:
    """``count`` children that work a millisecond and change their memory twice a second."""
    return _program(_BUSY, str(count))


def churn(rate: float) -> contextlib.AbstractContextManager[int]:
    """``rate`` births and deaths a second."""
    return _program(_CHURN, str(rate))


def processes() -> int:
    """How many processes there are now."""
    return sum(name.isdecimal() for name in os.listdir("/proc"))
