"""The keeper: sleeps on the runner, and takes its place if somebody kills it.

It holds the reading ends of the job's pipes and its pty's master, so that
the job never loses its output, and it is a subreaper, so that the job and
its orphans become its children when the runner is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
from typing import NoReturn

from proctui.errors import ProctuiError
from proctui.jobs import birth, family
from proctui.jobs.arrangement import CRASHED, Arrangement, seclude, silence, write_down
from proctui.jobs.runner import Runner
from proctui.jobs.titles import rename
from proctui.jobs.wire import Page
from proctui.machine import identity

__all__ = ["keep"]


def keep(means: Arrangement) -> NoReturn:
    """Be the keeper; call it in a fresh fork of the front. Never returns."""
    status = CRASHED
    try:
        status = _keep(means)
    except BaseException:  # noqa: BLE001 - a fork must never return into the front's code
        write_down(means)
    finally:
        os._exit(status)


def _keep(means: Arrangement) -> int:
    gc.disable()
    seclude()
    family.become_subreaper()
    short = means.writer.session.id[:8]
    rename("proctui-keeper", f"proctui: keeper of session {short}")
    means = means._replace(keeper=identity.own(), link=os.pipe())
    runner = os.fork()
    if runner == 0:
        _run(means)
    os.close(means.link[1])
    means = means._replace(link=(means.link[0], -1))
    means.plumbing.close_job_ends()
    silence()
    os.chdir("/")
    code = _sleep_on(runner, means)
    if code == 0:
        return 0
    if not means.page.words[Page.JOB]:
        birth.clear(means.writer.session.id)
        return 0
    with contextlib.suppress(OSError):
        os.close(means.link[0])
    heir = Runner(means)
    heir.take_over()
    heir.run()
    return 0


def _run(means: Arrangement) -> NoReturn:
    """Be the runner."""
    status = CRASHED
    try:
        gc.enable()
        os.setsid()
        family.become_subreaper()
        short = means.writer.session.id[:8]
        rename("proctui-runner", f"proctui: runner of session {short}")
        os.close(means.link[0])
        runner = Runner(means)
        try:
            runner.begin()
        except (ProctuiError, OSError) as error:
            if means.page.words[Page.JOB]:
                raise
            means.channel.send("failed", {"message": str(error)})
            runner.writer.discard()
            os._exit(0)
        silence()
        os.chdir("/")
        runner.run()
        status = 0
    except BaseException:  # noqa: BLE001 - the keeper goes on in our place
        write_down(means)
    finally:
        os._exit(status)


def _sleep_on(runner: int, means: Arrangement) -> int:
    """Wait for the runner's end, closing meanwhile the streams that it names; its exit code."""
    poller = select.poll()
    poller.register(means.link[0], select.POLLIN)
    ended = os.pidfd_open(runner) if hasattr(os, "pidfd_open") else -1
    if ended >= 0:
        # A helper of the runner may hold the pipe's other end for a while longer.
        poller.register(ended, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        said = os.read(means.link[0], 64) if means.link[0] in ready else b""
        for index in said:
            with contextlib.suppress(OSError):
                os.close(means.plumbing.streams[index].source)
        if not said:
            break
    if ended >= 0:
        os.close(ended)
    _, code = os.waitpid(runner, 0)
    return os.waitstatus_to_exitcode(code)
