"""System call numbers as ``/proc/PID/syscall`` prints them, by machine.

Numbers are the kernel's ABI and never change: ``arch/x86/entry/syscalls/syscall_64.tbl``
and ``include/uapi/asm-generic/unistd.h`` (aarch64, riscv64).  Only the calls a
thread may sleep in stand here.
"""

from __future__ import annotations

import os

__all__ = ["name_of", "table"]

_X86_64 = {
    0: "read", 1: "write", 7: "poll", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev",
    23: "select", 34: "pause", 35: "nanosleep", 40: "sendfile", 42: "connect", 43: "accept",
    44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 56: "clone", 57: "fork",
    58: "vfork", 61: "wait4", 65: "semop", 69: "msgsnd", 70: "msgrcv", 72: "fcntl", 73: "flock",
    74: "fsync", 75: "fdatasync", 128: "rt_sigtimedwait", 130: "rt_sigsuspend", 162: "sync",
    202: "futex", 208: "io_getevents", 219: "restart_syscall", 220: "semtimedop",
    230: "clock_nanosleep", 232: "epoll_wait", 242: "mq_timedsend", 243: "mq_timedreceive",
    247: "waitid", 257: "openat", 2: "open", 270: "pselect6", 271: "ppoll", 275: "splice",
    276: "tee", 278: "vmsplice", 281: "epoll_pwait", 288: "accept4", 295: "preadv",
    296: "pwritev", 299: "recvmmsg", 307: "sendmmsg", 333: "io_pgetevents", 426: "io_uring_enter",
    435: "clone3", 437: "openat2", 441: "epoll_pwait2", 449: "futex_waitv", 455: "futex_wait",
    5: "fstat", 6: "lstat", 4: "stat", 262: "newfstatat", 332: "statx", 217: "getdents64",
    101: "ptrace", 318: "getrandom",
}  # fmt: skip

_GENERIC = {
    63: "read", 64: "write", 67: "pread64", 68: "pwrite64", 65: "readv", 66: "writev",
    101: "nanosleep", 71: "sendfile", 203: "connect", 202: "accept", 206: "sendto",
    207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 220: "clone", 260: "wait4", 193: "semop",
    189: "msgsnd", 188: "msgrcv", 25: "fcntl", 32: "flock", 82: "fsync", 83: "fdatasync",
    137: "rt_sigtimedwait", 133: "rt_sigsuspend", 81: "sync", 98: "futex", 4: "io_getevents",
    128: "restart_syscall", 192: "semtimedop", 115: "clock_nanosleep", 182: "mq_timedsend",
    183: "mq_timedreceive", 95: "waitid", 56: "openat", 72: "pselect6", 73: "ppoll", 76: "splice",
    77: "tee", 75: "vmsplice", 22: "epoll_pwait", 242: "accept4", 69: "preadv", 70: "pwritev",
    243: "recvmmsg", 269: "sendmmsg", 292: "io_pgetevents", 426: "io_uring_enter", 435: "clone3",
    437: "openat2", 441: "epoll_pwait2", 449: "futex_waitv", 455: "futex_wait", 80: "fstat",
    79: "newfstatat", 291: "statx", 61: "getdents64", 117: "ptrace", 278: "getrandom",
}  # fmt: skip

_TABLES = {"x86_64": _X86_64, "aarch64": _GENERIC, "riscv64": _GENERIC}
_EMPTY: dict[int, str] = {}


def table(machine: str | None = None) -> dict[int, str]:
    """Number → name for a machine (default: this one); empty where none is known."""
    return _TABLES.get(machine or os.uname().machine, _EMPTY)


def name_of(number: int, machine: str | None = None) -> str | None:
    """The call's name, ``None`` where this table does not know it."""
    return table(machine).get(number)
