"""A frozen tree is never left frozen, however its killer ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proctui.killing import freeze, signals
from proctui.killing.freeze import Freezer
from proctui.machine import identity as identities
from tests.support import running, wait_for

SLEEP = ["sleep", "1000"]
KILLER = """
import os, signal, sys, time
from proctui.killing import signals
from proctui.killing.freeze import Freezer
from proctui.machine import identity
pins = [signals.pin(identity.identify(int(pid))) for pid in sys.argv[2:]]
freezer = Freezer()
assert freezer.ready()
assert all(error is None for _, error in freezer.stop(pins))
if sys.argv[1] == "forked":
    # A child of the killer keeps its end of the helper's socket open.
    if os.fork() == 0:
        time.sleep(1000)
print("frozen", flush=True)
if sys.argv[1] == "leaves":
    os._exit(1)
if sys.argv[1] == "raises":
    with freezer:
        raise SystemExit(1)
time.sleep(1000)
"""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def sleepers() -> Iterator[list[int]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running(SLEEP)).pid for _ in range(3)]


def test_the_stopped_are_freed_when_the_block_is_left(sleepers: list[int]) -> None:
    pins = [signals.pin(identities.identify(pid)) for pid in sleepers]
    with Freezer() as freezer:
        assert freezer.ready()
        freezer.stop(pins)
        wait_for(lambda: all(state(pid) == "T" for pid in sleepers))
    wait_for(lambda: all(state(pid) == "S" for pid in sleepers))
    for pin in pins:
        pin.close()


@pytest.mark.parametrize("how", ["killed", "forked", "leaves", "raises"])
def test_the_stopped_are_freed_when_the_killer_dies(sleepers: list[int], how: str) -> None:
    argv = [sys.executable, "-c", KILLER, how, *map(str, sleepers)]
    with running(argv, stdout=subprocess.PIPE) as killer:
        assert killer.stdout is not None
        assert killer.stdout.readline() == b"frozen\n"
        if how in ("killed", "forked"):
            wait_for(lambda: all(state(pid) == "T" for pid in sleepers))
            os.kill(killer.pid, signal.SIGKILL)
        wait_for(lambda: all(state(pid) == "S" for pid in sleepers), what="everybody freed")


def test_the_stopped_are_freed_when_the_killer_falls_silent(
    sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeze, "SILENCE", 0.1)
    pins = [signals.pin(identities.identify(pid)) for pid in sleepers]
    freezer = Freezer()
    assert freezer.ready()
    freezer.stop(pins)
    wait_for(lambda: all(state(pid) == "S" for pid in sleepers), what="everybody freed")
    freezer.settle(pins)
    for pin in pins:
        pin.close()


def test_without_a_helper_nobody_is_stopped(
    sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    pins = [signals.pin(identities.identify(pid)) for pid in sleepers]
    with Freezer() as freezer:
        assert not freezer.ready()
        assert freezer.stop(pins) == []
        assert all(state(pid) != "T" for pid in sleepers)
    for pin in pins:
        pin.close()


def test_who_is_killed_is_not_freed_and_who_is_not_is(sleepers: list[int]) -> None:
    pins = [signals.pin(identities.identify(pid)) for pid in sleepers]
    with Freezer() as freezer:
        assert freezer.ready()
        freezer.stop(pins)
        wait_for(lambda: all(state(pid) == "T" for pid in sleepers))
        freezer.settle(pins[:2])
        wait_for(lambda: state(sleepers[2]) == "S")
    assert state(sleepers[0]) == state(sleepers[1]) == "T"
    for pin in pins:
        signals.send(pin, signal.SIGKILL)
        pin.close()
