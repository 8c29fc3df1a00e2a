"""One look, as quick as it can be: at everybody, or at one process and whom its role hangs on."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable

from proctui import text
from proctui.errors import NotSupported, ProctuiError
from proctui.machine import facts, kin, stat
from proctui.machine import identity as identities
from proctui.machine.entries import is_native
from proctui.machine.meters import SystemMeter
from proctui.model import Identity, Proc, ProcInfo, Snapshot

__all__ = ["OnceSource"]

_LINE = 1024
"""Bytes read of a stat file: longer than any line the kernel writes."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_MOST = 4
"""A root whose own children are more than one in so many of all: then everybody is read."""


class OnceSource:
    """A :class:`proctui.model.Source` for whoever looks once: nothing is held or measured.

    With ``pid`` it shows that process, its children (``tree``: all that is
    below it), ourselves, the job asked for, and the ancestors of all of
    these.  A role is decided by the rows of a process and of its ancestors,
    by what the session knows, and by the controllers and theirs: with the
    controllers among the job every role in such a look is the one a full look
    gives.  Without ``owners`` no ``uid`` is read.
    """

    @staticmethod
    def works() -> bool:
        """Whether this ``/proc`` is ours and pidfds tell a process from a thread."""
        try:
            os.close(os.pidfd_open(os.getpid()))
        except (AttributeError, OSError):
            return False
        return is_native("/proc")

    def __init__(self, pid: int | None = None, *, tree: bool = False, owners: bool = True) -> None:
        self._pid = pid
        self._tree = tree
        self._owners = owners
        self._rows: dict[int, Proc] = {}
        self._infos: dict[int, ProcInfo | None] = {}

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """Look now; every look is a first and a full one."""
        meter = SystemMeter()
        try:
            meter.counters()
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            look = _Look(time.time() - now, owners=self._owners)
            try:
                self._rows = rows = self._family(look, job)
            finally:
                look.close()
            self._infos.clear()
            hidden = len(look.hidden)
            warning = f"{hidden} processes are hidden from us (/proc mounted with hidepid?)"
            return Snapshot(
                tick=1,
                wall=time.time(),
                boottime=now,
                interval=None,
                procs=rows,
                system=meter.read(now),
                born=tuple(rows),
                changed=frozenset(rows),
                warnings=(warning,) if hidden else (),
            )
        finally:
            meter.close()

    def _family(self, look: _Look, job: Iterable[int]) -> dict[int, Proc]:
        found = rows = look.read(self._wanted(job))
        while self._pid is not None and found:  # the ancestors
            found = look.read({row.ppid for row in found.values()} - rows.keys() - {0})
            rows |= found
        return rows

    def _wanted(self, job: Iterable[int]) -> list[int]:
        everybody = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
        if self._pid is None:
            return everybody
        below = kin.children(self._pid)
        if self._tree:
            if len(below) * _MOST > len(everybody):
                return everybody
            below = kin.below(kin.parents(), self._pid)
        return sorted({self._pid, os.getpid(), *below, *job} - {0})

    def info(self, identity: Identity) -> ProcInfo | None:
        """Command line, executable, user and container; ``None`` once the process is gone."""
        row = self._rows.get(identity.pid)
        if row is None or not row.identity.same(identity):
            return None
        if identity.pid not in self._infos:
            self._infos[identity.pid] = _info(row)
        return self._infos[identity.pid]

    def close(self) -> None:
        """Nothing is held."""
        self._rows, self._infos = {}, {}


class _Look:
    """Reads processes out of ``/proc``, held open until :meth:`close`."""

    def __init__(self, boot_wall: float, *, owners: bool) -> None:
        self._boot_wall = boot_wall
        self._owners = owners
        self._names: dict[bytes, str] = {}
        self.hidden: set[int] = set()
        self._folder = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def read(self, pids: Iterable[int]) -> dict[int, Proc]:
        """Their rows, without the dead and the hidden.

        The stat file is opened before the pidfd and answers after it, so the
        number had one owner all the while.
        """
        open_, pread, close, fstat, pidfd_open = (
            os.open,
            os.pread,
            os.close,
            os.fstat,
            os.pidfd_open,
        )
        folder, names, owners, flags = self._folder, self._names, self._owners, _FLAGS
        boot_id, pidns, has_inodes = (
            identities.boot_id(),
            identities.pidns(),
            identities.has_pidfs(),
        )
        boot_wall, clock, page = self._boot_wall, stat.CLOCK_TICKS, stat.PAGE_SIZE
        make, kthread = tuple.__new__, stat.PF_KTHREAD
        rows: dict[int, Proc] = {}
        inode = uid = None
        for pid in pids:
            try:
                descriptor = open_(f"{pid}/stat", flags, dir_fd=folder)
                try:
                    pidfd = pidfd_open(pid)
                    if has_inodes:
                        inode = fstat(pidfd).st_ino
                    close(pidfd)
                    if owners:
                        uid = os.stat(str(pid), dir_fd=folder).st_uid
                    raw = pread(descriptor, _LINE, 0)
                finally:
                    close(descriptor)
            except OSError as error:
                self._note(pid, error)
                continue
            # As stat.parse() does it, without the named tuples' own ways of being made: they
            # are a quarter of the time.
            end = raw.rindex(b")")
            f = raw[end + 2 :].split(None, 22)
            name = names.get(raw[raw.index(b"(") + 1 : end]) or self._name(raw)
            start = int(f[19])
            rows[pid] = make(
                Proc,
                (
                    make(Identity, (boot_id, pid, inode, pidns, start)),
                    pid,
                    int(f[1]),
                    int(f[2]),
                    int(f[3]),
                    int(f[4]),
                    f[0].decode("ascii"),
                    name,
                    boot_wall + start / clock,
                    int(f[11]) / clock,
                    int(f[12]) / clock,
                    int(f[21]) * page,
                    int(f[17]),
                    None,
                    uid,
                    int(f[6]) & kthread != 0,
                    1,
                ),
            )
        return rows

    def _name(self, raw: bytes) -> str:
        """Crowds are called alike."""
        name = raw[raw.index(b"(") + 1 : raw.rindex(b")")]
        self._names[name] = text.decode(name)
        return self._names[name]

    def _note(self, pid: int, error: OSError) -> None:
        if error.errno in (errno.EACCES, errno.EPERM):
            self.hidden.add(pid)
        elif error.errno in (errno.EMFILE, errno.ENFILE):
            raise NotSupported("no descriptor is left to look at a process") from error

    def close(self) -> None:
        os.close(self._folder)


def _info(row: Proc) -> ProcInfo | None:
    pid, uid = row.pid, row.uid
    try:
        if uid is None:
            uid = os.stat(f"/proc/{pid}").st_uid
        argv = facts.read_bytes(f"/proc/{pid}/cmdline")
        info = facts.read_info("/proc", row.identity, uid, argv)
        return info if identities.identify(pid).same(row.identity) else None
    except (ProctuiError, OSError):
        return None
