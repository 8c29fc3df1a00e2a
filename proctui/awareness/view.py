"""What everyone above looks at: one tick with its verdicts, frozen.

A view never looks anything up in the kernel; it is the snapshot, the
verdicts of the classifier and the tree the lineage knows.  Maps that did not
change are the very objects of the view before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from proctui.awareness.session import Session
from proctui.model import Certainty, Identity, Proc, ProcInfo, Role, Snapshot, Verdict

if TYPE_CHECKING:
    from proctui.awareness.lineage import Lineage

__all__ = ["UNSEEN", "Tomb", "View"]

UNSEEN = Verdict(Role.UNKNOWN, Certainty.CERTAIN, ("not seen in this look",))
"""The verdict about a pid that no process of the snapshot has."""


class Tomb(NamedTuple):
    """A process that ended while we looked.

    ``parent`` is the pid it was shown under, ``died`` seconds since 1970 of
    the tick that missed it first, ``lifetime`` seconds, ``peak_rss`` the most
    bytes seen, ``exit`` its wait status as :func:`os.waitstatus_to_exitcode`
    gives it (negative: the signal), ``None`` where the kernel didn't tell.
    ``oom``: it was killed while the kernel's OOM killer struck.
    """

    identity: Identity
    name: str
    parent: int | None
    role: Role
    died: float
    lifetime: float | None
    cpu_seconds: float | None
    peak_rss: int | None
    exit: int | None
    oom: bool = False


def _no_info(identity: Identity) -> ProcInfo | None:
    return None


class View(NamedTuple):
    """One tick, judged.

    ``children`` is the tree as it is shown and as ``--tree`` means it: a
    process whose parent ended stands under its nearest living latched
    ancestor instead of under the reaper that took it.  ``job`` are the pids
    of all spawned processes, ``strays`` those outside the live leader's
    kernel tree.  ``warnings`` says what made verdicts weaker (a registry
    that could not be read, a runner that is gone); ``blocked`` is the reason
    why nothing may be signalled at all, or ``None``.
    """

    snapshot: Snapshot
    session: Session | None
    verdicts: Mapping[int, Verdict]
    children: Mapping[int, tuple[int, ...]]
    parents: Mapping[int, int]
    strays: frozenset[int]
    job: frozenset[int]
    tombs: tuple[Tomb, ...] = ()
    history: Any = None
    lineage: Lineage | None = None
    leader_alive: bool = False
    warnings: tuple[str, ...] = ()
    blocked: str | None = None
    lookup: Callable[[Identity], ProcInfo | None] = _no_info

    def verdict(self, pid: int) -> Verdict:
        """The verdict about ``pid``; for a pid nobody has, :data:`UNSEEN`."""
        return self.verdicts.get(pid, UNSEEN)

    def proc(self, pid: int) -> Proc | None:
        return self.snapshot.procs.get(pid)

    def identity(self, pid: int) -> Identity | None:
        proc = self.snapshot.procs.get(pid)
        return None if proc is None else proc.identity

    def role(self, pid: int) -> Role:
        return self.verdict(pid).role

    def parent(self, pid: int) -> int | None:
        """The pid it stands under in the tree, ``None`` at the top."""
        moved = self.parents.get(pid)
        if moved is not None:
            return moved
        proc = self.snapshot.procs.get(pid)
        if proc is None or proc.ppid == pid or proc.ppid not in self.snapshot.procs:
            return None
        return proc.ppid

    def descendants(self, pid: int) -> list[int]:
        """Everything below ``pid``, itself excluded, parents first; a ppid cycle ends the walk."""
        found: list[int] = []
        seen = {pid}
        queue = [pid]
        for parent in queue:
            for child in self.children.get(parent, ()):
                if child not in seen:
                    seen.add(child)
                    found.append(child)
                    queue.append(child)
        return found

    def ancestors(self, pid: int) -> list[int]:
        """The chain above ``pid``, nearest first; a ppid cycle ends the walk."""
        chain: list[int] = []
        seen = {pid}
        at = self.parent(pid)
        while at is not None and at not in seen:
            chain.append(at)
            seen.add(at)
            at = self.parent(at)
        return chain

    def group(self, pgid: int) -> list[int]:
        """The pids of the process group, in order."""
        return sorted(pid for pid, proc in self.snapshot.procs.items() if proc.pgid == pgid)

    def info(self, pid: int) -> ProcInfo | None:
        """The slow facts of ``pid`` (argv, exe, user), ``None`` once it is gone."""
        proc = self.snapshot.procs.get(pid)
        return None if proc is None else self.lookup(proc.identity)

    def command(self, pid: int) -> str:
        """The command line in one text, empty where there is none or it could not be read."""
        info = self.info(pid)
        return " ".join(info.cmdline) if info is not None and info.cmdline else ""
