"""``ProcessBaseline`` of requirements.md: a program's own awareness of what it started."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from typing import Any

from proctui.awareness.baseline import Baseline
from proctui.awareness.entry import Entry, boottime, now
from proctui.awareness.opening import frugal_source, know_privately
from proctui.awareness.session import Moment, Session
from proctui.awareness.truth import Truth
from proctui.awareness.view import View
from proctui.awareness.watch import Watch
from proctui.awareness.writer import SessionWriter, create_session
from proctui.errors import AccessDenied, check_pid
from proctui.machine import identity as kernel
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Certainty, Role, Snapshot, Source
from proctui.text import sanitize

__all__ = ["ProcessBaseline"]

_living: weakref.WeakSet[ProcessBaseline] = weakref.WeakSet()


class ProcessBaseline:
    """What existed before the work began, and what came from it since.

    Captures at once.  With ``register`` it makes a session, so that a
    dashboard opened beside it knows the same; where no registry can be
    written it stays private (:attr:`session` is ``None``).

    ``baseline_processes`` maps pids to ``{pid identity name ppid started}``
    (``started``: seconds since 1970).  ``spawned_processes`` and
    :meth:`get_safe_to_kill` hold the pids of living processes that certainly
    come from this one; numbers may be given out again, so signal through the
    guard and never by a pid that was remembered.

    A forked child that inherits it is another process: what its parent
    started is none of its own.  Nothing here makes the caller a subreaper,
    changes its descriptor limit or its environment.
    """

    own_pid: int
    own_pgid: int
    parent_pid: int

    def __init__(self, register: bool = True) -> None:
        self._source: Source = frugal_source()
        self._baseline, self._first = Baseline.capture(self._source)
        self.baseline_processes: dict[int, dict[str, Any]] = self._capture_processes()
        self._spawned: set[int] = set()
        self._writer: SessionWriter | None = None
        self._forked = False
        self._home()
        if register:
            self._register()
        self._watch = self._open()
        self._end = weakref.finalize(self, _end, self._writer, self._watch)
        _living.add(self)

    def _home(self) -> None:
        self.own_pid = os.getpid()
        self.own_pgid = os.getpgid(0)
        self.parent_pid = os.getppid()

    def _register(self) -> None:
        own = self._first.procs.get(self.own_pid)
        try:
            writer = create_session(
                _label(),
                kind="library",
                leader=kernel.own(),
                tty=None if own is None else own.tty,
            )
        except (AccessDenied, OSError):
            return
        writer.write_baseline(self._baseline)
        self._writer = writer

    def _open(self) -> Watch:
        if self._writer is not None:
            return Watch(self._source, writer=self._writer, history=0)
        know_privately(self)
        return Watch(self._source, truth=self._private(), history=0)

    def private_truth(self) -> Truth | None:
        """What a baseline without a session knows, what it has latched included."""
        self._settle()
        truth = self._watch.truth
        if self._writer is not None or truth is None or not self._end.alive:
            return None
        claims = {
            record.identity.key: Entry(record.identity, record.words, record.certainty)
            for record in self._watch.classifier.lineage
        }
        return truth._replace(claims=claims)

    def _private(self) -> Truth:
        own = kernel.own()
        row = self._first.procs.get(own.pid)
        span = self._baseline.span
        began = now()
        created = Moment(span.t0, began.wall - (began.boottime - span.t0))
        session = Session(
            id="0" * 32,
            label=_label(),
            uid=os.geteuid(),
            boot_id=own.boot_id,
            pidns=own.pidns,
            created=created,
            kind="library",
            leader=own,
            runner=own,
            tty=None if row is None else row.tty,
        )
        return Truth(session, self._baseline, {}, "own")

    def _capture_processes(self) -> dict[int, dict[str, Any]]:
        """All processes that exist now, by pid."""
        if hasattr(self, "_spawned"):
            source = frugal_source()
            snapshot = source.sample(fresh=True)
            source.close()
        else:  # the baseline's own scan serves the first call
            snapshot = self._first
        return {
            pid: {
                "pid": pid,
                "identity": str(proc.identity),
                "name": proc.name,
                "ppid": proc.ppid,
                "started": proc.started,
            }
            for pid, proc in snapshot.procs.items()
        }

    @property
    def session(self) -> Session | None:
        """The registered session, ``None`` where there is none (a forked child has none)."""
        self._settle()
        return None if self._writer is None else self._writer.session

    @property
    def spawned_processes(self) -> set[int]:
        """The pids that live now and certainly come from this process."""
        self._refresh()
        return self._spawned

    def look(self) -> View:
        """Everything as it is now, judged in the eyes of this baseline."""
        self._settle()
        return self._watch.look()

    def is_own_process(self, pid: int) -> bool:
        """Whether ``pid`` is this process or anything below it."""
        check_pid(pid)
        self._settle()
        if pid == self.own_pid:
            return True
        view = self.look()
        return view.role(pid) is Role.SPAWNED or pid in view.descendants(self.own_pid)

    def is_spawned_process(self, pid: int) -> bool:
        """Whether the process that has ``pid`` now certainly comes from this one."""
        check_pid(pid)
        verdict = self.look().verdict(pid)
        return verdict.role is Role.SPAWNED and verdict.certainty is Certainty.CERTAIN

    def get_safe_to_kill(self) -> set[int]:
        """The pids that may be signalled: spawned, certain, and nothing else."""
        return set(self._refresh())

    def close(self) -> None:
        """Let go of the session and its lock; done at exit by itself."""
        self._end()

    def __enter__(self) -> ProcessBaseline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refresh(self) -> set[int]:
        view = self.look()
        found = {pid for pid in view.job if view.verdict(pid).certainty is Certainty.CERTAIN}
        self._spawned.clear()
        self._spawned.update(found)
        return self._spawned

    def _settle(self) -> None:
        """After a fork: a new process has no children yet, and everybody else was there before."""
        if not self._forked:
            return
        self._forked = False
        self._home()
        self._end.detach()
        with contextlib.suppress(OSError):
            self._watch.close()
        if self._writer is not None:
            self._writer.detach()
            self._writer = None
        self._spawned = set()
        self._source = frugal_source()
        snapshot = self._source.sample(fresh=True)
        began = kernel.own().start_ticks
        at = boottime() if began is None else (began + 0.5) / CLOCK_TICKS
        baseline = Baseline.of(snapshot, at, at)
        for pid in _below(snapshot, self.own_pid):
            baseline.release(snapshot.procs[pid].identity)
        self._baseline, self._first = baseline, snapshot
        self._watch = self._open()
        self._end = weakref.finalize(self, _end, None, self._watch)


def _below(snapshot: Snapshot, top: int) -> set[int]:
    kids: dict[int, list[int]] = {}
    for pid, proc in snapshot.procs.items():
        kids.setdefault(proc.ppid, []).append(pid)
    found: set[int] = set()
    stack = [top]
    while stack:
        for kid in kids.get(stack.pop(), ()):
            if kid not in found and kid != top:
                found.add(kid)
                stack.append(kid)
    return found


def _label() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    return sanitize(name if name not in ("", "-c", "-m") else "python")[:60]


def _end(writer: SessionWriter | None, watch: Watch) -> None:
    if writer is not None and writer.owned:
        if any(kernel.alive(entry.identity) for entry in writer.spawned()):
            # What outlives us makes the session an orphaned one: the kernel says so, not a file.
            writer.flush()
            writer.detach()
        elif _audited(writer):
            writer.end()
        else:
            writer.discard()
    with contextlib.suppress(OSError):
        watch.close()


def _audited(writer: SessionWriter) -> bool:
    try:
        return os.stat("audit.jsonl", dir_fd=writer.directory_fd).st_size > 0
    except OSError:
        return False


def _after_fork() -> None:
    for baseline in list(_living):
        baseline._forked = True
        baseline._home()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
