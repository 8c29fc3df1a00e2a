"""Holding a tree still for the moment in which it is killed.

A process that forks while it is killed leaves children that no list holds.
So everything is stopped first, parents before children, until a look shows
nobody new.  Whoever stops processes may die before it kills or frees them,
and frozen for ever is worse than alive: a helper process in a session of its
own holds a pidfd of each and sends CONT to all when we die, or stay silent
for :data:`SILENCE` seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from proctui.errors import ProctuiError
from proctui.killing import signals
from proctui.killing.signals import Pin

if TYPE_CHECKING:
    from proctui.model import Identity

__all__ = ["SILENCE", "Freezer", "helper_main"]

SILENCE: Final = 30.0
"""Seconds after which the helper frees everybody, as if we had died."""

_BATCH = 32
"""Descriptors per message; the kernel takes at most 253 (unix(7), SCM_RIGHTS)."""
_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ARM, _DONE, _ACK = b"A", b"D", b"a"
_START = "import sys;sys.path.insert(0,sys.argv[1]);from proctui.killing.freeze import helper_main;helper_main(int(sys.argv[2]),float(sys.argv[3]))"


class Freezer:
    """Stops processes under the eye of the helper; use it as a context manager.

    Leaving the block frees whoever is still stopped by us, unless :meth:`settle`
    was told that he is killed.
    """

    def __init__(self) -> None:
        self._helper: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._shielded: Identity | None = None
        self._frozen: list[Pin] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.settle(())
        self._tell_done()

    def ready(self) -> bool:
        """Start the helper unless it runs; whether it does."""
        if self._line is not None:
            return True
        if not sys.executable:
            return False
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            return False
        root = str(Path(__file__).resolve().parents[2])
        try:
            with theirs:
                self._helper = subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        "-c",
                        _START,
                        root,
                        str(theirs.fileno()),
                        str(SILENCE),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={name: os.environ[name] for name in _LOADER if name in os.environ},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            return False
        from proctui.awareness import protect

        self._shielded = protect.add_helper(self._helper.pid)
        ours.settimeout(10.0)
        self._line = ours
        if self._acknowledged():
            return True
        self._tell_done()
        return False

    def stop(self, pins: Iterable[Pin]) -> list[tuple[Pin, OSError | None]]:
        """STOP each, in order, once the helper holds it; with the error of those it failed for."""
        outcome: list[tuple[Pin, OSError | None]] = []
        for batch in _batches(pins):
            with contextlib.ExitStack() as opened:
                fds = [_fd(pin, opened) for pin in batch]
                if not self._arm([fd for fd in fds if fd is not None]):
                    return outcome
                for pin, fd in zip(batch, fds, strict=True):
                    if fd is None:
                        continue
                    try:
                        signals.send(pin, signal.SIGSTOP)
                    except OSError as error:
                        outcome.append((pin, error))
                    else:
                        self._frozen.append(pin)
                        outcome.append((pin, None))
        return outcome

    def settle(self, killed: Iterable[Pin]) -> None:
        """These have got their KILL; whoever else was stopped is freed, for he is not to die."""
        dying = {id(pin) for pin in killed}
        for pin in self._frozen:
            if id(pin) not in dying:
                with contextlib.suppress(OSError, ProctuiError):
                    signals.send(pin, signal.SIGCONT)
        self._frozen.clear()

    def _arm(self, fds: list[int]) -> bool:
        if self._line is None:
            return False
        try:
            socket.send_fds(self._line, [_ARM], fds)
        except OSError:
            return False
        return self._acknowledged()

    def _acknowledged(self) -> bool:
        if self._line is None:
            return False
        try:
            return self._line.recv(1) == _ACK
        except OSError:
            return False

    def _tell_done(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.sendall(_DONE)
            self._line.close()
            self._line = None
        if self._helper is not None:
            helper, self._helper = self._helper, None
            try:
                helper.wait(2.0)
            except subprocess.TimeoutExpired:
                signals.end_helper(helper, 0.0)
        if self._shielded is not None:
            from proctui.awareness import protect

            protect.discard(self._shielded)
            self._shielded = None


def _batches(pins: Iterable[Pin]) -> Iterator[list[Pin]]:
    left = iter(pins)
    while batch := list(itertools.islice(left, _BATCH)):
        yield batch


def _fd(pin: Pin, opened: contextlib.ExitStack) -> int | None:
    """A pidfd for the helper, ``None`` where the process is gone or nothing can be opened."""
    try:
        return opened.enter_context(pin.descriptor())
    except (OSError, ProctuiError):
        return None


def helper_main(descriptor: int, silence: float) -> None:
    """The helper: collect pidfds; CONT to all when the parent dies or falls silent."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(signum, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held: list[int] = []
    parent = _parent_pidfd()
    with socket.socket(fileno=descriptor) as line:
        with contextlib.suppress(OSError):
            line.sendall(_ACK)
        poller = select.poll()
        poller.register(line, select.POLLIN)
        if parent is not None:
            poller.register(parent, select.POLLIN)
        last = time.monotonic()
        while True:
            ready = {fd for fd, _ in poller.poll(min(1000.0, silence * 500))}
            if line.fileno() in ready:
                message, fds = _receive(line)
                held += fds
                last = time.monotonic()
                if message == _DONE:
                    return
                if message != _ARM:
                    break
                with contextlib.suppress(OSError):
                    line.sendall(_ACK)
            elif ready or time.monotonic() - last > silence:
                break
        signals.thaw(held)


def _receive(line: socket.socket) -> tuple[bytes, list[int]]:
    try:
        message, fds, _flags, _address = socket.recv_fds(line, 1, _BATCH)
    except OSError:
        return b"", []
    return message, fds


def _parent_pidfd() -> Any:
    """A pidfd of whoever started us: a fork of it may keep the socket open after its death."""
    try:
        return os.pidfd_open(os.getppid())
    except (OSError, AttributeError):
        return None
