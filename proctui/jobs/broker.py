"""The broker: the runner, outside the fence, answers what a fenced process may not ask the kernel.

A question is a proctui command of the short list below.  It is run outside,
by a process of its own, in the eyes of this one session, and on behalf of
whoever asked (:mod:`proctui.awareness.behalf`): the asker and everything
above it are refused as ancestors, and only what this session spawned can be
signalled.  Nothing can be adopted, protected or configured this way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proctui.awareness import behalf, live
from proctui.awareness.session import MARKER_VARIABLE, Session
from proctui.errors import BadArgument, ProctuiError, RefusedError

if TYPE_CHECKING:
    from proctui.awareness.live import Peer
    from proctui.jobs.service import Client

__all__ = ["COMMANDS", "answer", "delegate", "may_be_fenced", "walled_off"]

COMMANDS = frozenset(
    {"cpu", "hangs", "inspect", "kill", "memory", "sessions", "stack", "strays", "tree"}
)
_OF_A_SESSION = frozenset({"hangs", "inspect", "kill", "strays", "tree"})
_PAUSING = frozenset({"--exact", "--native", "--locals"})
_LIMIT_SECONDS = 120.0
_OUTPUT_LIMIT = 16 << 20
_ARGUMENTS = 4096


def answer(request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any] | None:
    """The handler of ``{"ask": "command", "argv": […]}``; a forked helper does the work."""
    argv = _checked(request.get("argv"))
    session_id = client.service.runner.writer.session.id
    if argv[0] in _OF_A_SESSION:
        argv = [argv[0], "--session", session_id, *argv[1:]]
    client.hand_over(lambda: _run(argv, peer))
    return None


def _checked(argv: object) -> list[str]:
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) for one in argv):
        raise BadArgument("argv is a list of strings")
    if len(argv) > _ARGUMENTS:
        raise BadArgument("too many arguments")
    if argv[0] not in COMMANDS:
        raise RefusedError(
            f"{argv[0][:40]!r} is not answered from behind a fence",
            f"the broker knows {', '.join(sorted(COMMANDS))}",
        )
    if any(one == "--session" or one.startswith("--se") for one in argv):
        raise RefusedError(
            "from behind a fence only one's own session can be asked about", "leave --session out"
        )
    if _PAUSING & set(argv):
        raise RefusedError("from behind a fence nothing outside is paused", "leave the option out")
    return argv


def _run(argv: Sequence[str], peer: Peer) -> dict[str, Any]:
    environ = {key: value for key, value in os.environ.items() if key != MARKER_VARIABLE}
    environ |= behalf.environment(peer.identity)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proctui", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed("timed-out", f"no answer within {_LIMIT_SECONDS:.0f} s")
    except OSError as error:
        return _failed("refused", f"proctui could not be started: {error.strerror}")
    if len(done.stdout) + len(done.stderr) > _OUTPUT_LIMIT:
        return _failed("refused", "the answer is too long")
    return {
        "ok": True,
        "status": done.returncode,
        "stdout": done.stdout.decode("utf-8", "replace"),
        "stderr": done.stderr.decode("utf-8", "replace"),
    }


def _failed(kind: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"kind": kind, "message": message, "hint": None}}


def walled_off(session: Session) -> bool:
    """Whether a fence stands between us and the session's runner.

    Landlock refuses ptrace-class reads outward (ptrace(2), "Ptrace access mode
    checking"): where the same user may not read the runner's ``cwd`` we are inside.
    """
    if session.runner is None or not may_be_fenced():
        return False
    try:
        os.readlink(f"/proc/{session.runner.pid}/cwd")
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def may_be_fenced() -> bool:
    """A fence always leaves ``no_new_privs`` and a seccomp filter behind (proc_pid_status(5))."""
    try:
        with open("/proc/self/status", "rb") as file:
            status = file.read()
    except OSError:
        return False
    return b"\nNoNewPrivs:\t1" in status and b"\nSeccomp:\t2" in status


def delegate(session: Session, argv: Sequence[str]) -> tuple[int, str, str]:
    """Let the runner run a command for us; returns its exit status, stdout and stderr.

    Raises what :func:`proctui.awareness.live.ask` raises, and the broker's refusals.
    """
    told = live.ask(session, {"ask": "command", "argv": list(argv)}, timeout=_LIMIT_SECONDS + 10)
    if told.get("ok") is not True:
        error = told.get("error")
        body = error if isinstance(error, dict) else {}
        raise _error_of(
            str(body.get("kind")), str(body.get("message") or "the runner refused"), body
        )
    return int(told["status"]), str(told["stdout"]), str(told["stderr"])


def _error_of(kind: str, message: str, body: dict[str, Any]) -> ProctuiError:
    hint = body.get("hint")
    chosen = next(
        (
            one
            for one in ProctuiError.__subclasses__()
            if one.kind == kind and one is not ProctuiError
        ),
        RefusedError,
    )
    return chosen(message, hint if isinstance(hint, str) else None)
