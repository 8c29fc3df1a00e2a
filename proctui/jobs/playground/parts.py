"""The parts of the playground, one process each (``python -m proctui.jobs.playground NAME``)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from proctui.jobs.playground.life import Lease, end_with_parent
from proctui.jobs.titles import rename

__all__ = ["PARTS", "begin_worker", "play", "start", "worker"]


def start(name: str) -> subprocess.Popen[bytes]:
    """Start a part as a child of ours."""
    return subprocess.Popen(
        [sys.executable, "-m", "proctui.jobs.playground", name], stdin=subprocess.DEVNULL
    )


def busy() -> None:
    """Half of one core: works fifty milliseconds, rests as long."""
    lease = Lease()
    while lease.valid():
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            sum(range(1000))
        time.sleep(0.05)


def growing() -> None:
    """Takes 4 MiB a second up to 160, lets all go and begins anew."""
    lease = Lease()
    held: list[bytearray] = []
    while lease.rest(1.0):
        held.append(bytearray(os.urandom(1 << 12) * (1 << 10)))
        if len(held) >= 40:
            held.clear()


def deadlocked() -> None:
    """Two threads that take two locks in opposite order; nothing in here will ever end it."""
    accounts, ledger = threading.Lock(), threading.Lock()
    meet = threading.Barrier(2)

    def transfer() -> None:
        with accounts:
            meet.wait()
            with ledger:
                return

    def audit() -> None:
        with ledger:
            meet.wait()
            with accounts:
                return

    threads = [
        threading.Thread(target=transfer, name="transfer"),
        threading.Thread(target=audit, name="audit"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stray() -> None:
    """Double fork and setsid: a daemon that its parent has forgotten."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    lease = Lease()
    while lease.rest(1.0):
        pass


def begin_worker() -> None:
    """What each of the pool's workers does first."""
    rename("shop-worker", "shop: worker")
    end_with_parent()


def worker(number: int) -> int:
    """What the pool's workers do: a little arithmetic, a short rest."""
    total = 0
    for _ in range(20):
        total += sum(range(20_000))
        time.sleep(0.05)
    return total + number


PARTS = {"busy": busy, "growing": growing, "deadlocked": deadlocked, "stray": stray}


def play(name: str) -> None:
    """Be one part."""
    rename(f"shop-{name}"[:15], f"shop: {name}")
    if name != "stray":
        end_with_parent()
    PARTS[name]()
