"""Opening the dashboard: which session, which terminal, and what is said afterwards."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from proctui import config as configuration
from proctui.errors import ProctuiError
from proctui.model import Identity
from proctui.tui.guardian import Guardian
from proctui.tui.options import Options

if TYPE_CHECKING:
    from proctui.awareness.session import Session
    from proctui.awareness.watch import Watch
    from proctui.recording.replay import ReplayWatch
    from proctui.tui.feed import Watching

__all__ = ["preload", "run_dashboard"]

_COLLECT_AFTER = 50_000
"""Objects between two collections: a tick at 10,000 processes makes few that stay."""


def preload() -> None:
    """Import what the dashboard is made of: most of its start, and nothing that needs the job.

    Nothing above here imports Textual: what its modules make is not to be
    looked at by the collector either.
    """
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    # What is made until the first frame stays for good: to look for garbage in it takes longer
    # than a third of the imports. The app lets the collector on when that frame stands.
    gc.disable()
    with _without_tls():
        import proctui.tui.app
        import proctui.tui.driver  # noqa: F401


@contextlib.contextmanager
def _without_tls() -> Iterator[None]:
    """Let asyncio be loaded as where Python was built without OpenSSL, which it knows how to do.

    The dashboard's loop never speaks TLS: what would be loaded for it takes
    4 MB and 5 ms of the 300 until the first frame.
    """
    modules: dict[str, Any] = sys.modules
    if "ssl" in modules or "asyncio" in modules:
        yield
        return
    modules["ssl"] = None
    try:
        yield
    finally:
        del modules["ssl"]


def run_dashboard(
    *,
    session_id: str | None = None,
    job: Any = None,
    watch: Identity | None = None,
    on_quit: str | None = None,
    interval: float | None = None,
    read_only: bool = False,
    source: str = "auto",
    theme: str | None = None,
    recording: ReplayWatch | None = None,
) -> int:
    """Show the dashboard until it is left; the exit status of the command that opened it.

    ``job`` is the handle of a job that this process started (its status is
    the result once it ended), ``watch`` a process to be named as the job,
    ``session_id`` a session, ``recording`` one that is played; with none of
    them the one that is meant, or one picked from a list, or the machine.
    """
    preload()
    config = configuration.load()
    sessions: list[Session] = []
    if watch is None and session_id is None and job is None and recording is None:
        sessions = _several()
    opened: Watching
    if recording is not None:
        opened, interval, read_only = recording, interval or recording.interval, True
    else:
        opened = _open(session_id, watch, config, source)
    options = Options(
        watch=opened,
        job=job,
        config=config,
        interval=interval,
        read_only=read_only,
        on_quit=on_quit,
        theme=theme,
        few_colours=_few_colours(),
        choices=tuple(sessions),
        choose=lambda chosen: _open(chosen, None, config, source),
    )
    guardian = Guardian(sys.__stderr__.fileno()) if sys.__stderr__ is not None else None
    from proctui.tui.app import ProctuiApp
    from proctui.tui.driver import TerminalDriver

    TerminalDriver.guardian = guardian
    app = ProctuiApp(options, driver_class=TerminalDriver)
    try:
        status = app.run(mouse=config.dashboard.mouse)
    finally:
        if guardian is not None:
            guardian.dismiss()
        _close(app.feed.watch)
    failure = app.failure
    if failure is not None:
        raise failure
    return _afterwards(job, status or 0)


def _few_colours() -> bool:
    """Whether the terminal has but sixteen colours."""
    from rich.console import Console

    return Console(file=sys.__stderr__).color_system == "standard"


def _open(
    session_id: str | None,
    watch: Identity | None,
    config: configuration.Config,
    source: str,
) -> Watch:
    if watch is not None:
        from proctui.awareness.naming import start_watch

        return start_watch(watch, source=source, config=config)
    from proctui.awareness.opening import open_watch

    return open_watch(session_id, source=source, config=config, exits=True)


def _several() -> list[Session]:
    """The live sessions, else the orphaned ones, where it is not clear which is meant."""
    from proctui.awareness.registry import list_sessions
    from proctui.awareness.select import containing

    sessions = [one for one in list_sessions() if not one.foreign]
    live = [one for one in sessions if one.state == "live"]
    if containing(live):
        return []
    candidates = live or [one for one in sessions if one.state == "orphaned"]
    return candidates if len(candidates) > 1 else []


def _close(watch: Any) -> None:
    writer = getattr(watch, "writer", None)
    if writer is not None:
        with contextlib.suppress(ProctuiError, OSError):
            writer.end()
    watch.close()


def _afterwards(job: Any, status: int) -> int:
    """Say on the restored terminal how the job stands; the command's exit status."""
    if job is None:
        return status
    ended = job.poll()
    short = job.session_id[:12]
    if ended is None:
        say(f"the job goes on as session {short}; `proctui` shows it again")
        return status
    trouble = job.status().get("error")
    if isinstance(trouble, dict):
        say(str(trouble.get("message")))
    return int(ended)


def say(text: str) -> None:
    """One line about ourselves on stderr, whose terminal may have been closed meanwhile."""
    with contextlib.suppress(OSError):
        print(f"proctui: {text}", file=sys.stderr)
