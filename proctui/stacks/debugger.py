"""``attach_debugger``: which debugger fits, what it would do, and who is never debugged.

An attach stops its target, so the exact command and its risks are shown
first.  Debuggers that listen do so on the loopback address alone.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import time
from typing import Any

from proctui.errors import (
    BadArgument,
    Changed,
    NoSuchProcess,
    NotSupported,
    ProctuiError,
    RefusedError,
    ToolMissing,
    check_pid,
)
from proctui.machine.identity import identify
from proctui.model import Identity, Role
from proctui.stacks import kernel, pyspy
from proctui.stacks.assemble import after_check
from proctui.stacks.preflight import Preflight
from proctui.stacks.sockets import SocketTable
from proctui.stacks.starting import find_tool
from proctui.stacks.tasks import python_version
from proctui.text import sanitize

__all__ = ["HOW", "attach", "plan", "python_version", "refusal"]

HOW = ("auto", "pdb", "debugpy", "gdb")
REMOTE_PDB = (3, 14)
"""``python -m pdb -p`` came with PEP 768."""
_DEFAULT_PORT = 5678
_ATTACH_TIMEOUT = 60.0

_RISKS = {
    "pdb": [
        "the program stands still while you are at the prompt; `detach` or `quit` lets it go on",
        "the debugger's code runs inside the program, at its next safe point",
    ],
    "debugpy": [
        "gdb stops the program for about a second and runs code inside it",
        "debugpy's threads stay in the program until it ends",
        "whoever reaches the port on this machine may run code as the program's user",
    ],
    "gdb": [
        "the program stands still until gdb detaches; a write it was in returns short",
        "killing gdb may leave the program stopped",
    ],
}


def refusal(pid: int) -> str | None:
    """Why this process is never attached to now; ``None`` where it may be."""
    if pid == 1:
        return "process 1 holds the system up"
    if pid == os.getpid():
        return "this is proctui itself"
    from proctui.killing.protection import own_look

    with own_look() as look:
        verdict = look().verdict(pid)
    if verdict.role in (Role.SELF, Role.ANCESTOR, Role.PROTECTED):
        return f"it is {verdict.role}: {'; '.join(verdict.evidence)}"
    look_now = kernel.glance(pid)
    if look_now.kernel:
        return "it is a thread of the kernel"
    signals = kernel.signals_of(pid)
    if look_now.state == "t" or (signals is not None and signals.tracer):
        return f"process {signals.tracer if signals else '?'} traces it already"
    states = {"D": "in an uninterruptible sleep (D)", "T": "stopped (T)", "Z": "a zombie (Z)"}
    if look_now.state in states:
        return f"it is {states[look_now.state]}"
    if any(thread.state == "D" for thread in kernel.look(pid, gated=False).threads):
        return "one of its threads is in an uninterruptible sleep (D)"
    return None


def plan(pid: int, how: str = "auto", port: int | None = None) -> dict[str, Any]:
    """What an attach would run and risk: ``pid identity name how command risks port interactive``.

    Raises :class:`RefusedError` for who is never attached to,
    :class:`AccessDenied` where the kernel lets us trace it not,
    :class:`ToolMissing` with the command that installs what is needed.
    """
    check_pid(pid, signalling=True)
    if how not in HOW:
        raise BadArgument(f"how must be one of {', '.join(HOW)}, not {sanitize(str(how))[:40]!r}")
    if port is not None and (type(port) is not int or not 1024 <= port < 65536):
        raise BadArgument("port must be a whole number from 1024 to 65535")
    identity = identify(pid)
    reason = refusal(pid)
    if reason is not None:
        raise RefusedError(f"no debugger is attached to process {pid}: {reason}")
    if not kernel.may_attach(pid):
        raise pyspy.denied(pid, "the memory", "debug")
    chosen = _choose(pid, how)
    if port is not None and chosen != "debugpy":
        raise BadArgument(f"{chosen} takes no port", "--port belongs to --how debugpy")
    port = (port or _free_port()) if chosen == "debugpy" else None
    return {
        "pid": pid,
        "identity": str(identity),
        "name": kernel.glance(pid).name,
        "how": chosen,
        "command": _command(pid, chosen, port),
        "risks": _RISKS[chosen],
        "port": port,
        "interactive": chosen != "debugpy",
    }


def _choose(pid: int, how: str) -> str:
    version = python_version(pid)
    if how == "pdb":
        _need_pdb(version)
    elif how == "debugpy":
        _need_debugpy(version)
    elif how == "gdb":
        _need_gdb()
    else:
        return _first_fitting(version)
    return how


def _first_fitting(version: tuple[int, int] | None) -> str:
    reasons: list[ProctuiError] = []
    tries = (("pdb", _need_pdb), ("debugpy", _need_debugpy)) if version else ()
    for name, need in tries:
        try:
            need(version)
        except ProctuiError as error:
            reasons.append(error)
        else:
            return name
    try:
        _need_gdb()
    except ToolMissing as error:
        raise (reasons[-1] if reasons else error) from error
    return "gdb"


def _need_pdb(version: tuple[int, int] | None) -> None:
    if version is None:
        raise NotSupported("pdb attaches to Python processes only", "try --how gdb")
    if version < REMOTE_PDB or sys.version_info[:2] != version:
        ours = ".".join(map(str, sys.version_info[:2]))
        raise NotSupported(
            f"pdb attaches to Python 3.14 or later, from the same version: the process runs "
            f"{version[0]}.{version[1]}, proctui {ours}",
            "try --how debugpy or --how gdb",
        )


def _need_debugpy(version: tuple[int, int] | None) -> None:
    if version is None:
        raise NotSupported("debugpy attaches to Python processes only", "try --how gdb")
    if importlib.util.find_spec("debugpy") is None:
        raise ToolMissing("debugpy is not installed", f"{sys.executable} -m pip install debugpy")
    _need_gdb()


def _need_gdb() -> None:
    if find_tool("gdb") is None:
        raise ToolMissing("gdb is not installed", "install the package gdb")


def _command(pid: int, how: str, port: int | None) -> list[str]:
    if how == "pdb":
        return [sys.executable, "-m", "pdb", "-p", str(pid)]
    if how == "debugpy":
        return [sys.executable, "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "--pid", str(pid)]
    return [find_tool("gdb") or "gdb", "-nx", "-p", str(pid)]


def _free_port() -> int:
    """debugpy's usual port, or one that is free."""
    for port in (_DEFAULT_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise NotSupported("no port is free on the loopback address")


def attach(
    pid: int, how: str = "auto", port: int | None = None, *, planned: str | None = None
) -> dict[str, Any]:
    """Attach; the plan's keys with ``status``, ``output``, ``warnings`` and, for debugpy, ``listen``.

    gdb and pdb take the terminal over until the user leaves them; without a
    terminal they are refused.  ``planned`` is the identity of a plan that a
    person has agreed to: raises :class:`Changed` where the pid is another
    process now.
    """
    from proctui.killing.attach import attach as run

    chosen = plan(pid, how, port)
    if planned is not None and chosen["identity"] != planned:
        raise Changed(f"process {pid} is now {chosen['identity']}, not {planned}")
    if chosen["interactive"] and not _has_terminal():
        raise RefusedError(
            f"{chosen['how']} needs a terminal to talk to",
            "run it there: " + " ".join(chosen["command"]),
        )
    identity: Identity = identify(pid)
    before = Preflight(identity, kernel.glance(pid))
    done = run(
        identity, chosen["command"], interactive=chosen["interactive"], timeout=_ATTACH_TIMEOUT
    )
    result = {**chosen, "status": done.status, "output": sanitize(done.output[-4000:])}
    try:
        result["warnings"] = after_check(before)
    except NoSuchProcess:
        result["warnings"] = [f"process {pid} has ended"]
    if chosen["how"] == "debugpy":
        result["listen"] = f"127.0.0.1:{chosen['port']}"
        # Its status is 0 as well where the program refuses, having one already.
        if done.status != 0 or not _listens(result["listen"]):
            raise NotSupported(
                f"debugpy could not attach to {pid}: {result['output'][-300:].strip()}",
                "one that was attached before stays in the process until it ends",
            )
    return result


def _listens(address: str, patience: float = 2.0) -> bool:
    """Whether somebody listens there, without connecting: the first who does is debugpy's client."""
    until = time.monotonic() + patience
    while address not in SocketTable().listening():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _has_terminal() -> bool:
    try:
        return os.isatty(0) and os.isatty(1)
    except OSError:
        return False
