"""One look at every process a tick, as cheap as the kernel allows.

A ``stat`` descriptor is held per process and read with ``pread``: half the
price of open, read and close, and a dead process answers ESRCH, never with
its successor's figures.  Bytes that did not change are not parsed.  ``/proc``
is listed only when the kernel's counters tell of births or deaths that
nothing cheaper explains.  Who slept through :data:`QUIET_TICKS` ticks is read
every :data:`STRIDE` ticks, in turns, unless it belongs to the job.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from proctui import text
from proctui.errors import NotSupported
from proctui.machine import facts, limits, stat
from proctui.machine.entries import LINE, Entry, Found, StatFiles, Syscalls
from proctui.machine.jobio import JobIo
from proctui.machine.meters import Counters, SystemMeter
from proctui.machine.turns import QUIET_TICKS, STRIDE, Turns
from proctui.model import Identity, Proc, ProcInfo, Snapshot

__all__ = ["QUIET_TICKS", "STRIDE", "ProcSource", "Syscalls"]

RELIST_TICKS = 128
"""``/proc`` is listed at least so often, whatever the counters say."""
ARGV_TICKS = 5
"""The job's command lines are read again every so many ticks: programs rename themselves."""
UID_TICKS = 16
"""A changed process's owner is looked up again after so many ticks (daemons drop privileges)."""
LISTED_A_TICK = 1250
"""A death that nothing explains is looked for after one tick for so many processes: among
more of them the sleepers' own turns find it as soon, and a listing costs most there."""
_CLOCK = stat.CLOCK_TICKS
_PAGE = stat.PAGE_SIZE


class ProcSource:
    """Snapshots of ``/proc`` (proc(5)); a :class:`proctui.model.Source`.

    ``root`` may be a made-up tree: identities then come from start times,
    and a file that became empty is a death.  ``clock`` gives seconds since
    boot.  ``descriptor_budget`` bounds the held stat descriptors, a quarter of
    as many more go to the job's I/O; processes above it are opened, read and
    closed each time.  By default it is what the soft ``RLIMIT_NOFILE``
    leaves, and if that does not hold all, from the second look on what the
    *hard* one does: the soft limit of this very process is raised (see
    :func:`proctui.machine.limits.child_limits`), which whoever looks only
    once does not bring about.  ``probe``: look for the newborn among
    the pids given since the last look instead of listing (default: where
    threads can be told from processes).

    A long sleeper's figures are at most :data:`STRIDE` ticks old, its CPU
    share is over the time since it was last read.  Not thread-safe: one
    thread samples.
    """

    def __init__(
        self,
        root: str = "/proc",
        *,
        clock: Callable[[], float] | None = None,
        descriptor_budget: int | None = None,
        calls: Syscalls | None = None,
        probe: bool | None = None,
    ) -> None:
        if not Path(root, "stat").exists():
            raise NotSupported(f"there is no {root} here", "mount it, or open the psutil source")
        self._root = root
        self._clock = clock or _boottime
        self._calls = calls or Syscalls()
        self._may_raise = descriptor_budget is None
        if descriptor_budget is None:
            descriptor_budget = limits.descriptor_budget(raised=False)
        self._files = StatFiles(root, self._calls, descriptor_budget)
        self._io = JobIo(root, descriptor_budget // 4)
        self._probes = self._files.tells_threads if probe is None else probe
        self._boot_wall = time.time() - _boottime()
        self._meter = SystemMeter(root)
        self._entries: dict[int, Entry] = {}
        self._names: set[str] = set()
        self._rows: dict[int, Proc] = {}
        self._published: dict[int, Proc] = {}
        self._turns = Turns()
        self._job: frozenset[int] = frozenset()
        self._tick = 0
        self._at: float | None = None
        self._counters = Counters(None, None, None)
        self._listed_at = -RELIST_TICKS
        self._searched_at = 0
        self._unexplained = 0

    @property
    def held(self) -> int:
        """How many stat descriptors are held (about 4.4 KB of kernel memory each)."""
        return self._files.held

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """Look at every process now.

        ``job``: pids read at every tick, their I/O and argv too.  ``fresh``:
        list ``/proc`` and read the long sleepers as well, whatever the
        counters say; nobody decides on I/O, so it stays as the last tick had it.
        """
        self._tick += 1
        if self._may_raise and self._tick > 1 and self._files.held < len(self._entries):
            self._may_raise = False
            room = limits.descriptor_budget(raised=True)
            self._io.budget = room // 5
            self._files.budget = room - self._io.budget
        now = self._clock()
        since, self._at = self._at, now
        interval = None if since is None else now - since
        if job != self._job:
            self._turns.wake(self._entries[pid] for pid in job & self._entries.keys())
            self._job = job
        counters, before = self._meter.counters(), self._counters
        self._counters = counters
        changed: set[int] = set()
        dead: list[Entry] = []

        turns = self._turns
        self._read(turns.awake, now if since is None else since, now, changed, dead)
        quiet = len(changed)
        self._read(*turns.begin(self._tick, now), now, changed, dead)
        stirred = len(changed) > quiet
        self._bury(dead)

        born: list[int] = []
        late = self._births(before, counters, sum(_threads(entry) for entry in dead), fresh, born)
        self._check(self._entries.values() if fresh else late, now, changed, dead)
        for entry in dead:  # its number may have a new owner already
            if entry.pid not in self._entries:
                self._meet(entry.pid, born)
        changed.update(born)

        turns.settle(self._tick, now, self._job, stirred=stirred)
        self._reread_argv(changed)
        if changed or dead:
            self._published = self._rows.copy()
        return Snapshot(
            tick=self._tick,
            wall=time.time(),
            boottime=now,
            interval=interval,
            procs=self._published,
            system=self._meter.read(now),
            born=tuple(born),
            died=tuple(entry.row for entry in dead),
            changed=frozenset(changed),
            io=self._io.last() if fresh else self._io.sample(now, job & self._entries.keys()),
            warnings=self._warnings(),
        )

    def _read(
        self, batch: list[Entry], since: float, now: float, changed: set[int], dead: list[Entry]
    ) -> None:
        """The hot loop: nothing but a read and a comparison for who did not change."""
        pread = self._calls.pread
        for entry in batch:
            fd = entry.fd
            try:
                raw = pread(fd, LINE, 0) if fd >= 0 else self._files.read_unheld(entry)
            except OSError:
                dead.append(entry)
                continue
            if raw == entry.raw:
                if entry.busy:
                    entry.busy = False
                    entry.at = now
                    entry.row = self._rows[entry.pid] = entry.row._replace(cpu=0.0, seen=self._tick)
                    changed.add(entry.pid)
            elif raw:
                self._update(entry, raw, now, max(entry.at, since))
                changed.add(entry.pid)
            else:
                dead.append(entry)

    def _first(self, entry: Entry, raw: bytes, line: stat.StatLine) -> None:
        """The row of a process just met; its CPU figure comes with the next look."""
        entry.raw, entry.at, entry.moved = raw, self._at or 0.0, self._tick
        entry.line_name, entry.image = line.name, line.image
        entry.busy = True
        self._own(entry)
        self._set_row(entry, line, text.decode(line.name), None)

    def _update(self, entry: Entry, raw: bytes, now: float, since: float) -> None:
        """Parse a line that changed and replace the row."""
        line = stat.parse(raw)
        used = line.utime + line.stime
        cpu = None
        if now > since:
            cpu = max(0.0, (used - entry.used) * 100.0 / _CLOCK / (now - since))
        name = entry.row.name
        if line.name != entry.line_name or line.image != entry.image:
            entry.info, entry.argv = None, None
            self._own(entry)
            name = text.decode(line.name)
        elif self._tick - entry.uid_at >= UID_TICKS:
            self._own(entry)
        entry.raw, entry.at, entry.moved = raw, now, self._tick
        entry.line_name, entry.image = line.name, line.image
        entry.busy = bool(cpu)
        self._set_row(entry, line, name, cpu)

    def _set_row(self, entry: Entry, line: stat.StatLine, name: str, cpu: float | None) -> None:
        entry.used = line.utime + line.stime
        entry.row = self._rows[entry.pid] = Proc(
            entry.who,
            entry.pid,
            line.ppid,
            line.pgid,
            line.sid,
            line.tty,
            line.state,
            name,
            self._boot_wall + line.start / _CLOCK,
            line.utime / _CLOCK,
            line.stime / _CLOCK,
            line.rss * _PAGE,
            line.threads,
            cpu,
            entry.uid,
            bool(line.flags & stat.PF_KTHREAD),
            self._tick,
        )

    def _own(self, entry: Entry) -> None:
        """Look up the effective uid: the *directory's* owner, as the files of undumpable
        processes belong to root (proc_pid(5))."""
        entry.uid_at = self._tick
        try:
            uid = os.stat(f"{self._root}/{entry.pid}").st_uid
        except OSError:
            return
        if uid != entry.uid:
            entry.uid, entry.info = uid, None

    def _births(
        self, before: Counters, now: Counters, deaths: int, fresh: bool, born: list[int]
    ) -> Iterable[Entry]:
        """Find the newborn; return those we know of that ``/proc`` no longer shows.

        ``forks`` counts every fork since boot, ``tasks`` is what lives now,
        and pids are given in order: so few births are looked for where they
        must be, and forks that don't add up with the deaths seen mean that
        some sleeper died.
        """
        if (
            fresh
            or self._tick - self._listed_at >= RELIST_TICKS
            or before.forks is None or now.forks is None
            or before.last_pid is None or now.last_pid is None
            or before.tasks is None or now.tasks is None
        ):  # fmt: skip
            return self._list(born)
        forks = now.forks - before.forks
        died = forks - (now.tasks - before.tasks)
        given = now.last_pid - before.last_pid
        if forks == 0 and given == 0:
            return self._entries.values() if self._due(died - deaths) else ()
        if not self._probes or not 0 < given <= len(self._entries) // 4 + 16:
            return self._list(born)
        for pid in range(before.last_pid + 1, now.last_pid + 1):
            if pid in self._entries:
                continue
            found = self._files.probe(pid)
            if found is Found.NOTHING or (found is Found.PROCESS and not self._meet(pid, born)):
                deaths += 1
        return self._list(born) if self._due(died - deaths) else ()

    def _due(self, unexplained: int) -> bool:
        """Whether to look for the dead now, so many of them being unexplained since the last time.

        Threads end, too, so a busy machine has some at every tick.
        """
        self._unexplained += max(0, unexplained)
        if not self._unexplained:
            return False
        if (self._tick - self._searched_at) * LISTED_A_TICK < len(self._entries):
            return False
        self._searched_at, self._unexplained = self._tick, 0
        return True

    def _list(self, born: list[int]) -> list[Entry]:
        if self._tick - self._listed_at >= RELIST_TICKS:
            self._files.hidden.clear()
        self._listed_at = self._tick
        found = {name for name in self._calls.listdir(self._root) if name.isdecimal()}
        for pid in sorted(map(int, found - self._names)):
            if pid not in self._files.hidden:
                self._meet(pid, born)
        return [self._entries[int(name)] for name in self._names - found]

    def _meet(self, pid: int, born: list[int]) -> bool:
        met = self._files.meet(pid)
        if met is None:
            return False
        entry, raw, line = met
        self._first(entry, raw, line)
        self._entries[pid] = entry
        self._names.add(str(pid))
        self._turns.awake.append(entry)
        born.append(pid)
        return True

    def _check(
        self, entries: Iterable[Entry], now: float, changed: set[int], dead: list[Entry]
    ) -> None:
        """Read out of turn who was not read in this tick."""
        found: list[Entry] = []
        stirred: list[Entry] = []
        for batch, since in list(self._turns.late(entries, self._tick)):
            self._read(batch, since, now, changed, found)
            for entry in batch:
                entry.at = now
            stirred += [entry for entry in batch if entry.moved == self._tick]
        self._turns.wake(stirred)
        self._bury(found)
        dead.extend(found)

    def _bury(self, dead: list[Entry]) -> None:
        if not dead:
            return
        for entry in dead:
            del self._entries[entry.pid], self._rows[entry.pid]
            self._names.discard(str(entry.pid))
            self._io.drop(entry.pid)
            self._files.release(entry)
        self._turns.remove(dead)

    def _reread_argv(self, changed: set[int]) -> None:
        for pid in self._job:
            entry = self._entries.get(pid)
            if entry is None or entry.info is None or (self._tick + pid) % ARGV_TICKS:
                continue
            if facts.read_bytes(f"{self._root}/{pid}/cmdline") != entry.argv:
                entry.info = None
                entry.row = self._rows[pid] = entry.row._replace(seen=self._tick)
                changed.add(pid)

    def info(self, identity: Identity) -> ProcInfo | None:
        """Command line, executable, user and container; read once, again after an exec.

        ``None`` where the latest snapshot does not hold exactly this process
        or it died meanwhile.
        """
        entry = self._entries.get(identity.pid)
        if entry is None or not entry.who.same(identity):
            return None
        if entry.info is None:
            argv = facts.read_bytes(f"{self._root}/{entry.pid}/cmdline")
            info = facts.read_info(self._root, entry.who, entry.uid, argv)
            try:
                held = entry.fd >= 0
                alive = (
                    self._calls.pread(entry.fd, 1, 0) if held else self._files.read_unheld(entry)
                )
            except OSError:
                return None
            if not alive:
                return None
            if not argv and not entry.row.kernel and entry.row.state not in "ZX":
                return info  # amid an exec there is none: the next one who asks looks again
            entry.argv, entry.info = argv, info
        return entry.info

    def _warnings(self) -> tuple[str, ...]:
        hidden = len(self._files.hidden)
        if not hidden:
            return ()
        return (f"{hidden} processes are hidden from us (/proc mounted with hidepid?)",)

    def close(self) -> None:
        """Close every held descriptor."""
        self._files.close()
        self._entries.clear()
        self._names.clear()
        self._turns = Turns()
        self._io.close()
        self._meter.close()


def _threads(entry: Entry) -> int:
    return entry.row.threads or 1


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
