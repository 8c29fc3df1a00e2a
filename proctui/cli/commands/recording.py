"""The flight recorder: record, and the dashboard on what was recorded."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proctui.cli.output import Line, emit, print_json, span
from proctui.cli.terminal import need_screen
from proctui.units import human_bytes, human_seconds, iso_time

if TYPE_CHECKING:
    from proctui.recording.replay import ReplayWatch

__all__ = ["record", "replay"]

INTERRUPTED = 130


def record(args: Namespace) -> int:
    """Until Ctrl-C, the given time or the end; what was written by then can be replayed."""
    from proctui.recording import record as write

    result = write(
        args.output,
        pid=args.pid,
        interval=args.interval,
        duration=args.seconds,
        session=args.session,
    )
    status = emit(result, args, _recorded)
    return INTERRUPTED if result["reason"] == "interrupted" else status


def _recorded(result: Mapping[str, Any]) -> Iterable[Line]:
    yield [
        span("recorded ", "good"),
        span(
            f"{result['frames']} looks at {result['processes']} processes in "
            f"{human_seconds(result['seconds'])}, {human_bytes(result['bytes'])}: {result['file']}"
        ),
    ]
    yield [span(f"`proctui replay {result['file']}` shows it", "dim")]


def replay(args: Namespace) -> int:
    """The dashboard on a recording; with ``--json`` what it holds."""
    from proctui.recording import open_replay

    watch = open_replay(args.file)
    if args.json:
        try:
            print_json(_summary(args.file, watch))
        finally:
            watch.source.close()
        return 0
    need_screen()
    from proctui.tui.start import run_dashboard

    return run_dashboard(recording=watch)


def _summary(file: str, watch: ReplayWatch) -> dict[str, Any]:
    first = last = watch.tick()
    pids = set(first.snapshot.procs)
    while not watch.ended:
        last = watch.tick()
        pids.update(last.snapshot.procs)
    return {
        "file": file,
        "frames": watch.source.frames,
        "interval": watch.interval,
        "started": iso_time(first.snapshot.wall),
        "ended": iso_time(last.snapshot.wall),
        "processes": len(pids),
        "session": None if last.session is None else last.session.id,
        "warnings": list(watch.source.warnings),
    }
