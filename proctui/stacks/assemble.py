"""Putting a result together: kernel state, Python frames, words, and a check afterwards."""

from __future__ import annotations

from proctui.errors import NoSuchProcess
from proctui.ident import Identity
from proctui.machine import identity as identities
from proctui.stacks import catalogue, kernel, memory, names, trace
from proctui.stacks.calls import interpret
from proctui.stacks.preflight import Preflight
from proctui.stacks.pyspy import Dump, PyThread
from proctui.stacks.trace import StackTrace
from proctui.stacks.wording import Wait
from proctui.units import human_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["after_check", "assemble", "wait_words"]

_IDLE_WAITS = frozenset({"futex", "read", "receive", "poll", "accept", "restarted", "unknown"})
GIL_INTERVAL = 0.0051
"""A thread that wants the GIL sleeps at most the switch interval, 5 ms (sys.setswitchinterval)."""


def assemble(before: Preflight, dump: Dump, *, all_threads: bool = True) -> StackTrace:
    """One result from a dump; raises :class:`NoSuchProcess` where the process went away meanwhile."""
    pid = before.pid
    try:
        look = before.look()
    except NoSuchProcess:
        look = None
    if (look is None and before.first is not None) or not _still(before.identity):
        raise NoSuchProcess(f"process {pid} ended while it was looked at")
    threads = _threads(before, look, dump)
    omitted = 0
    if not all_threads and threads:
        omitted = len(threads) - 1
        threads = threads[:1]
    result = StackTrace(
        pid=pid,
        identity=str(before.identity),
        name=before.first.name if before.first else "",
        label=_label(pid, threads),
        python=dump.python,
        threads=threads,
        tool=dump.tool,
        mode=dump.mode if dump.tool else "kernel",
        paused_ms=dump.paused_ms,
        warnings=_warnings(before, look, dump),
        denied=_denied(look, dump),
    )
    if dump.error is not None:
        result["error"] = dump.error.body()
    if any(row["waits_for"] == "asyncio" for row in threads):
        from proctui.stacks.tasks import task_tree

        result["tasks"], result["tasks_missing"] = task_tree(pid)
    result["text"] = trace.text_of(result, omitted)
    return result


def _label(pid: int, threads: list[dict[str, Any]]) -> str | None:
    main = next((row["frames"] for row in threads if row["tid"] == pid), ())
    return names.label_by_frames(names.label_of_pid(pid), main)


def _still(identity: Identity) -> bool:
    try:
        return identities.identify(identity.pid).same(identity)
    except NoSuchProcess:
        return False


def _threads(
    before: Preflight, look: kernel.ProcessLook | None, dump: Dump
) -> list[dict[str, Any]]:
    tids = {thread.tid for thread in look.threads} if look else set()
    found = [_placed(before.pid, one, tids) for one in dump.threads]
    by_tid: dict[int, PyThread] = {one.tid: one for one in found if one.tid is not None}
    held = any(one.holds_gil for one in found)
    rows: list[dict[str, Any]] = []
    for thread in look.threads if look else ():
        python = by_tid.pop(thread.tid, None)
        wait = interpret(thread, compat=look.compat if look else False)
        row = _row(before.pid, thread, python, wait, dump, held)
        owner = memory.owner_of_wait(thread, tids) if wait.kind == "futex" else None
        if owner is not None:
            words = f"waiting for a mutex (a lock) that thread {owner} owns"
            row.update(wait=words + _limit(wait), waits_for="lock", idle=False, lock=True)
        joined = memory.joined_thread(thread, tids) if wait.kind == "futex" else None
        if joined is not None:
            row.update(wait=f"waiting for thread {joined} to end{_limit(wait)}", waits_for="join")
        rows.append(row)
    # Without /proc, or for a thread that ended between the two looks, there are only frames.
    rows += [_python_only(one) for one in found if look is None or one.tid is None]
    return sorted(rows, key=lambda row: (row["tid"] != before.pid, row["tid"]))


def _placed(pid: int, one: PyThread, tids: set[int]) -> PyThread:
    """With its thread's id, which Python keeps since 3.11 only: without it py-spy can't ask the kernel."""
    if one.tid is not None or not tids:
        return one
    return one._replace(tid=memory.thread_of_ident(pid, one.ident, tids), active=False)


def _row(
    pid: int,
    thread: kernel.ThreadLook,
    python: PyThread | None,
    wait: Wait,
    dump: Dump,
    held: bool,
) -> dict[str, Any]:
    frames = python.frames if python else list(dump.native.get(thread.tid, ()))
    where = None if frames else thread.wchan or kernel.wchan_of(pid, thread.tid)
    if where:
        frames = [{"function": where, "file": None, "line": None, "kind": "kernel"}]
    means, words = wait_words(pid, frames, wait, python, held)
    return {
        "tid": thread.tid,
        "name": (python.name if python else "") or thread.name,
        "state": thread.state,
        # py-spy takes a thread whose state it can't read for an active one.
        "active": wait.kind == "running" or bool(thread.denied and python and python.active),
        "holds_gil": bool(python and python.holds_gil),
        "ident": python.ident if python else None,
        "wait": words,
        "waits_for": means.kind if means.kind != "unknown" else wait.kind,
        "idle": means.idle,
        "lock": means.lock or wait.kind == "file-lock",
        "frames": frames,
    }


def _python_only(one: PyThread) -> dict[str, Any]:
    means = catalogue.meaning(one.frames)
    return {
        "tid": one.tid if one.tid is not None else one.ident,
        "name": one.name,
        "state": None,
        "active": one.active,
        "holds_gil": one.holds_gil,
        "ident": one.ident,
        "wait": f"waiting {means.words}" if means.words and not one.active else None,
        "waits_for": means.kind,
        "idle": means.idle,
        "lock": means.lock,
        "frames": one.frames,
    }


def wait_words(
    pid: int,
    frames: list[dict[str, Any]],
    wait: Wait,
    python: PyThread | None,
    gil_is_held: bool,
) -> tuple[catalogue.Meaning, str | None]:
    """What a thread waits for: Python's word for a futex, the kernel's for everything else."""
    if wait.kind == "running":
        return catalogue.UNKNOWN, None if python is None or python.active else wait.words
    if python is None or wait.kind in ("stopped", "frozen"):
        return catalogue.UNKNOWN, wait.words
    futex = wait.kind == "futex"
    if futex and _wants_gil(wait, python, gil_is_held):
        return catalogue.Meaning("gil", "for the GIL"), "waiting for the GIL"
    means = catalogue.meaning(
        frames,
        futex=futex,
        line=lambda frame: trace.source_line(pid, frame["file"], frame["line"]),
    )
    if means.idle and wait.kind not in _IDLE_WAITS:
        # A pool's worker that runs a builtin shows the frames of one that waits for work.
        means = catalogue.UNKNOWN
    if not means.words:
        return means, wait.words
    if futex or wait.kind == "restarted":
        return means, f"waiting {means.words}{_limit(wait)}"
    if wait.kind == "unknown":
        return means, f"waiting {means.words}"
    told = wait.kind == "accept" or not (means.lock or means.idle)
    return means, wait.words if told else f"{wait.words}: waiting {means.words}"


def _wants_gil(wait: Wait, python: PyThread, held: bool) -> bool:
    if not held or python.holds_gil or not wait.timed:
        return False
    return wait.seconds is not None and wait.seconds <= GIL_INTERVAL


def _limit(wait: Wait) -> str:
    if not wait.timed:
        return ""
    if wait.seconds is None:
        return ", with a time limit"
    return f", at most {human_seconds(wait.seconds)} more"


def _denied(look: kernel.ProcessLook | None, dump: Dump) -> list[str]:
    denied = []
    if look is not None and any(thread.denied for thread in look.threads):
        denied.append("wait")
    if dump.error is not None and dump.error.kind == "permission-denied":
        denied.append("frames")
    return denied


def _warnings(before: Preflight, look: kernel.ProcessLook | None, dump: Dump) -> list[str]:
    warnings = [*before.remarks, *dump.warnings]
    if dump.note:
        warnings.append(dump.note)
    if dump.error is not None:
        warnings.append(f"{dump.error.message}; {dump.error.hint}")
    elif look is not None and any(thread.denied for thread in look.threads):
        warnings.append("what its threads sleep in may not be read")
    warnings += after_check(before)
    return warnings


def after_check(before: Preflight) -> list[str]:
    """Whether the target is as it was: not newly stopped, no SIGSTOP waiting, no tracer left."""
    if before.first is None:
        return []
    pid = before.pid
    now = kernel.signals_of(pid)
    try:
        state = kernel.glance(pid).state
    except NoSuchProcess:
        return []
    fix = f"let it go on with: proctui kill {pid} --signal CONT"
    if now is None:
        return []
    if now.stopping:
        return [f"a SIGSTOP is pending for process {pid}, it will stop: {fix}"]
    if state == "T" and before.state != "T":
        return [f"process {pid} is stopped and was not before: {fix}"]
    if now.tracer and before.state != "t":
        return [f"process {now.tracer} traces process {pid}"]
    return []
