from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from proctui import errors
from proctui.errors import BadArgument, NoSuchProcess, ProctuiError, check_pid


@pytest.mark.parametrize("bad", [True, False, 0, -1, 1.0, "12", None, b"1", MagicMock(), [1]])
def test_only_a_plain_positive_int_is_a_pid(bad: object) -> None:
    with pytest.raises(BadArgument):
        check_pid(bad)


def test_pid_one_may_be_asked_about_but_never_signalled() -> None:
    assert check_pid(1) == 1
    with pytest.raises(BadArgument):
        check_pid(1, signalling=True)


def test_a_pid_no_kernel_gives_is_no_process() -> None:
    with pytest.raises(NoSuchProcess):
        check_pid(2**31)


@pytest.mark.parametrize(
    ("name", "builtin", "kind", "status"),
    [
        ("RefusedError", ValueError, "refused", 1),
        ("TimedOut", TimeoutError, "timed-out", 1),
        ("Changed", Exception, "changed", 1),
        ("BadArgument", ValueError, "bad-argument", 2),
        ("NoSuchProcess", ProcessLookupError, "no-such-process", 3),
        ("NoSuchSession", LookupError, "no-such-session", 3),
        ("NoSuchFile", FileNotFoundError, "no-such-file", 3),
        ("AccessDenied", PermissionError, "permission-denied", 4),
        ("NotSupported", Exception, "not-supported", 5),
        ("ToolMissing", Exception, "tool-missing", 5),
    ],
)
def test_kinds_statuses_and_builtin_bases(
    name: str, builtin: type[Exception], kind: str, status: int
) -> None:
    error = getattr(errors, name)("what happened", "what to do")
    assert isinstance(error, ProctuiError) and isinstance(error, builtin)
    assert (error.kind, error.status) == (kind, status)
    assert str(error) == "what happened"
    assert error.body() == {"kind": kind, "message": "what happened", "hint": "what to do"}
