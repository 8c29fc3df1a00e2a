"""Looks that stop the target: exact Python frames, native frames.

A stopped and resumed ``write`` to a pipe returns short, and a program that
does not look at its result loses the rest (measured: 934,464 of 1,000,000
bytes, exit status 0).  So they are refused there unless insisted on, and in
state D, T or under another tracer none is started at all: a killed tracer
leaves a SIGSTOP behind.
"""

from __future__ import annotations

import threading
import time

from proctui.errors import NoSuchProcess, RefusedError, ToolMissing
from proctui.stacks import kernel, native, pyspy, tooling
from proctui.stacks.calls import interpret
from proctui.stacks.preflight import Preflight
from proctui.stacks.pyspy import Dump

__all__ = ["PauseWatch", "capture_paused", "why_not_pause"]

_POLL = 0.0005


class PauseWatch:
    """Measures how long the target stood: the span in which its state was seen as ``t``.

    Polled every half millisecond, so a shorter pause counts as one poll.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._first: float | None = None
        self._last = 0.0
        self._thread = threading.Thread(target=self._run, name="pause-watch", daemon=True)

    def __enter__(self) -> PauseWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                state = kernel.glance(self._pid).state
            except NoSuchProcess:
                return
            if state == "t":
                self._last = time.monotonic()
                self._first = self._first or self._last
            self._over.wait(_POLL)

    @property
    def milliseconds(self) -> float:
        seen = 0.0 if self._first is None else self._last - self._first
        return round(max(seen, _POLL) * 1000, 1)


def why_not_pause(before: Preflight) -> str | None:
    """Why no tracer may be started on this process at all; ``None`` where one may."""
    if before.never_python:
        return "it has no frames of its own"
    if before.state == "D":
        return "it is in an uninterruptible sleep (D), which traps whoever traces it"
    if before.state == "T":
        return "it is stopped (T)"
    signals = kernel.signals_of(before.pid)
    if before.state == "t" or (signals is not None and signals.tracer):
        return f"process {signals.tracer if signals else '?'} traces it already"
    look = before.look()
    if look is not None and any(thread.state == "D" for thread in look.threads):
        return (
            "one of its threads is in an uninterruptible sleep (D), which traps whoever traces it"
        )
    return None


def writers(before: Preflight) -> list[str]:
    """The threads that are blocked writing, in words."""
    look = before.look()
    if look is None:
        return []
    waits = ((thread.tid, interpret(thread, compat=look.compat)) for thread in look.threads)
    return [
        f"thread {tid} is {wait.words}" for tid, wait in waits if wait.kind in ("write", "send")
    ]


def capture_paused(
    before: Preflight, *, native: bool, locals: bool, insist: bool, timeout: float
) -> Dump | None:
    """The dump of a paused target, ``None`` where only an unpaused look is possible.

    Raises :class:`RefusedError` for a target that is blocked writing, unless ``insist``.
    """
    reason = why_not_pause(before)
    if reason is not None:
        before.remarks.append(f"not paused: {reason}; this is the look without a pause")
        return None
    blocked = writers(before)
    if blocked and not insist:
        raise RefusedError(
            f"a pause would cut a write of process {before.pid} short and may lose its data: "
            + "; ".join(blocked[:3]),
            "look without --exact and --native, or give the option twice",
        )
    try:
        dump = _run(before.pid, native=native, locals=locals, timeout=timeout)
    except ToolMissing as error:
        dump = pyspy.without_tool(before.pid, error)
        if native:
            dump = _native(before.pid, dump, timeout)
    if blocked:
        dump = dump._replace(warnings=(*dump.warnings, f"paused although {'; '.join(blocked[:3])}"))
    return dump


def _run(pid: int, *, native: bool, locals: bool, timeout: float) -> Dump:
    mode = "native" if native else "exact"
    with PauseWatch(pid) as watch:
        outcome = tooling.run_tool(
            pyspy.dump_argv(pid, exact=True, native=native, locals=locals), timeout
        )
    dump = pyspy.read_dump(pid, outcome)
    if dump.tool is not None:
        return dump._replace(mode=mode, paused_ms=watch.milliseconds, transient=False)
    if dump.error is not None:
        return dump
    if native:
        return _native(pid, dump, timeout)
    if dump.python is False:
        return dump
    return _fall_back(pid, dump, timeout, locals)


def _fall_back(pid: int, failed: Dump, timeout: float, locals: bool) -> Dump:
    """A look without pause is better than none, and says so."""
    again = pyspy.read_dump(pid, tooling.run_tool(pyspy.dump_argv(pid, locals=locals), timeout))
    note = f"the exact look failed ({failed.note}); this is the look without a pause"
    return again._replace(warnings=(*again.warnings, note), transient=False)


def _native(pid: int, failed: Dump, timeout: float) -> Dump:
    """eu-stack, then gdb; where both fail, Python frames alone with a visible warning."""
    notes = [str(trouble) for trouble in (failed.note, failed.error) if trouble]
    for name, argv, parse in native.tools(pid):
        with PauseWatch(pid) as watch:
            outcome = tooling.run_tool(argv, timeout)
        frames = parse(outcome.out.decode("utf-8", "replace"))
        if any(frames.values()):
            return Dump(
                native=frames,
                tool=name,
                mode="native",
                paused_ms=watch.milliseconds,
                python=failed.python,
                warnings=tuple(notes),
            )
        notes.append(f"{name} found no frames: {native.reason(outcome)}")
    if not native.tools(pid):
        notes.append("native frames need eu-stack (package elfutils) or gdb")
    if failed.python is False or failed.error is not None:
        return failed._replace(warnings=tuple(notes), note=None)
    again = pyspy.read_dump(pid, tooling.run_tool(pyspy.dump_argv(pid), timeout))
    notes.append("native frames could not be had: these are the Python frames alone")
    return again._replace(warnings=tuple(notes), transient=False)
