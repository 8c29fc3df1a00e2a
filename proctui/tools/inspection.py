"""``inspect_process``: everything about one process, and whose it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from proctui.errors import NoSuchProcess, ProctuiError, check_pid
from proctui.tools.common import check_flag, find, partial, reference
from proctui.tools.context import looking
from proctui.tools.results import Inspection, ProcessRef

if TYPE_CHECKING:
    from proctui.awareness.view import View

__all__ = ["inspect_in", "inspect_process"]


def inspect_process(
    pid: int, include_threads: bool = False, include_files: bool = False
) -> Inspection:
    """Everything about one process: figures, role with evidence, what it waits for.

    ``threads`` and ``fds`` are counts; ``include_threads`` and
    ``include_files`` give the lists.  Where only a part may be read the
    result carries what could be, with ``error`` of kind ``permission-denied``.
    """
    return inspect_in(pid, include_threads=include_threads, include_files=include_files)


def inspect_in(
    pid: int,
    *,
    include_threads: bool = False,
    include_files: bool = False,
    session: str | None = None,
) -> Inspection:
    """The same, judged in the eyes of a session."""
    check_pid(pid)
    check_flag(include_threads, "include_threads")
    check_flag(include_files, "include_files")
    from proctui.machine import details
    from proctui.machine.identity import identify

    with looking(session, once=True, only=pid) as look:
        view = look()
    identity = find(view, pid).identity
    result = details.inspect(identity, include_threads=include_threads, include_files=include_files)
    verdict = view.verdict(pid)
    parent = view.parent(pid)
    result.update(
        role=str(verdict.role),
        certainty=str(verdict.certainty),
        evidence=list(verdict.evidence),
        unchecked=list(verdict.unchecked),
        parent=None if parent is None else reference(view, parent),
        ancestors=_references(view, view.ancestors(pid)),
        children=_references(view, view.children.get(pid, ())),
        stray=pid in view.strays,
        wait=_wait(pid, result),
    )
    if not identify(pid).same(identity):  # else what it waits for may be another's
        raise NoSuchProcess(f"process {pid} ended while it was looked at")
    if result["denied"] and not _own_zombie(result) and _refused(pid):
        partial(result, f"not everything about process {pid} may be read")
    return cast(Inspection, result)


def _references(view: View, pids: Any) -> list[ProcessRef]:
    return [reference(view, pid) for pid in pids if view.proc(pid) is not None]


def _wait(pid: int, result: dict[str, Any]) -> str | None:
    from proctui.machine.procdir import open_process
    from proctui.stacks.waits import describe

    try:
        if result["status"] in "ZX":
            with open_process(pid) as held:
                tid = held.thread
            if tid is not None:
                return f"its main thread has ended; thread {tid}: {describe(pid, tid)}"
        return describe(pid)
    except NoSuchProcess:
        raise
    except ProctuiError:
        result["denied"].append("wait")
        return None


def _own_zombie(result: dict[str, Any]) -> bool:
    """The files of one's own zombie belong to root, but there is nothing left in them."""
    owner = (result["uids"] or {}).get("effective")
    return result["status"] in "ZX" and owner == os.geteuid()


def _refused(pid: int) -> bool:
    """Whether it is for want of permission: a kernel thread has no executable to read."""
    for name in ("environ", "io"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        except PermissionError:
            return True
        except OSError:
            continue
    try:
        os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        return True
    except OSError:
        return False
    return False
