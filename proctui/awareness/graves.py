"""The recently dead, so that a screen can show them dimmed and say how they ended."""

from __future__ import annotations

import signal

from proctui.awareness.exits import Exits
from proctui.awareness.view import Tomb, View
from proctui.machine import oom
from proctui.model import Proc, Role, Snapshot

__all__ = ["Graves"]

KEPT = 256
SECONDS = 120.0


class Graves:
    """Tombs of the job's processes; without a session of all that ended.

    With ``exits`` a pidfd of each process of the job is held, so that its
    exit status is known though it is nobody's child here.
    """

    def __init__(self, *, exits: bool = False) -> None:
        self._exits = Exits() if exits else None
        self._peaks: dict[int, tuple[Proc, int]] = {}
        self._tombs: tuple[Tomb, ...] = ()
        self._holding: frozenset[int] = frozenset()
        self._oom_kills = oom.kills() if exits else None

    def update(
        self, snapshot: Snapshot, before: View | None, job: frozenset[int]
    ) -> tuple[Tomb, ...]:
        """Bury who ended since ``before``; ``job`` are the pids of the job now."""
        fresh = []
        if before is not None and snapshot.died:
            whole = before.session is None
            for proc in snapshot.died:
                role = before.verdict(proc.pid).role
                if role is Role.SPAWNED or whole:
                    fresh.append(self._bury(proc, role, before, snapshot))
            fresh = self._explained(fresh)
        for pid in job:
            proc = snapshot.procs[pid]
            known = self._peaks.get(pid)
            if known is None or known[0].identity is not proc.identity:
                self._peaks[pid] = (proc, proc.rss or 0)
            elif proc.rss is not None and proc.rss > known[1]:
                self._peaks[pid] = (proc, proc.rss)
        for pid in [pid for pid in self._peaks if pid not in job]:
            del self._peaks[pid]
        if self._exits is not None and job != self._holding:
            self._exits.hold(snapshot.procs[pid].identity for pid in job - self._holding)
            self._holding = job
        if fresh or (self._tombs and snapshot.wall - self._tombs[0].died > SECONDS):
            kept = [tomb for tomb in self._tombs if 0 <= snapshot.wall - tomb.died <= SECONDS]
            self._tombs = tuple((kept + fresh)[-KEPT:])
        return self._tombs

    def _bury(self, proc: Proc, role: Role, before: View, snapshot: Snapshot) -> Tomb:
        known = self._peaks.pop(proc.pid, None)
        peak = known[1] if known is not None and known[0].identity.same(proc.identity) else proc.rss
        times = [time for time in (proc.user_time, proc.system_time) if time is not None]
        return Tomb(
            identity=proc.identity,
            name=proc.name,
            parent=before.parent(proc.pid),
            role=role,
            died=snapshot.wall,
            lifetime=None if proc.started is None else max(0.0, snapshot.wall - proc.started),
            cpu_seconds=sum(times) if len(times) == 2 else None,
            peak_rss=peak or None,
            exit=None if self._exits is None else self._exits.release(proc.identity),
        )

    def _explained(self, fresh: list[Tomb]) -> list[Tomb]:
        """Mark whom the OOM killer took: of those killed the largest, as many as it had victims."""
        killed = [tomb for tomb in fresh if tomb.exit == -signal.SIGKILL]
        if not killed:
            return fresh
        before, self._oom_kills = self._oom_kills, oom.kills()
        if before is None or self._oom_kills is None:
            return fresh
        victims = self._oom_kills - before
        killed.sort(key=lambda tomb: -(tomb.peak_rss or 0))
        return [one._replace(oom=True) if one in killed[:victims] else one for one in fresh]

    def close(self) -> None:
        if self._exits is not None:
            self._exits.close()
