"""``proctui adopt`` at the runner: a person outside says that a process is the job's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proctui.awareness.session import identity_from_list
from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.jobs import family
from proctui.machine import identity as kernel
from proctui.text import sanitize
from proctui.units import clock_text

if TYPE_CHECKING:
    from proctui.awareness.live import Peer
    from proctui.jobs.runner import Runner
    from proctui.jobs.service import Client

__all__ = ["answer"]


def answer(request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
    """The handler of ``{"ask": "adopt", "identity": […], "user": NAME}``.

    Raises :class:`RefusedError` for whoever asks from inside the job, and for
    what steers the job or stands above it or the asker.
    """
    import time

    runner = client.service.runner
    try:
        wanted = identity_from_list(request.get("identity"))
    except ValueError as error:
        raise BadArgument(str(error)) from error
    user = sanitize(str(request.get("user") or "somebody"))[:80]
    inside = {member.pid for member in runner.members.look()}
    if peer.identity.pid in inside:
        raise RefusedError(
            "nothing can be adopted from inside a session",
            "adopt from a terminal outside of it",
        )
    if not kernel.alive(wanted):
        raise NoSuchProcess(f"process {wanted} has ended")
    if wanted.pid in inside:
        raise RefusedError(f"process {wanted.pid} is the job's already")
    if wanted.pid in _off_limits(runner, peer.identity.pid):
        raise RefusedError(f"process {wanted.pid} steers the job or stands above it")
    runner.members.adopt(wanted, f"adopted by {user} at {clock_text(time.time())}")
    return {"ok": True}


def _off_limits(runner: Runner, asker: int) -> set[int]:
    pids = {1, *runner.helpers}
    pids.update(one.identity.pid for one in runner.writer.session.controllers)
    for bottom in (runner.own.pid, asker):
        pid = bottom
        while pid > 1 and pid not in pids:
            pids.add(pid)
            line = family.read(pid)
            pid = 0 if line is None else line.ppid
    return pids
