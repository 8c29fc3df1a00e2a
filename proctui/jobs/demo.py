"""``proctui demo``: the playground as a job, with whatever shows it, and nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from proctui.jobs.launch import Job, launch
from proctui.jobs.options import Options
from proctui.jobs.playground.life import front_variable

__all__ = ["run_demo", "start_demo"]


def start_demo(*, dashboard: bool = True, meanwhile: Callable[[], None] | None = None) -> Job:
    """Start the playground; its programs end by themselves when this process is gone."""
    environ = {**os.environ, **front_variable()}
    return launch(
        [sys.executable, "-m", "proctui.jobs.playground"],
        Options(
            label="demo",
            kind="demo",
            dashboard=dashboard,
            front=dashboard,
            environ=environ,
            strays="end",
            merge=True,
            meanwhile=meanwhile,
        ),
    )


def run_demo(show: Callable[[Job], int], meanwhile: Callable[[], None] | None = None) -> int:
    """Start the playground, ``show`` it, and end all of it through the guard."""
    job = start_demo(meanwhile=meanwhile)
    try:
        return show(job)
    finally:
        clean_up(job)


def clean_up(job: Job) -> None:
    """End everything the demo started; what the guard can't reach ends by itself soon after."""
    if job.poll() is None or job.status().get("strays"):
        job.end()
    deadline = time.monotonic() + 5.0
    while job.status().get("state") != "ended" and time.monotonic() < deadline:
        time.sleep(0.02)
    job.close()
