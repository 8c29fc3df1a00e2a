"""How a job is to be started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Options"]


class Options(NamedTuple):
    """What ``run`` was asked for; the defaults are those of ``run --no-tui`` in a pipeline.

    ``pty`` None decides by the terminal.  ``dashboard`` says that a dashboard
    will show the job: its input is then empty, and its output is followed in
    the files instead of being passed on.  ``merge`` sends stderr into stdout.
    ``before_exec`` runs in the job's process right before the command (the
    fence); what it raises ends the start with 125.  ``isolated`` puts the
    command into a pid namespace of its own.  ``front`` is False where nobody waits
    for the output (a background job).  ``meanwhile`` is what the front does
    while the command is being started.  ``hang_after`` are the seconds without
    progress after which the watchdog speaks.
    """

    label: str | None = None
    kind: str = "run"
    lifetime: str = "session"
    pty: bool | None = None
    log: str | None = None
    dashboard: bool = False
    front: bool = True
    merge: bool = False
    strays: str = "report"
    hang_after: float | None = None
    hang_then: str = "report"
    artifacts: str | None = None
    environ: Mapping[str, str] | None = None
    before_exec: Callable[[], None] | None = None
    fenced: bool = False
    isolated: bool = False
    meanwhile: Callable[[], None] | None = None
