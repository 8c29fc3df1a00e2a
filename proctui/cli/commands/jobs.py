"""Commands that start or show a job: the dashboard, run, demo, watch, fence."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proctui.cli.terminal import has_screen, need_screen
from proctui.errors import BadArgument, NotSupported, ProctuiError

if TYPE_CHECKING:
    from argparse import Namespace
    from types import SimpleNamespace

__all__ = ["dashboard", "demo", "fence", "run", "watch"]

ENDED_BY_US = 124
"""The watchdog ended the command, as timeout(1) has it."""
OWN_TROUBLE = 125
"""proctui itself failed, so the command was not run (as env(1) and nice(1) do)."""


def dashboard(args: Namespace | SimpleNamespace) -> int:
    """The dashboard of the one session there is, of a picked one, or of the machine."""
    need_screen()
    from proctui.tui.start import run_dashboard

    return run_dashboard(**_wishes(args))


def _wishes(args: Namespace | SimpleNamespace) -> dict[str, Any]:
    """How the dashboard is to look: checked before anything is started."""
    interval = getattr(args, "interval", None)
    if interval is not None and not 0.1 <= interval <= 60:
        raise BadArgument("--interval must lie between 0.1 and 60 seconds")
    return {
        "interval": interval,
        "read_only": getattr(args, "read_only", False),
        "source": getattr(args, "source", "auto"),
    }


def run(args: Namespace | SimpleNamespace) -> int:
    """The command's own exit status; 125 where proctui could not run it."""
    command = _command(args)
    hangs = _hang_options(args)
    return _transparent(lambda: _run(args, command, hangs))


def _run(args: Namespace | SimpleNamespace, command: list[str], hangs: dict[str, Any]) -> int:
    from proctui import config
    from proctui.jobs.launch import launch
    from proctui.jobs.options import Options

    wishes, looks = config.load(), _wishes(args)
    shown = not args.no_tui and has_screen()
    before_exec: Callable[[], None] | None = None
    if args.fence:
        from proctui.jobs import fence as wall

        _need_fence()
        before_exec = wall.apply
    if args.isolate:
        _need_isolation()
    job = launch(
        command,
        Options(
            label=args.name,
            pty=True if args.pty else False if args.pipes else None,
            log=args.log,
            dashboard=shown,
            strays=args.strays or wishes.run.strays,
            before_exec=before_exec,
            fenced=args.fence,
            isolated=args.isolate,
            meanwhile=_preload if shown else None,
            **hangs,
        ),
    )
    if not shown:
        from proctui.jobs.front import run_plain

        return run_plain(job)
    from proctui.tui.start import run_dashboard

    said: list[str] = []
    watchdog = _guard_beside(job, args, said)
    status = run_dashboard(
        session_id=job.session_id,
        job=job,
        on_quit=args.on_quit or wishes.dashboard.on_quit,
        **looks,
    )
    with contextlib.suppress(OSError):
        sys.stderr.write("".join(said))
    return ENDED_BY_US if watchdog is not None and watchdog.ended else status


def _preload() -> None:
    # Not before the forks: its memory is not the keeper's, and threads must not come first.
    from proctui.tui.start import preload

    preload()


def _guard_beside(job: Any, args: Namespace | SimpleNamespace, said: list[str]) -> Any:
    """A watchdog for the time of the dashboard; what it says waits until the screen is ours."""
    if args.hang_after is None:
        return None
    import threading

    from proctui.jobs.watchdog import Watchdog

    watchdog = Watchdog(
        job,
        args.hang_after,
        then=args.then or "report",
        artifacts=args.artifacts,
        tell=said.append,
    )
    never = threading.Event()

    def watch_over() -> None:
        while job.poll() is None:
            watchdog.check()
            never.wait(watchdog.period)

    threading.Thread(target=watch_over, name="watchdog", daemon=True).start()
    return watchdog


def _hang_options(args: Namespace | SimpleNamespace) -> dict[str, Any]:
    if args.hang_after is None:
        if args.then or args.artifacts:
            raise BadArgument("--then and --artifacts need --hang-after S")
        return {}
    if not args.hang_after > 0:
        raise BadArgument("--hang-after needs a number of seconds above 0")
    if args.artifacts is not None:
        from proctui.jobs.watchdog import prepare

        prepare(args.artifacts)
    return {
        "hang_after": args.hang_after,
        "hang_then": args.then or "report",
        "artifacts": args.artifacts,
    }


def demo(args: Namespace) -> int:
    """The playground with the dashboard on it; whatever happens, nothing stays behind."""
    need_screen()
    from proctui.jobs.demo import run_demo

    return run_demo(_show_demo, _preload)


def _show_demo(job: Any) -> int:
    from proctui.tui.start import run_dashboard

    return run_dashboard(session_id=job.session_id, job=job, on_quit="end")


def watch(args: Namespace) -> int:
    """The dashboard beside a job that already runs."""
    from proctui.awareness.targets import resolve

    target = resolve(args.target)
    need_screen()
    from proctui.tui.start import run_dashboard

    return run_dashboard(watch=target, **_wishes(args))


def fence(args: Namespace) -> int:
    """Become the command behind the fence."""
    command = _command(args)
    return _transparent(lambda: _fence(command))


def _fence(command: list[str]) -> int:
    from proctui.jobs import fence as wall

    _need_fence()
    try:
        wall.exec_fenced(command)
    except FileNotFoundError:
        return _not_started(127, f"{command[0]}: command not found")
    except OSError as error:
        return _not_started(126, f"{command[0]}: {(error.strerror or str(error)).lower()}")


def _not_started(status: int, message: str) -> int:
    _tell(ProctuiError(message))
    return status


def _need_fence() -> None:
    from proctui.jobs import fence as wall

    reason = wall.missing()
    if reason is not None:
        raise NotSupported(f"no fence here: {reason}", "`proctui doctor` says what it needs")


def _need_isolation() -> None:
    from proctui.jobs import isolate

    reason = isolate.missing()
    if reason is not None:
        raise NotSupported(f"no isolation here: {reason}", "`proctui doctor` says what it needs")


def _command(args: Namespace | SimpleNamespace) -> list[str]:
    command = list(args.command)
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise BadArgument("no command to run", "proctui run -- CMD…")
    return command


def _transparent(start: Callable[[], int]) -> int:
    """Our own trouble must not look like the command's: it is 125, whatever its kind."""
    try:
        return start()
    except ProctuiError as error:
        _tell(error)
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001 - told in one line, kept in a file, 125
        from proctui.cli.crash import report

        report(error, as_json=False)
    return OWN_TROUBLE


def _tell(error: ProctuiError) -> None:
    # Not above: a run carries what is loaded for as long as its job lives.
    from proctui.cli.output import print_error

    print_error(error, as_json=False)
