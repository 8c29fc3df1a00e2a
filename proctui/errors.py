"""Every error proctui raises on purpose, with its kind and exit status.

The kinds and statuses are part of the public contract: a face prints
``{"error": {"kind", "message", "hint"}}`` and exits with ``status``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs `--version` as much as Python's start
if TYPE_CHECKING:
    from typing import ClassVar

__all__ = [
    "AccessDenied",
    "BadArgument",
    "Changed",
    "Interrupted",
    "NoSuchFile",
    "NoSuchProcess",
    "NoSuchSession",
    "NotSupported",
    "ProctuiError",
    "RefusedError",
    "TimedOut",
    "ToolMissing",
    "check_pid",
]


_PID_LIMIT = 2**22


class ProctuiError(Exception):
    """Base of all errors raised on purpose.

    ``message`` says what went wrong in one sentence, ``hint`` (or ``None``)
    what the reader can do about it. ``result`` may carry the partial result
    that belongs beside the error (a refused plan, for one).
    """

    kind: ClassVar[str] = "refused"
    status: ClassVar[int] = 1

    def __init__(
        self, message: str, hint: str | None = None, *, result: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.result = result

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, str | None]:
        """``kind message hint``, as every face shows it."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint}


class RefusedError(ProctuiError, ValueError):
    """The guard, or a rule of the contract, says no."""


class TimedOut(ProctuiError, TimeoutError):
    kind = "timed-out"


class Changed(ProctuiError):
    """The process is no longer the one that was planned."""

    kind = "changed"


class BadArgument(ProctuiError, ValueError):
    kind = "bad-argument"
    status = 2


class NoSuchProcess(ProctuiError, ProcessLookupError):
    kind = "no-such-process"
    status = 3


class NoSuchSession(ProctuiError, LookupError):
    kind = "no-such-session"
    status = 3


class NoSuchFile(ProctuiError, FileNotFoundError):
    kind = "no-such-file"
    status = 3


class AccessDenied(ProctuiError, PermissionError):
    kind = "permission-denied"
    status = 4


class Interrupted(ProctuiError):
    """Ctrl-C came before the result."""

    kind = "interrupted"
    status = 130


class NotSupported(ProctuiError):
    """The kernel or platform lacks what this needs."""

    kind = "not-supported"
    status = 5


class ToolMissing(ProctuiError):
    """A program this needs (py-spy, gdb, …) is not installed."""

    kind = "tool-missing"
    status = 5


def check_pid(value: object, *, signalling: bool = False, name: str = "pid") -> int:
    """Return ``value`` if it is a pid that may be asked about.

    Only a plain ``int`` above 0 passes (above 1 where it leads to a signal):
    ``operator.index`` of a mock is 1, and ``kill(-1)`` reaches everybody, so
    nothing is converted.  Raises :class:`BadArgument` before any system call,
    :class:`NoSuchProcess` for a number no kernel gives (``PID_MAX_LIMIT`` is
    2**22 on Linux, pids above 2**31 - 1 exist nowhere).
    """
    lowest = 2 if signalling else 1
    if type(value) is not int or value < lowest:
        shown = repr(value) if type(value) in (int, float, bool, str) else type(value).__name__
        raise BadArgument(
            f"{name} must be an integer of {lowest} or more, not {shown[:80]}",
            "give the process id as a plain number",
        )
    if value > _PID_LIMIT:
        raise NoSuchProcess(f"no process {value}: pids end at {_PID_LIMIT}")
    return value
