"""``proctui doctor``: what works on this machine, what does not, and the one fix for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypedDict

from proctui.tools import doctor_kernel, doctor_programs

__all__ = ["Check", "Diagnosis", "diagnose"]


class Check(TypedDict):
    """``fix`` is one thing to do or run, ``None`` where nothing is to be mended."""

    name: str
    ok: bool
    detail: str
    fix: str | None


class Diagnosis(TypedDict):
    checks: list[Check]


Finding = tuple[bool, str, str | None]

_CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    *doctor_kernel.CHECKS,
    *doctor_programs.CHECKS,
)


def diagnose() -> Diagnosis:
    """Run every check; one that fails unforeseen is a finding, never an error."""
    return {"checks": [_run(name, check) for name, check in _CHECKS]}


def _run(name: str, check: Callable[[], Finding]) -> Check:
    found: Finding = (False, "could not be checked", None)
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 - a doctor that falls ill helps nobody
        with contextlib.suppress(Exception):
            found = (False, f"could not be checked: {error}", f"report it: {type(error).__name__}")
    ok, detail, fix = found
    return {"name": name, "ok": ok, "detail": detail, "fix": None if ok else fix}
