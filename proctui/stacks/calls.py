"""What a sleeping thread waits for, from its system call and arguments, in words.

The meaning of each argument is that of the call's manual page.  The words
never say "lock" unless a lock is waited for: people search them for it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from proctui.stacks import descriptors, kernel, syscalls
from proctui.stacks.descriptors import Descriptor
from proctui.stacks.kernel import ThreadLook
from proctui.units import human_seconds

__all__ = ["Wait", "interpret", "name_descriptor"]

FUTEX_PRIVATE = 128
FUTEX_CLOCK_REALTIME = 256
FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2 = (
    0,
    6,
    9,
    11,
    13,
)
TIMER_ABSTIME = 1
CLONE_VFORK = 0x4000
F_SETLKW, F_SETLKW64, F_OFD_SETLKW = 7, 14, 38
P_PID, P_PGID, P_PIDFD = 1, 2, 3
_POLL_MOST = 4096
_Handler = Callable[[ThreadLook, tuple[int, ...]], "Wait"]

_STATES = {
    "R": "running",
    "D": "in an uninterruptible sleep",
    "T": "stopped by a signal",
    "t": "stopped by a tracer",
    "Z": "ended, not yet reaped by its parent",
    "X": "ended",
    "I": "an idle kernel thread",
    "P": "parked",
}


class Wait(NamedTuple):
    """One thread's wait.

    ``kind``: running, exit, read, write, receive, send, accept, connect,
    futex, pi-mutex, poll, sleep, signal, file-lock, vfork, fifo-open,
    stopped, zombie, disk or unknown.  ``timed``: the kernel ends it by
    itself after a time.  ``fds`` are what it watches, ``target`` a child's
    pid, a process group (negative) or a futex address, -1 for any child.
    """

    kind: str
    words: str
    timed: bool = False
    fds: tuple[Descriptor, ...] = ()
    target: int | None = None
    seconds: float | None = None


def interpret(thread: ThreadLook, *, compat: bool = False) -> Wait:
    """The wait of a thread as its kernel state tells it; reads links and memory, opens nothing."""
    state = thread.state
    if state == "Z" or state == "X":
        return Wait("zombie", _STATES[state])
    if state in "Tt":
        return Wait("stopped", _STATES[state])
    if state == "R" or thread.on_cpu:
        return Wait("running", "running" if state == "R" else "runnable")
    call = thread.call
    name = None if call is None or compat else syscalls.name_of(call.number)
    if call is None or name is None:
        return _unnamed(thread)
    if state == "D" and name not in ("vfork", "clone", "clone3"):
        return Wait("disk", f"{_STATES['D']} in {name}{_in_kernel(thread)}")
    handler = _HANDLERS.get(name)
    if handler is None:
        return Wait("unknown", f"in {name}{_in_kernel(thread)}")
    return handler(thread, call.args)


def _in_kernel(thread: ThreadLook) -> str:
    return f", kernel function {thread.wchan}" if thread.wchan else ""


def _unnamed(thread: ThreadLook) -> Wait:
    if thread.state == "D":
        return Wait("disk", f"{_STATES['D']}{_in_kernel(thread)}")
    if thread.state == "I":
        return Wait("unknown", _STATES["I"])
    if thread.denied:
        return Wait("unknown", "sleeping; what for may not be read")
    if thread.call is not None and thread.call.number >= 0:
        return Wait("unknown", f"in system call {thread.call.number}{_in_kernel(thread)}")
    return Wait("unknown", f"sleeping{_in_kernel(thread)}")


def _int(word: int) -> int:
    """The low 32 bits as the C ``int`` they are."""
    return struct.unpack("i", struct.pack("I", word & 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def _timespec(pid: int, address: int, *, micro: bool = False) -> float | None:
    raw = kernel.read_memory(pid, address, 16) if address else None
    if raw is None:
        return None
    seconds, part = struct.unpack("qq", raw)
    return int(seconds) + int(part) / (1e6 if micro else 1e9)


def _at_most(timed: bool, seconds: float | None) -> str:
    if not timed:
        return "without a time limit"
    return f"for at most {human_seconds(seconds)}" if seconds is not None else "with a time limit"


def _one(thread: ThreadLook, fd: int) -> tuple[tuple[Descriptor, ...], str]:
    found = descriptors.descriptor(thread.pid, fd)
    if found is None:
        return (), f"descriptor {fd}"
    return (found,), name_descriptor(found)


def name_descriptor(found: Descriptor) -> str:
    """How a descriptor is called in a sentence."""
    kind = found.kind
    if kind == "pipe":
        return found.target
    if kind == "fifo":
        return f"FIFO {found.path}"
    if kind == "tty":
        return f"the terminal {found.path}"
    if kind == "socket":
        from proctui.stacks import sockets

        return sockets.name_socket(found)
    return found.path if kind in ("file", "device") else f"{kind} (descriptor {found.fd})"


def _read(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    kind = fds[0].kind if fds else ""
    if kind == "socket":
        return Wait("receive", f"receiving from {name}", fds=fds)
    if kind == "timerfd":
        return Wait("sleep", "waiting for a timer", timed=True, fds=fds)
    if kind == "signalfd":
        return Wait("signal", "waiting for a signal", fds=fds)
    return Wait("read", f"reading {name}", fds=fds)


def _write(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    kind = fds[0].kind if fds else ""
    if kind == "socket":
        return Wait("send", f"sending to {name}, whose buffer is full", fds=fds)
    full = ", which is full" if kind in ("pipe", "fifo") else ""
    return Wait("write", f"writing to {name}{full}", fds=fds)


def _receive(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    return Wait("receive", f"receiving from {name}", fds=fds)


def _recvmmsg(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    wait = _receive(thread, args)
    return wait._replace(timed=bool(args[4]))


def _send(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    return Wait("send", f"sending to {name}, whose buffer is full", fds=fds)


def _accept(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    return Wait("accept", f"waiting for a connection on {name}", fds=fds)


def _connect(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    return Wait("connect", f"connecting {name}", timed=True, fds=fds)


def _futex(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    address, operation, timeout = args[0], _int(args[1]), args[3]
    command = operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)
    timed = bool(timeout)
    seconds = None
    if timed and command == FUTEX_WAIT:
        seconds = _timespec(thread.pid, timeout)
    elif timed:
        until = _timespec(thread.pid, timeout)
        clock = (
            time.time()
            if operation & FUTEX_CLOCK_REALTIME or command == FUTEX_LOCK_PI
            else time.monotonic()
        )
        seconds = None if until is None else max(0.0, until - clock)
    kind = "pi-mutex" if command in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2) else "futex"
    word = "a priority-inheriting mutex" if kind == "pi-mutex" else "a futex"
    scope = "" if operation & FUTEX_PRIVATE else " that other processes may share"
    words = f"waiting on {word}{scope} {_at_most(timed, seconds)}"
    return Wait(kind, words, timed, target=address, seconds=seconds)


def _futex_wait(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    timed = bool(args[4])
    return Wait("futex", f"waiting on a futex {_at_most(timed, None)}", timed, target=args[0])


def _futex_waitv(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait(
        "unknown", f"waiting on several futexes {_at_most(bool(args[3]), None)}", bool(args[3])
    )


def _watch(
    thread: ThreadLook, fds: Iterable[int], how: str, timed: bool, seconds: float | None
) -> Wait:
    numbers = list(fds)
    found = [d for d in (descriptors.descriptor(thread.pid, fd) for fd in numbers) if d is not None]
    names = [name_descriptor(d) for d in found[:4]]
    if len(numbers) > len(names):
        names.append(
            f"{len(numbers) - len(names)} more" if names else f"{len(numbers)} descriptors"
        )
    what = ", ".join(names) if names else "nothing"
    return Wait(
        "poll", f"{how} on {what} {_at_most(timed, seconds)}", timed, tuple(found), seconds=seconds
    )


def _poll_fds(pid: int, address: int, count: int) -> list[int]:
    raw = kernel.read_memory(pid, address, 8 * min(count, _POLL_MOST)) if count else b""
    return [fd for fd, _, _ in struct.iter_unpack("ihh", raw or b"") if fd >= 0]


def _poll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    limit = _int(args[2])
    seconds = limit / 1000 if limit >= 0 else None
    return _watch(thread, _poll_fds(thread.pid, args[0], args[1]), "poll", limit >= 0, seconds)


def _ppoll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    seconds = _timespec(thread.pid, args[2])
    return _watch(thread, _poll_fds(thread.pid, args[0], args[1]), "poll", bool(args[2]), seconds)


def _select(thread: ThreadLook, args: tuple[int, ...], *, micro: bool = True) -> Wait:
    fds: set[int] = set()
    most = min(args[0], _POLL_MOST)
    size = (most + 7) // 8
    for address in args[1:4]:
        # The sets are overwritten with the result on return; in the sleep they still hold the question.
        raw = kernel.read_memory(thread.pid, address, size) if address and size else None
        bits = int.from_bytes(raw or b"", "little")
        fds.update(n for n in range(most) if bits >> n & 1)
    seconds = _timespec(thread.pid, args[4], micro=micro)
    if not fds and args[4]:
        return Wait("sleep", _sleeping(seconds), timed=True, seconds=seconds)
    return _watch(thread, sorted(fds), "select", bool(args[4]), seconds)


def _pselect(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return _select(thread, args, micro=False)


def _epoll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    limit = _int(args[3])
    seconds = limit / 1000 if limit >= 0 else None
    watched = descriptors.epoll_targets(thread.pid, _int(args[0]))
    return _watch(thread, watched, "epoll", limit >= 0, seconds)


def _epoll2(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    watched = descriptors.epoll_targets(thread.pid, _int(args[0]))
    return _watch(thread, watched, "epoll", bool(args[3]), _timespec(thread.pid, args[3]))


def _sleeping(seconds: float | None) -> str:
    return "sleeping" if seconds is None else f"sleeping, at most {human_seconds(seconds)} more"


def _nanosleep(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    seconds = _timespec(thread.pid, args[0])
    return Wait("sleep", _sleeping(seconds), timed=True, seconds=seconds)


def _clock_nanosleep(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    seconds = _timespec(thread.pid, args[2])
    if seconds is not None and args[1] & TIMER_ABSTIME:
        try:
            seconds = max(0.0, seconds - time.clock_gettime(_int(args[0])))
        except OSError:
            seconds = None
    return Wait("sleep", _sleeping(seconds), timed=True, seconds=seconds)


def _restart(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    # Only sleeps and waits with a time limit are restarted this way (restart_syscall(2)).
    return Wait("sleep", "in a timed wait that was interrupted and resumed", timed=True)


def _wait4(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    child = _int(args[0])
    if child > 0:
        return Wait("exit", f"waiting for the exit of {child}", target=child)
    if child == -1:
        return Wait("exit", "waiting for any child to exit", target=-1)
    return Wait("exit", f"waiting for a child of group {-child or 'its own'} to exit", target=-1)


def _waitid(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    kind, number = _int(args[0]), _int(args[1])
    if kind == P_PIDFD:
        named = descriptors.fdinfo_field(thread.pid, number, "Pid")
        number, kind = (int(named), P_PID) if named and named.isdigit() else (-1, 0)
    if kind == P_PID:
        return Wait("exit", f"waiting for the exit of {number}", target=number)
    return Wait("exit", "waiting for any child to exit", target=-1)


def _signal(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait("signal", "waiting for a signal without a time limit")


def _sigtimedwait(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    timed, seconds = bool(args[2]), _timespec(thread.pid, args[2])
    return Wait(
        "signal", f"waiting for a signal {_at_most(timed, seconds)}", timed, seconds=seconds
    )


def _fcntl(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    if _int(args[1]) in (F_SETLKW, F_SETLKW64, F_OFD_SETLKW):
        return Wait("file-lock", f"waiting for a file lock on {name}", fds=fds)
    return Wait("unknown", f"in fcntl on {name}{_in_kernel(thread)}", fds=fds)


def _flock(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, _int(args[0]))
    return Wait("file-lock", f"waiting for a file lock on {name}", fds=fds)


def _where(thread: ThreadLook) -> str:
    return f"{_STATES['D']} " if thread.state == "D" else ""


def _vfork(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait(
        "vfork", f"{_where(thread)}in vfork: waiting for its child to run a program or to exit"
    )


def _clone(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    if args[0] & CLONE_VFORK:
        return _vfork(thread, args)
    return Wait("disk", f"starting a child{_in_kernel(thread)}")


def _clone3(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    raw = kernel.read_memory(thread.pid, args[0], 8)
    flags = int.from_bytes(raw or b"", "little")
    return _clone(thread, (flags,))


def _open(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    if thread.wchan in ("fifo_open", "wait_for_partner"):
        return Wait("fifo-open", "opening a FIFO: waiting for its other end to be opened")
    return Wait("unknown", f"opening a file{_in_kernel(thread)}")


def _timed_at(index: int, words: str) -> _Handler:
    """A call whose time limit is the pointer at ``index`` and whose waker is not looked for."""

    def handler(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
        timed = bool(args[index])
        return Wait("unknown", f"{words} {_at_most(timed, None)}", timed)

    return handler


def _untimed(words: str) -> _Handler:
    return lambda thread, args: Wait("unknown", words)


_HANDLERS: dict[str, _Handler] = {
    "read": _read, "readv": _read, "pread64": _read, "preadv": _read,
    "write": _write, "writev": _write, "pwrite64": _write, "pwritev": _write, "sendfile": _write,
    "recvfrom": _receive, "recvmsg": _receive, "recvmmsg": _recvmmsg,
    "sendto": _send, "sendmsg": _send, "sendmmsg": _send,
    "accept": _accept, "accept4": _accept, "connect": _connect,
    "futex": _futex, "futex_wait": _futex_wait, "futex_waitv": _futex_waitv,
    "poll": _poll, "ppoll": _ppoll, "select": _select, "pselect6": _pselect,
    "epoll_wait": _epoll, "epoll_pwait": _epoll, "epoll_pwait2": _epoll2,
    "nanosleep": _nanosleep, "clock_nanosleep": _clock_nanosleep, "restart_syscall": _restart,
    "wait4": _wait4, "waitid": _waitid,
    "pause": _signal, "rt_sigsuspend": _signal, "rt_sigtimedwait": _sigtimedwait,
    "fcntl": _fcntl, "flock": _flock,
    "vfork": _vfork, "clone": _clone, "clone3": _clone3, "fork": _untimed("starting a child"),
    "open": _open, "openat": _open, "openat2": _open,
    "semop": _untimed("waiting on a System V semaphore without a time limit"),
    "semtimedop": _timed_at(3, "waiting on a System V semaphore"),
    "msgsnd": _untimed("sending to a System V message queue that is full"),
    "msgrcv": _untimed("receiving from a System V message queue"),
    "mq_timedsend": _timed_at(4, "sending to a POSIX message queue that is full"),
    "mq_timedreceive": _timed_at(4, "receiving from a POSIX message queue"),
    "io_getevents": _timed_at(4, "waiting for asynchronous I/O"),
    "io_pgetevents": _timed_at(4, "waiting for asynchronous I/O"),
    "io_uring_enter": _untimed("waiting for io_uring"),
}  # fmt: skip
