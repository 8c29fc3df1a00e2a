"""``ProcessGroupManager`` of requirements.md: groups that we make, and end as a whole."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from proctui.awareness.library import ProcessBaseline
from proctui.errors import BadArgument, NoSuchProcess, ProctuiError, RefusedError, check_pid
from proctui.killing import signals
from proctui.killing.execute import execute
from proctui.killing.plan import make_group_plan
from proctui.killing.report import Report
from proctui.machine.identity import pin

__all__ = ["ProcessGroup", "ProcessGroupManager"]


class ProcessGroup:
    """A process group that programs are started in; as a context manager it cleans up.

    ``pgid`` is ``None`` until the first :meth:`spawn`.  If everybody of the
    group has ended and was reaped, its number may be given out again; the
    next program then leads a new group.
    """

    def __init__(self, manager: ProcessGroupManager) -> None:
        self._manager = manager
        self._leader: int | None = None
        self._processes: list[subprocess.Popen[Any]] = []
        self.pgid: int | None = None

    @property
    def processes(self) -> tuple[subprocess.Popen[Any], ...]:
        """What was started here, in order."""
        return tuple(self._processes)

    def spawn(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in the group; ``options`` are those of ``subprocess.Popen``."""
        clash = {"process_group", "start_new_session", "preexec_fn"} & options.keys()
        if clash:
            raise BadArgument(f"{', '.join(sorted(clash))} would take the program out of the group")
        if self.pgid is not None and not self.exists():
            self._forget()
        child: subprocess.Popen[Any] = subprocess.Popen(
            argv, process_group=0 if self.pgid is None else self.pgid, **options
        )
        self._processes.append(child)
        if self.pgid is None:
            self.pgid = child.pid
            self._manager.managed_groups.add(child.pid)
            with contextlib.suppress(ProctuiError):
                self._leader, _ = pin(child.pid)
        return child

    def exists(self) -> bool:
        """Whether the number still is this very group: anybody of it lives or is unreaped."""
        if self.pgid is None:
            return False
        if self._leader is not None:
            found = signals.group_exists(self._leader)
            if found is not None:
                return found
        return any(child.poll() is None for child in self._processes)

    def end(self, grace: float = 5.0) -> Report | None:
        """End the group through the guard and reap it; ``None`` where nobody is left."""
        for child in self._processes:
            child.poll()
        if self.pgid is None or not self.exists():
            return None
        report = self._manager._end(self.pgid, grace)
        for child in self._processes:
            child.poll()
        if report.done or not self.exists():
            self._forget()
        return report

    def _forget(self) -> None:
        if self.pgid is not None:
            self._manager.managed_groups.discard(self.pgid)
        if self._leader is not None:
            os.close(self._leader)
        self._leader, self.pgid = None, None

    def close(self) -> None:
        """End the group; raises :class:`RefusedError` where a part of it could not be ended."""
        report = self.end()
        if report is not None and not report.done:
            left = report.to_dict()
            raise RefusedError(
                f"process group {report.plan.pgids[0]} is not ended as a whole: "
                + (left["error"]["message"] if "error" in left else _left(report)),
                result=left,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ProcessGroupManager:
    """Makes process groups, and ends only those that it made."""

    def __init__(self, baseline: ProcessBaseline) -> None:
        self.baseline = baseline
        self.managed_groups: set[int] = set()
        self._groups: list[ProcessGroup] = []

    def create_process_group(self) -> ProcessGroup:
        """A new group; its ``pgid`` is set with the first program spawned in it."""
        group = ProcessGroup(self)
        self._groups.append(group)
        return group

    def kill_managed_group(self, pgid: int) -> dict[str, Any]:
        """End all members of a group of ours: TERM, then KILL; returns the kill's document.

        Raises :class:`RefusedError` (a ``ValueError``) for our own group, for
        one that was not made here, and where a member may not be signalled.
        """
        check_pid(pgid, signalling=True, name="pgid")
        if pgid in (self.baseline.own_pgid, os.getpgrp()):
            raise RefusedError("Cannot kill own process group!")
        if pgid not in self.managed_groups:
            raise RefusedError(f"process group {pgid} was not made here")
        group = next((one for one in self._groups if one.pgid == pgid), None)
        if group is None or not group.exists():
            self.managed_groups.discard(pgid)
            raise NoSuchProcess(f"process group {pgid} has ended")
        report = group.end()
        if report is None:
            raise NoSuchProcess(f"process group {pgid} has ended")
        document = report.to_dict()
        if "error" in document:
            raise RefusedError(document["error"]["message"], result=document)
        return document

    def cleanup_all(self) -> list[dict[str, Any]]:
        """End every managed group; the document of each kill. A refused one stops no other."""
        documents: list[dict[str, Any]] = []
        for group in self._groups:
            report = group.end()
            if report is not None:
                documents.append(report.to_dict())
        self._groups = [group for group in self._groups if group.pgid is not None]
        return documents

    def _end(self, pgid: int, grace: float) -> Report:
        """Plan and carry out."""
        look = self.baseline.look
        return execute(make_group_plan(look, pgid), look, grace=grace)


def _left(report: Report) -> str:
    return "; ".join(
        f"{one.identity} {one.outcome}: {one.reason}"
        for one in report.results
        if one.outcome not in ("exited", "zombie", "gone")
    )
