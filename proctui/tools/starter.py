"""The process that starts one background job and ends it when its owner goes.

The owner (an MCP server) has threads, and a job may only be started by a
process without; so ``python -m proctui.tools.starter`` reads the command from
stdin as one JSON line, tells on stdout which session it became, and then
holds on to its stdin: its end means that the owner is gone, however it went.
The command itself never stands in this process's arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import sys
from typing import Any

from proctui.errors import ProctuiError

__all__ = ["main"]

_PERIOD = 0.25


def main() -> int:
    """Serve one job to its end; the exit status says only whether it was started."""
    control, answers = _own_streams()
    try:
        request = json.loads(_line(control))
        soft, hard = request["descriptors"]
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        job = _launch(request)
    except (ProctuiError, ValueError) as error:
        body = error.body() if isinstance(error, ProctuiError) else None
        _tell(answers, {"error": body or {"kind": "refused", "message": str(error), "hint": None}})
        return 1
    _tell(answers, {"session": job.session_id, "pid": job.pid, "error": job.status().get("error")})
    while not _gone(control, _PERIOD):
        if job.poll() is not None and not _left(job):
            return 0
    with contextlib.suppress(ProctuiError):
        job.end()
    return 0


def _own_streams() -> tuple[int, int]:
    """Our two pipes out of the way of the job, whose input is empty."""
    control, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1):
        os.dup2(null, number)
    os.close(null)
    return control, answers


def _line(control: int) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        chunk = os.read(control, 65536)
        if not chunk:
            raise ValueError("the request is not whole")
        data += chunk
    return bytes(data)


def _launch(request: dict[str, Any]) -> Any:
    from proctui.jobs.launch import launch
    from proctui.jobs.options import Options

    return launch(
        request["command"],
        Options(
            label=request["name"],
            kind="run",
            lifetime="parent",
            pty=False,
            merge=True,
            front=False,
        ),
    )


def _tell(answers: int, document: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(answers, json.dumps(document).encode() + b"\n")
    os.close(answers)


def _gone(control: int, timeout: float) -> bool:
    """Whether the owner closed its end; what it may still write is of no interest."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(timeout * 1000)) and not os.read(control, 65536)


def _left(job: Any) -> bool:
    """Whether something of the job outlived its command."""
    return bool(job.status().get("strays"))


if __name__ == "__main__":
    sys.exit(main())
