"""What the plays of the zoo share: a stream that is heard as long as a look has changed nothing.

Every play writes lines to stdout.  One that hangs is asked with SIGINT: it
answers with its next beat and hangs on.  One that moves by itself beats all
the while.  What a play was blocked in, it says when that ends.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

FOREVER = 3600.0

_numbers = itertools.count()


def perform(plays: Mapping[str, Callable[[], None]]) -> None:
    """Play the one that the command line names."""
    signal.signal(signal.SIGINT, lambda *_: beat())
    plays[sys.argv[1]]()


def say(line: str) -> None:
    """One line, whole: no longer than what a pipe takes at once (pipe(7))."""
    os.write(1, f"{line}\n".encode())


def ready() -> None:
    """Tell whoever started the play that everything stands, or soon will, as it shall."""
    say("ready")


def beat() -> None:
    say(f"beat {os.getpid()} {next(_numbers)}")


def beat_on(pause: float) -> None:
    """The life of a main thread that does nothing but live."""
    while True:
        beat()
        time.sleep(pause)
