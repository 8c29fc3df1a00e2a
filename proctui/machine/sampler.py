"""One look at every process a tick, as cheap as the kernel allows.

A ``stat`` descriptor is held per process and read with ``pread``: half the
price of open, read and close, and a dead process answers ESRCH, never with
its successor's figures (research: 5.1 against 11.4 µs).  Bytes that did not
change are not parsed.  ``/proc`` is listed only when the kernel's fork
counter moved.  Who slept through :data:`QUIET_TICKS` ticks is read every
:data:`STRIDE` ticks, in turns, unless it belongs to the job.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from proctui import text
from proctui.errors import NotSupported
from proctui.machine import facts, identity, limits, stat
from proctui.machine.jobio import JobIo
from proctui.machine.meters import Counters, SystemMeter
from proctui.model import Identity, Proc, ProcInfo, Snapshot

__all__ = ["QUIET_TICKS", "STRIDE", "ProcSource", "Syscalls"]

QUIET_TICKS = 16
"""Ticks without any change after which a process counts as a long sleeper."""
STRIDE = 8
"""Long sleepers are read every so many ticks."""
RELIST_TICKS = 32
"""``/proc`` is listed at least so often, whatever the counters say."""
ARGV_TICKS = 5
"""The job's command lines are read again every so many ticks: programs rename themselves."""
UID_TICKS = 16
"""A changed process's owner is looked up again after so many ticks (daemons drop privileges)."""
_LINE = 1024
_CLOCK = stat.CLOCK_TICKS
_PAGE = stat.PAGE_SIZE


class Syscalls(NamedTuple):
    """The calls of the hot path, so that a test can count them."""

    open: Callable[[str, int], int] = os.open
    pread: Callable[[int, int, int], bytes] = os.pread
    close: Callable[[int], None] = os.close
    listdir: Callable[[str], list[str]] = os.listdir


class _Entry:
    """What we keep of one process between ticks."""

    __slots__ = (
        "argv", "at", "busy", "fd", "image", "info", "line_name", "moved", "pid", "raw", "row",
        "slot", "uid_at", "used",
    )  # fmt: skip

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd
        self.raw = b""
        self.row: Proc = _NO_ROW
        self.line_name = b""
        self.image = b""
        self.used = 0
        self.at = 0.0
        self.busy = False
        self.moved = 0
        self.slot: int | None = None
        self.uid_at = 0
        self.info: ProcInfo | None = None
        self.argv: bytes | None = None


_NO_ROW = Proc(
    Identity("", 0, None, None, None), 0, 0, 0, 0, 0, "?", "", None, None, None, None, None, None,
    None, False, 0,
)  # fmt: skip


class ProcSource:
    """Snapshots of ``/proc`` (proc(5)); a :class:`proctui.model.Source`.

    ``root`` may be a made-up tree: identities then come from start times,
    and a file that became empty is a death.  ``clock`` gives seconds since
    boot.  ``descriptor_budget`` bounds the held descriptors (default: what
    the hard ``RLIMIT_NOFILE`` leaves; the soft limit is raised, see
    :func:`proctui.machine.limits.child_limits`).  Processes above it are
    opened, read and closed each time.

    Not thread-safe: one thread samples.
    """

    def __init__(
        self,
        root: str = "/proc",
        *,
        clock: Callable[[], float] | None = None,
        descriptor_budget: int | None = None,
        calls: Syscalls | None = None,
    ) -> None:
        self._root = root
        self._clock = clock or _boottime
        self._budget = (
            limits.descriptor_budget() if descriptor_budget is None else descriptor_budget
        )
        self._calls = calls or Syscalls()
        self._native = _is_native(root)
        self._boot_id = identity.boot_id() if self._native else _boot_id_of(root)
        self._pidns = identity.pidns() if self._native else None
        self._boot_wall = time.time() - _boottime()
        self._meter = SystemMeter(root)
        self._io = JobIo(root)
        self._entries: dict[int, _Entry] = {}
        self._names: set[str] = set()
        self._rows: dict[int, Proc] = {}
        self._published: dict[int, Proc] = {}
        self._awake: list[_Entry] = []
        self._asleep: list[list[_Entry]] = [[] for _ in range(STRIDE)]
        self._slot_at = [0.0] * STRIDE
        self._held = 0
        self._denied: set[int] = set()
        self._job: frozenset[int] = frozenset()
        self._tick = 0
        self._at: float | None = None
        self._counters: Counters | None = None
        self._listed_at = 0

    @property
    def held(self) -> int:
        """How many stat descriptors are held (about 4.4 KB of kernel memory each)."""
        return self._held

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """Look at every process now.

        ``job``: pids read at every tick, their I/O and argv too.  ``fresh``:
        list ``/proc`` and read the long sleepers as well, whatever the
        counters say.
        """
        self._tick += 1
        now = self._clock()
        since, self._at = self._at, now
        interval = None if since is None else now - since
        if job != self._job:
            self._wake(job - self._job)
            self._job = job
        counters, before = self._meter.counters(), self._counters
        self._counters = counters
        changed: set[int] = set()
        dead: list[_Entry] = []

        slot = self._tick % STRIDE
        slept, self._slot_at[slot] = self._slot_at[slot], now
        self._read(self._awake, now, since or now, changed, dead)
        woken = self._asleep[slot]
        self._read(woken, now, slept, changed, dead)
        self._bury(dead)

        born: list[int] = []
        if fresh or self._must_list(before, counters):
            gone = self._list(now, born)
            self._check(self._entries.values() if fresh else gone, slot, now, changed, dead)
        elif before is not None and _shrank(before, counters, len(dead)):
            self._check(self._entries.values(), slot, now, changed, dead)
        changed.update(born)

        self._schedule(slot, woken)
        self._reread_argv(changed)
        if changed or dead or len(self._published) != len(self._rows):
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
            io=self._io.sample(now, [pid for pid in job if pid in self._entries]),
            warnings=self._warnings(),
        )

    def _read(
        self, batch: list[_Entry], now: float, since: float, changed: set[int], dead: list[_Entry]
    ) -> None:
        """The hot loop: nothing but a read and a comparison for who did not change."""
        pread = self._calls.pread
        for entry in batch:
            fd = entry.fd
            try:
                raw = pread(fd, _LINE, 0) if fd >= 0 else self._read_unheld(entry)
            except OSError:
                dead.append(entry)
                continue
            if raw == entry.raw:
                if entry.busy:
                    entry.busy = False
                    entry.at = now
                    row = entry.row._replace(cpu=0.0, seen=self._tick)
                    entry.row = self._rows[entry.pid] = row
                    changed.add(entry.pid)
            elif raw:
                self._update(entry, raw, now, max(entry.at, since))
                changed.add(entry.pid)
            else:
                dead.append(entry)

    def _update(self, entry: _Entry, raw: bytes, now: float, since: float) -> None:
        """Parse a line that changed and replace the row."""
        line = stat.parse(raw)
        old, tick = entry.row, self._tick
        used = line.utime + line.stime
        first = not entry.raw
        cpu = None
        if not first and now > since:
            cpu = max(0.0, (used - entry.used) * 100.0 / _CLOCK / (now - since))
        uid = old.uid
        image = line.image
        if line.name != entry.line_name or image != entry.image:
            entry.info, entry.argv = None, None
            uid = self._owner(entry)
            name = text.decode(line.name)
        else:
            name = old.name
            if tick - entry.uid_at >= UID_TICKS:
                uid = self._owner(entry)
        if uid != old.uid:
            entry.info = None
        entry.raw, entry.used, entry.at, entry.moved = raw, used, now, tick
        entry.line_name, entry.image = line.name, image
        # The row of a first sight has no CPU figure: the next look gives it one.
        entry.busy = first or bool(cpu)
        entry.row = self._rows[entry.pid] = Proc(
            old.identity,
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
            uid,
            bool(line.flags & stat.PF_KTHREAD),
            tick,
        )

    def _owner(self, entry: _Entry) -> int | None:
        """The effective uid: the *directory's* owner, as files of undumpable processes
        belong to root (proc_pid(5))."""
        entry.uid_at = self._tick
        try:
            return os.stat(f"{self._root}/{entry.pid}").st_uid
        except OSError:
            return entry.row.uid

    def _read_unheld(self, entry: _Entry) -> bytes:
        """Open, read, close, and prove that it is still the same process.

        A line that equals the last one byte by byte, random stack address
        included, is no successor's; for any other the identity is taken anew.
        """
        fd = self._calls.open(f"{self._root}/{entry.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = self._calls.pread(fd, _LINE, 0)
            if raw != entry.raw and raw:
                now = self._identify(entry.pid, fd)
                if now is None or not now.same(entry.row.identity):
                    raise ProcessLookupError(errno.ESRCH, "the pid has another owner now")
            return raw
        finally:
            self._calls.close(fd)

    def _identify(self, pid: int, stat_fd: int) -> Identity | None:
        """Whose stat file this is.  The file was opened before the pidfd and answers after
        it, so the number had one owner all the while; ``None`` for a thread or the dead."""
        inode = None
        if self._native:
            try:
                pidfd = os.pidfd_open(pid)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise
                if error.errno not in (errno.ENOSYS, errno.EPERM):
                    return None
            else:
                try:
                    inode = identity.inode_of(pidfd)
                finally:
                    os.close(pidfd)
        try:
            raw = self._calls.pread(stat_fd, _LINE, 0)
            return Identity(self._boot_id, pid, inode, self._pidns, stat.start_ticks(raw))
        except (OSError, ValueError, IndexError):
            return None

    def _must_list(self, before: Counters | None, now: Counters) -> bool:
        if before is None or now.forks is None or now.last_pid is None:
            return True
        if now.forks != before.forks or now.last_pid != before.last_pid:
            return True
        return self._tick - self._listed_at >= RELIST_TICKS

    def _list(self, now: float, born: list[int]) -> list[_Entry]:
        """Find the new ones; return those we know that ``/proc`` no longer shows."""
        if self._tick - self._listed_at >= RELIST_TICKS:
            self._denied.clear()
        self._listed_at = self._tick
        found = {name for name in self._calls.listdir(self._root) if name.isdecimal()}
        for pid in sorted(map(int, found - self._names)):
            if pid not in self._denied and self._meet(pid, now):
                born.append(pid)
        return [self._entries[int(name)] for name in self._names - found]

    def _meet(self, pid: int, now: float) -> bool:
        """Take up a process we have not seen; ``False`` if it vanished or is hidden."""
        path = f"{self._root}/{pid}/stat"
        known: Identity | None = None
        for attempt in (1, 2):
            fd = -1
            try:
                fd = self._calls.open(path, os.O_RDONLY | os.O_CLOEXEC)
                known = self._identify(pid, fd)
                if known is None:
                    self._calls.close(fd)
                    return False
                raw = self._calls.pread(fd, _LINE, 0)
                if not raw:
                    self._calls.close(fd)
                    return False
            except OSError as error:
                if fd >= 0:
                    self._calls.close(fd)
                if error.errno in (errno.EMFILE, errno.ENFILE) and attempt == 1 and self._give_up():
                    continue
                if error.errno in (errno.EACCES, errno.EPERM):
                    self._denied.add(pid)
                return False
            break
        assert known is not None
        if self._held >= self._budget:
            self._calls.close(fd)
            fd = -1
        else:
            self._held += 1
        entry = _Entry(pid, fd)
        entry.row = _NO_ROW._replace(identity=known)
        self._update(entry, raw, now, now)
        self._entries[pid] = entry
        self._names.add(str(pid))
        self._awake.append(entry)
        return True

    def _give_up(self) -> bool:
        """No descriptor is left: let go of some and hold fewer from now on."""
        held = [entry for entry in self._entries.values() if entry.fd >= 0][-64:]
        for entry in held:
            self._calls.close(entry.fd)
            entry.fd = -1
        self._held -= len(held)
        self._budget = self._held
        return bool(held)

    def _check(
        self, entries: Iterable[_Entry], slot: int, now: float, changed: set[int],
        dead: list[_Entry],
    ) -> None:  # fmt: skip
        """Read out of turn who was not read in this tick."""
        late = [entry for entry in entries if entry.slot is not None and entry.slot != slot]
        found: list[_Entry] = []
        for number in {entry.slot for entry in late}:
            if number is not None:
                batch = [entry for entry in late if entry.slot == number]
                self._read(batch, now, self._slot_at[number], changed, found)
        for entry in late:
            entry.at = now
        self._bury(found)
        self._wake(frozenset(entry.pid for entry in late if entry.moved == self._tick))
        dead.extend(found)

    def _bury(self, dead: list[_Entry]) -> None:
        if not dead:
            return
        for entry in dead:
            if self._entries.pop(entry.pid, None) is None:
                continue
            self._names.discard(str(entry.pid))
            del self._rows[entry.pid]
            self._io.drop(entry.pid)
            if entry.fd >= 0:
                self._calls.close(entry.fd)
                entry.fd = -1
                self._held -= 1
        gone = set(map(id, dead))
        for bucket in {entry.slot for entry in dead}:
            if bucket is None:
                self._awake = [entry for entry in self._awake if id(entry) not in gone]
            else:
                kept = [entry for entry in self._asleep[bucket] if id(entry) not in gone]
                self._asleep[bucket] = kept

    def _wake(self, pids: frozenset[int]) -> None:
        for pid in pids:
            entry = self._entries.get(pid)
            if entry is not None and entry.slot is not None:
                self._asleep[entry.slot].remove(entry)
                entry.at = max(entry.at, self._slot_at[entry.slot])
                entry.slot = None
                self._awake.append(entry)

    def _schedule(self, slot: int, woken: list[_Entry]) -> None:
        """Move who stirred to the awake, and every few ticks the quiet to the sleepers."""
        tick = self._tick
        if any(entry.moved == tick for entry in woken):
            still: list[_Entry] = []
            for entry in self._asleep[slot]:
                if entry.moved == tick:
                    entry.slot = None
                    self._awake.append(entry)
                else:
                    still.append(entry)
            self._asleep[slot] = still
        if tick % STRIDE:
            return
        at = self._at or 0.0
        awake: list[_Entry] = []
        for entry in self._awake:
            if tick - entry.moved >= QUIET_TICKS and not entry.busy and entry.pid not in self._job:
                shortest = entry.pid % STRIDE
                entry.slot, entry.at = shortest, at
                self._asleep[shortest].append(entry)
            else:
                awake.append(entry)
        self._awake = awake

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
        if entry is None or not entry.row.identity.same(identity):
            return None
        if entry.info is None:
            argv = facts.read_bytes(f"{self._root}/{entry.pid}/cmdline")
            info = facts.read_info(self._root, entry.row.identity, entry.row.uid, argv)
            try:
                raw = (
                    self._calls.pread(entry.fd, 1, 0) if entry.fd >= 0 else self._read_unheld(entry)
                )
            except OSError:
                return None
            if not raw:
                return None
            entry.argv, entry.info = argv, info
        return entry.info

    def _warnings(self) -> tuple[str, ...]:
        if not self._denied:
            return ()
        return (f"{len(self._denied)} processes are hidden from us (/proc mounted with hidepid?)",)

    def close(self) -> None:
        """Close every held descriptor."""
        for entry in self._entries.values():
            if entry.fd >= 0:
                self._calls.close(entry.fd)
                entry.fd = -1
        self._entries.clear()
        self._awake.clear()
        self._asleep = [[] for _ in range(STRIDE)]
        self._held = 0
        self._io.close()
        self._meter.close()


def _shrank(before: Counters, now: Counters, deaths: int) -> bool:
    """Whether more tasks vanished than the deaths we saw (no fork happened in between)."""
    if before.tasks is None or now.tasks is None:
        return False
    return before.tasks - now.tasks > deaths


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_native(root: str) -> bool:
    """Whether the pids under ``root`` are those our system calls understand."""
    try:
        return os.path.realpath(root) == "/proc" and os.readlink("/proc/self") == str(os.getpid())
    except OSError as error:
        raise NotSupported(
            "there is no /proc here", "use the psutil source: --source psutil"
        ) from error


def _boot_id_of(root: str) -> str:
    raw = facts.read_bytes(f"{root}/sys/kernel/random/boot_id", 64)
    return raw.decode("ascii", "replace").strip() if raw else identity.boot_id()
