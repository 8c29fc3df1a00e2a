"""py-spy: its command line, its JSON, and what its failures mean.

py-spy ends with status 1 whatever went wrong, so its stderr is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from proctui.errors import AccessDenied, ProctuiError, ToolMissing
from proctui.stacks.starting import dump_command, find_tool
from proctui.stacks.tooling import Outcome
from proctui.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = [
    "Dump",
    "PyThread",
    "denied",
    "dump_argv",
    "missing",
    "parse",
    "read_dump",
    "without_tool",
]

_LONGEST_VALUE = 200


class PyThread(NamedTuple):
    """A thread as py-spy saw it; ``tid`` is the kernel's, ``ident`` Python's own number."""

    tid: int | None
    ident: int
    name: str
    active: bool
    holds_gil: bool
    frames: list[dict[str, Any]]


class Dump(NamedTuple):
    """What a tool found: ``python`` is ``None`` where it could not be told.

    ``native`` are frames by thread id, for tools that know no Python;
    ``error`` is a permission or a missing tool, ``note`` any other trouble,
    ``transient`` trouble that a second look may not have.
    """

    threads: Sequence[PyThread] = ()
    native: Mapping[int, list[dict[str, Any]]] = {}
    tool: str | None = None
    mode: str = "nonblocking"
    paused_ms: float = 0.0
    python: bool | None = None
    error: ProctuiError | None = None
    note: str | None = None
    transient: bool = False
    warnings: tuple[str, ...] = ()


def missing() -> ToolMissing:
    return ToolMissing("py-spy is not installed", f"{sys.executable} -m pip install py-spy")


def without_tool(pid: int, error: ToolMissing) -> Dump:
    """What is known without py-spy: whether it would have been of any use."""
    from proctui.stacks import kernel
    from proctui.stacks.tasks import python_version

    if kernel.may_attach(pid) and python_version(pid) is None:
        return Dump(python=False)
    return Dump(error=error)


def dump_argv(
    pid: int, *, exact: bool = False, native: bool = False, locals: bool = False
) -> list[str]:
    """:func:`dump_command` with the py-spy that is found; raises :class:`ToolMissing`."""
    tool = find_tool("py-spy")
    if tool is None:
        raise missing()
    return dump_command(tool, pid, exact=exact, native=native, locals=locals)


def parse(out: bytes) -> list[PyThread]:
    """The threads of a dump; raises :class:`ValueError` for what is no dump."""
    threads = _decoded(out)
    if not isinstance(threads, list):
        raise ValueError("py-spy's dump is a list of threads")
    return [_thread(one) for one in threads]


class _Plain:
    """What :mod:`json` tells its scanner where nothing special is asked for."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def _decoded(out: bytes) -> Any:
    """``json.loads``, by the C scanner that it uses.

    The package around it compiles regular expressions when it is imported:
    with :mod:`re` that takes longer than py-spy to look.
    """
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(out)
    text = out.decode("utf-8").strip()
    plain: Any = _Plain
    try:
        value, end = make_scanner(plain)(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError("this is no JSON document")
    return value


def _thread(one: dict[str, Any]) -> PyThread:
    return PyThread(
        one.get("os_thread_id"),
        int(one["thread_id"]),
        sanitize(one.get("thread_name") or ""),
        bool(one.get("active")),
        bool(one.get("owns_gil")),
        [_frame(frame) for frame in one.get("frames", ())],
    )


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    # With --native a frame of C code has a module (a shared object) and no Python file.
    filename = frame.get("filename") or ""
    native = bool(frame.get("module")) and not filename.endswith((".py", ".pyx", ".pyc"))
    native = native and not filename.startswith("<")
    found: dict[str, Any] = {
        "function": sanitize(frame.get("name") or "?"),
        "file": sanitize(filename or frame.get("module") or "") or None,
        "line": frame.get("line") or None,
        "kind": "native" if native else "python",
    }
    values = frame.get("locals")
    if values is not None:
        found["locals"] = [_local(value) for value in values]
        found["addresses"] = {value["name"]: value.get("addr") for value in values}
    return found


def _local(value: dict[str, Any]) -> dict[str, Any]:
    from proctui.redact import redact_argv

    name, shown = sanitize(str(value.get("name"))), sanitize(str(value.get("repr")))
    # Judged like a command line's ``--name value``: a local called ``password`` is one.
    shown = redact_argv([f"--{name}", shown])[-1] if value.get("repr") is not None else "?"
    return {"name": name, "value": shown[:_LONGEST_VALUE]}


def denied(pid: int, what: str = "the stack", command: str = "stack") -> AccessDenied:
    """The error for a process that may not be looked into, with the one exact fix."""
    why, fix = _why_denied(pid, f"sudo {sys.executable} -m proctui {command} {pid}")
    return AccessDenied(f"{what} of process {pid} may not be read{why}", fix)


def _why_denied(pid: int, command: str) -> tuple[str, str]:
    from proctui.stacks.remote import yama

    if sys.platform == "darwin":
        return ": macOS leaves that to root", command
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "", command
    if os.geteuid() == 0:
        if _may_trace():
            return ": the kernel refuses it even to root", "look from the container it runs in"
        return ": root lacks CAP_SYS_PTRACE here", "start the container with --cap-add=SYS_PTRACE"
    if owner == os.geteuid() and yama() >= 1:
        return ": Yama lets only ancestors look into a process", command
    return "", command


def _may_trace() -> bool:
    """Whether CAP_SYS_PTRACE, number 19, is effective (capabilities(7))."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            line = next(line for line in file if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(line.split()[1], 16) >> 19 & 1)


def read_dump(pid: int, outcome: Outcome) -> Dump:
    """What a finished py-spy says about one process."""
    if outcome.status == 0:
        try:
            return Dump(parse(outcome.out), tool="py-spy", python=True)
        except (ValueError, KeyError, TypeError):
            return Dump(note="py-spy's answer could not be read", transient=True)
    if outcome.status is None:
        return Dump(note="py-spy took too long and was ended")
    import re

    text = outcome.err
    if outcome.status == 127 and not text.strip():
        return Dump(error=missing())
    if re.search(r"permission denied|SYS_PTRACE|operation not permitted|requires root", text, re.I):
        return Dump(error=denied(pid))
    if "Failed to find python version" in text:
        return Dump(python=False)
    lines = [line for line in text.splitlines() if line.strip()]
    why = sanitize((lines[0] if lines else f"it ended with status {outcome.status}")[:300])
    return Dump(note=f"py-spy: {why}", transient=True)
