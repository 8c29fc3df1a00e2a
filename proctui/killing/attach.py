"""Running a debugger on another process: it stands here because it stops its target.

``proctui.stacks.debugger`` makes the plan and the refusals; this module only
proves once more that the process is the one that was planned, runs the
command and looks at what it left behind.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from proctui.errors import Changed, NoSuchProcess, TimedOut
from proctui.ident import Identity
from proctui.killing.signals import end_helper
from proctui.machine import identity as identities

__all__ = ["Attached", "attach"]


class Attached(NamedTuple):
    """How the debugger's command ended; ``output`` is empty where it had the terminal."""

    status: int
    output: str


def attach(
    identity: Identity, command: Sequence[str], *, interactive: bool, timeout: float = 60.0
) -> Attached:
    """Run ``command`` on the process ``identity``.

    ``interactive``: it gets our terminal and may take as long as its user
    likes; Ctrl-C is the debugger's then.  Otherwise it has ``timeout``
    seconds.  Raises :class:`Changed` where the pid is another process now.
    """
    _prove(identity)
    if interactive:
        return _with_terminal(command)
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        end_helper(child)
        raise TimedOut(
            f"the debugger did not attach to {identity.pid} in {timeout:.0f} s"
        ) from error
    except BaseException:
        end_helper(child)
        raise
    return Attached(child.returncode, output.decode("utf-8", "replace"))


def _prove(identity: Identity) -> None:
    try:
        now = identities.identify(identity.pid)
    except NoSuchProcess as error:
        raise Changed(f"process {identity} has ended") from error
    if not now.same(identity):
        raise Changed(f"process {identity.pid} is now {now}, not {identity}")


def _with_terminal(command: Sequence[str]) -> Attached:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(list(command), preexec_fn=_default_interrupt)
        return Attached(child.wait(), "")
    finally:
        signal.signal(signal.SIGINT, before)


def _default_interrupt() -> None:
    """An ignored SIGINT is inherited through exec (signal(7))."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
