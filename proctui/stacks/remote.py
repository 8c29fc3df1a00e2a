"""Attach-gated reads through the job's runner.

Yama (``kernel.yama.ptrace_scope`` 1, Ubuntu's default) lets only ancestors of
a process read its system call and memory.  A job that ``proctui run`` started
has one: its runner, which does these reads itself when it is asked.  Frames
of Python can't be had this way, py-spy being no ancestor of anybody.
"""

from __future__ import annotations

import os

from proctui.errors import BadArgument, NoSuchProcess, ProctuiError, RefusedError, check_pid
from proctui.stacks import kernel
from proctui.stacks.kernel import Call, ProcessLook, ThreadLook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proctui.awareness.session import Session

__all__ = ["look", "serve_request", "yama"]

ASK = "stacks"
_DEEPEST = 1000


def yama() -> int:
    """``kernel.yama.ptrace_scope``, 0 where the kernel has no Yama."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def ancestors(pid: int) -> list[int]:
    """The living parent chain, nearest first."""
    found: list[int] = []
    while pid > 1 and len(found) < _DEEPEST:
        try:
            pid = kernel.glance(pid).ppid
        except NoSuchProcess:
            break
        found.append(pid)
    return found


def serve_request(request: dict[str, Any]) -> dict[str, Any]:
    """Answer ``{"ask": "stacks", "pid": N}`` in the runner: the look at one of its descendants.

    Plain reads of a few milliseconds.  Raises :class:`RefusedError` for a
    process that is no descendant of the one that answers.
    """
    pid = check_pid(request.get("pid"))
    if os.getpid() not in ancestors(pid):
        raise RefusedError(f"process {pid} is none of this session's")
    return {"ok": True, "look": kernel.look(pid)}


def look(pid: int) -> ProcessLook:
    """:func:`kernel.look`, through the runner where Yama denies it to us."""
    direct = kernel.look(pid)
    if not any(thread.denied for thread in direct.threads) or yama() != 1:
        return direct
    try:
        return _ask(pid) or direct
    except ProctuiError:
        return direct


def _ask(pid: int) -> ProcessLook | None:
    from proctui.awareness import live

    session = _session_above(pid)
    if session is None:
        return None
    answer = live.ask(session, {"ask": ASK, "pid": pid})
    return parse(answer["look"]) if answer.get("ok") else None


def _session_above(pid: int) -> Session | None:
    from proctui.awareness import registry

    above = set(ancestors(pid))
    for session in registry.list_sessions():
        if session.state != "ended" and session.runner is not None and session.runner.pid in above:
            return session
    return None


def parse(rows: Any) -> ProcessLook:
    """A look as JSON carried it; raises :class:`BadArgument`."""
    try:
        pid, ppid, name, state, flags, threads, compat = rows
        return ProcessLook(pid, ppid, name, state, flags, tuple(map(_thread, threads)), compat)
    except (TypeError, ValueError) as error:
        raise BadArgument("the runner's answer is no look at a process") from error


def _thread(row: Any) -> ThreadLook:
    pid, tid, name, state, cpu, wchan, call, on_cpu, denied, low = row
    known = None if call is None else Call(call[0], tuple(call[1]))
    return ThreadLook(pid, tid, name, state, cpu, wchan, known, on_cpu, denied, low)
