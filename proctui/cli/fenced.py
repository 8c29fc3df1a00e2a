"""A command that was typed behind a fence is answered by the session's runner, outside of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["answered_outside"]

_ASKABLE = frozenset(
    {"cpu", "hangs", "inspect", "kill", "memory", "sessions", "stack", "strays", "tree"}
)


def answered_outside(argv: Sequence[str]) -> int | None:
    """The exit status of the runner's answer, already printed; ``None`` where none is needed."""
    if not argv or argv[0] not in _ASKABLE or not _behind_something():
        return None
    from proctui.awareness import registry
    from proctui.awareness.select import containing
    from proctui.jobs import broker

    inside = containing([one for one in registry.list_sessions() if one.state == "live"])
    if not inside or not broker.walled_off(inside[0]):
        return None
    status, out, err = broker.delegate(inside[0], list(argv))
    sys.stdout.write(out)
    sys.stdout.flush()
    sys.stderr.write(err)
    return status


def _behind_something() -> bool:
    """A fence always leaves ``no_new_privs`` and a seccomp filter behind (proc_pid_status(5))."""
    try:
        with open("/proc/self/status", "rb") as file:
            status = file.read()
    except OSError:
        return False
    return b"\nNoNewPrivs:\t1" in status and b"\nSeccomp:\t2" in status
