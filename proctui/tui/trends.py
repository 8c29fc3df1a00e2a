"""What was seen over time, for the graphs: one ring a figure, one sample a tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from proctui.awareness.view import View
from proctui.tui.rows import Key

__all__ = ["Trends"]

_SHORT = 120


class Trends:
    """Samples of the job, the machine and each process of the job.

    ``None`` stands where a figure was unknown.  Processes outside the job
    are only followed while they use CPU, so ten thousand sleepers cost
    nothing.
    """

    def __init__(self, length: int = 3600) -> None:
        def ring() -> deque[float | None]:
            return deque(maxlen=length)

        self.machine_cpu = ring()
        self.job_cpu = ring()
        self.machine_memory = ring()
        self.job_memory = ring()
        self.swap = ring()
        self.ticks = 0
        self._own: dict[Key, deque[float | None]] = {}
        self._seen: dict[Key, int] = {}

    def add(self, view: View) -> None:
        """Take one tick."""
        self.ticks += 1
        system = view.snapshot.system
        usage = system.cpu.usage
        self.machine_cpu.append(None if usage is None else usage * system.cores)
        cpu, rss = job_sums(view)
        self.job_cpu.append(cpu)
        self.job_memory.append(rss)
        self.machine_memory.append(system.memory.used)
        self.swap.append(system.memory.swap_used)
        procs = view.snapshot.procs
        for pid in view.job:
            if pid in procs:
                self._own_sample(procs[pid].identity.key, procs[pid].cpu)
        for pid in view.snapshot.changed:
            proc = procs.get(pid)
            if proc is not None and pid not in view.job and (proc.cpu or 0) >= 0.5:
                self._own_sample(proc.identity.key, proc.cpu)
        if self.ticks % 60 == 0:
            self._forget()

    def _own_sample(self, key: Key, value: float | None) -> None:
        samples = self._own.get(key)
        if samples is None:
            samples = self._own[key] = deque(maxlen=_SHORT)
        missed = self.ticks - self._seen.get(key, self.ticks - 1) - 1
        if missed > 0:
            samples.extend([0.0] * min(missed, _SHORT))
        samples.append(value)
        self._seen[key] = self.ticks

    def _forget(self) -> None:
        for key, seen in list(self._seen.items()):
            if self.ticks - seen > _SHORT:
                del self._seen[key], self._own[key]

    def of(self, key: Key) -> Sequence[float | None]:
        """CPU samples of one process, newest last, up to this tick."""
        samples = self._own.get(key)
        if samples is None:
            return ()
        missed = self.ticks - self._seen[key]
        if missed:
            return [*samples, *([0.0] * min(missed, _SHORT))]
        return list(samples)


def job_sums(view: View) -> tuple[float | None, int | None]:
    """CPU % of one core and RSS bytes of all the job's processes; ``None`` without a job."""
    if view.session is None:
        return None, None
    procs = view.snapshot.procs
    mine = [procs[pid] for pid in view.job if pid in procs]
    return sum(p.cpu or 0.0 for p in mine), sum(p.rss or 0 for p in mine)
