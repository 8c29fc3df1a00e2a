"""Which process, for good: pidfs inodes where the kernel has them, else start times.

A pid is a number the kernel hands out again.  Since Linux 6.9 a pidfd is a
file of pidfs whose inode is unique for one boot (pidfd_open(2)); older
kernels leave the start time, which two processes with the same pid can share.
"""

from __future__ import annotations

import errno
import functools
import os
import select

from proctui.errors import AccessDenied, BadArgument, NoSuchProcess, NotSupported, check_pid
from proctui.ident import Identity
from proctui.machine import stat

__all__ = ["alive", "boot_id", "has_pidfs", "identify", "own", "parse_target", "pidns", "pin"]

_NO_PIDFD = (errno.ENOSYS, errno.EPERM)


@functools.cache
def boot_id() -> str:
    """The kernel's random id of this boot (proc_sys_kernel(5)); elsewhere the boot time."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return f"boot-{int(psutil.boot_time())}"


def pidns() -> int | None:
    """Inode of our pid namespace (pid_namespaces(7)), ``None`` where there is none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def has_pidfs() -> bool:
    """Whether pidfd inodes identify processes here (Linux ≥ 6.9)."""
    return _pidfs_device() is not None


@functools.cache
def _pidfs_device() -> int | None:
    """The device number of pidfs, ``None`` where a pidfd is one of the anonymous inodes.

    These all live on one internal device, epoll's among them; pidfs has its
    own (fs/pidfs.c).  The magic of statfs(2) would say the same, but asking
    for it takes ctypes, which costs a command line more than all its work.
    """
    try:
        pidfd = os.pidfd_open(os.getpid())
    except (AttributeError, OSError):
        return None
    try:
        device = os.fstat(pidfd).st_dev
        with select.epoll() as anonymous:
            return device if device != os.fstat(anonymous.fileno()).st_dev else None
    except OSError:
        return None
    finally:
        os.close(pidfd)


def inode_of(pidfd: int) -> int | None:
    """The pidfs inode behind a pidfd, ``None`` where the kernel has no pidfs."""
    if not has_pidfs():
        return None
    return os.fstat(pidfd).st_ino


def pin(pid: int) -> tuple[int, Identity]:
    """Return an open pidfd and the identity of exactly the process it pins; close it yourself.

    Raises :class:`NoSuchProcess` (for a thread's id too) and
    :class:`NotSupported` where there are no pidfds.
    """
    check_pid(pid)
    if not hasattr(os, "pidfd_open"):
        raise NotSupported("this system has no pidfds", "they need Linux 5.3 or later")
    return _pin(pid)


def _pin(pid: int) -> tuple[int, Identity]:
    # Whoever answers a read of a stat file that was opened *before* the pidfd has held
    # the number all along (a dead process answers ESRCH), so the pidfd is his.
    # An unreaped zombie still answers; polling the pidfd would not tell it apart.
    try:
        stat_fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise NotSupported("no descriptor is left to look at a process") from error
        stat_fd = -1
    try:
        pidfd = _open_pidfd(pid)
        try:
            ticks = None
            if stat_fd >= 0:
                ticks = stat.start_ticks(os.pread(stat_fd, 1024, 0))
            inode = inode_of(pidfd)
            if inode is None and ticks is None:
                raise AccessDenied(
                    f"process {pid} is hidden from us, so it can't be identified",
                    "/proc may be mounted with hidepid",
                )
            return pidfd, Identity(boot_id(), pid, inode, pidns(), ticks)
        except ProcessLookupError as error:
            os.close(pidfd)
            raise NoSuchProcess(f"no process {pid}") from error
        except BaseException:
            os.close(pidfd)
            raise
    finally:
        if stat_fd >= 0:
            os.close(stat_fd)


def _open_pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _NO_PIDFD:
            raise NotSupported(
                "pidfds are blocked here", "a seccomp filter or a kernel before 5.3 refuses them"
            ) from error
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise NotSupported("no descriptor is left to look at a process") from error
        # A thread's id is EINVAL, since Linux 6.15 ENOENT.
        raise NoSuchProcess(f"no process {pid}") from error


def identify(pid: int) -> Identity:
    """The identity of the process that has ``pid`` now.

    Raises :class:`NoSuchProcess`, for a thread's id too.
    """
    check_pid(pid)
    if hasattr(os, "pidfd_open"):
        try:
            pidfd, identity = _pin(pid)
        except NotSupported:
            return _identify_by_start(pid)
        os.close(pidfd)
        return identity
    return _identify_by_start(pid)


def _identify_by_start(pid: int) -> Identity:
    if not os.access("/proc/self", os.F_OK):
        return _identify_portably(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = stat.start_ticks(file.read(1024))
        with open(f"/proc/{pid}/status", "rb") as file:
            if b"\nTgid:\t%d\n" % pid not in file.read(4096):
                raise NoSuchProcess(f"no process {pid}: this is a thread's id")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NoSuchProcess(f"no process {pid}") from error
    return Identity(boot_id(), pid, None, pidns(), ticks)


def _identify_portably(pid: int) -> Identity:
    import psutil

    try:
        hundredths = round(psutil.Process(pid).create_time() * 100)
    except psutil.NoSuchProcess as error:
        raise NoSuchProcess(f"no process {pid}") from error
    except psutil.AccessDenied as error:
        raise AccessDenied(f"process {pid} can't be identified") from error
    return Identity(boot_id(), pid, None, None, hundredths)


def own() -> Identity:
    """The identity of this very process (not cached: a fork is another one)."""
    return identify(os.getpid())


def alive(identity: Identity) -> bool:
    """Whether exactly this process still runs; an unreaped zombie does not.

    A zombie leader whose threads still run is alive.
    """
    if identity.boot_id != boot_id():
        return False
    try:
        if not hasattr(os, "pidfd_open"):
            return identify(identity.pid).same(identity)
        pidfd, now = _pin(identity.pid)
    except (NoSuchProcess, AccessDenied):
        return False
    except NotSupported:
        return _alive_by_start(identity)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return now.same(identity) and not poller.poll(0)
    finally:
        os.close(pidfd)


def _alive_by_start(identity: Identity) -> bool:
    try:
        if not _identify_by_start(identity.pid).same(identity):
            return False
        with open(f"/proc/{identity.pid}/stat", "rb") as file:
            line = stat.parse(file.read(1024))
    except (NoSuchProcess, OSError):
        return False
    return line.state not in "ZX" or line.threads > 1


def parse_target(text: str) -> tuple[int, Identity | None]:
    """Parse ``123``, ``123:INODE`` or ``123@TICKS`` as the command line takes them.

    The identity is ``None`` for a bare pid.  Raises :class:`BadArgument`.
    """
    import re  # a look at one process needs none, and shall start at once

    match = re.fullmatch(r"([0-9]{1,10})(?:([:@])([0-9]{1,20}))?", text, re.ASCII)
    if match is None:
        raise BadArgument(
            f"{text[:80]!r} is no process: it must be a PID, PID:INODE or PID@TICKS",
            "`proctui tree` shows pids, `proctui inspect PID --json` the whole identity",
        )
    pid = check_pid(int(match[1]))
    if match[2] is None:
        return pid, None
    number = int(match[3])
    inode, ticks = (number, None) if match[2] == ":" else (None, number)
    return pid, Identity(boot_id(), pid, inode, pidns(), ticks)
