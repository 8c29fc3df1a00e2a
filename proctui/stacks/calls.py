"""What a sleeping thread waits for, from its system call and arguments, in words.

The meaning of each argument is that of the call's manual page.  The words
never say "lock" unless a lock is waited for: people search them for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proctui.stacks import descriptors, fdcalls, kernel, namespaces, syscalls
from proctui.stacks.kernel import ThreadLook
from proctui.stacks.wording import Wait, at_most, in_kernel, int32, sleeping, timespec

__all__ = ["Wait", "interpret"]

FUTEX_PRIVATE = 128
FUTEX_CLOCK_REALTIME = 256
FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_LOCK_PI2 = 0, 6, 13
TIMER_ABSTIME = 1
CLONE_VFORK = 0x4000
P_PID, P_PIDFD = 1, 3
_TELLING_IN_D = frozenset({"vfork", "clone", "clone3", "flock", "fcntl"})
_Handler = Callable[[ThreadLook, tuple[int, ...]], Wait]

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


def interpret(thread: ThreadLook, *, compat: bool = False) -> Wait:
    """The wait of a thread as its kernel state tells it; reads links and memory, opens nothing."""
    state = thread.state
    if state == "Z" or state == "X":
        return Wait("zombie", _STATES[state])
    if state in "Tt":
        return Wait("stopped", _STATES[state])
    if thread.wchan in kernel.FREEZERS:
        return Wait("frozen", "frozen with its control group, as a paused container is")
    if state == "R" or thread.on_cpu:
        return Wait("running", "running" if state == "R" else "runnable")
    call = thread.call
    name = None if call is None or compat else syscalls.name_of(call.number)
    if call is None or name is None:
        return _unnamed(thread)
    if state == "D" and name not in _TELLING_IN_D:
        shown = "sleep" if name == "clock_nanosleep" else name
        return Wait("disk", f"{_STATES['D']} in {shown}{in_kernel(thread)}")
    handler = _HANDLERS.get(name)
    if handler is None:
        return Wait("unknown", f"in {name}{in_kernel(thread)}")
    return handler(thread, call.args)


def _unnamed(thread: ThreadLook) -> Wait:
    if thread.state == "D":
        return Wait("disk", f"{_STATES['D']}{in_kernel(thread)}")
    if thread.state == "I":
        return Wait("unknown", _STATES["I"])
    if thread.denied:
        return Wait("unknown", "sleeping; what for may not be read")
    if thread.call is not None and thread.call.number >= 0:
        return Wait("unknown", f"in system call {thread.call.number}{in_kernel(thread)}")
    return Wait("unknown", f"sleeping{in_kernel(thread)}")


def _futex(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    address, operation, timeout = args[0], int32(args[1]), args[3]
    command = operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)
    timed = bool(timeout)
    seconds = None
    if timed and command == FUTEX_WAIT:
        seconds = timespec(thread.pid, timeout)
    elif timed:
        until = timespec(thread.pid, timeout)
        clock = (
            time.time()
            if operation & FUTEX_CLOCK_REALTIME or command == FUTEX_LOCK_PI
            else time.monotonic()
        )
        seconds = None if until is None else max(0.0, until - clock)
    kind = "pi-mutex" if command in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2) else "futex"
    word = "a priority-inheriting mutex" if kind == "pi-mutex" else "a futex"
    scope = "" if operation & FUTEX_PRIVATE else " that other processes may share"
    words = f"waiting on {word}{scope} {at_most(timed, seconds)}"
    return Wait(kind, words, timed, target=address, seconds=seconds)


def _futex_wait(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    timed = bool(args[4])
    return Wait("futex", f"waiting on a futex {at_most(timed, None)}", timed, target=args[0])


def _futex_waitv(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait(
        "unknown", f"waiting on several futexes {at_most(bool(args[3]), None)}", bool(args[3])
    )


def _nanosleep(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    seconds = timespec(thread.pid, args[0])
    return Wait("sleep", sleeping(seconds), timed=True, seconds=seconds)


def _clock_nanosleep(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    seconds = timespec(thread.pid, args[2])
    if seconds is not None and args[1] & TIMER_ABSTIME:
        try:
            seconds = max(0.0, seconds - time.clock_gettime(int32(args[0])))
        except OSError:
            seconds = None
    return Wait("sleep", sleeping(seconds), timed=True, seconds=seconds)


def _restart(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    # Only sleeps and waits with a time limit are restarted this way (restart_syscall(2)).
    return Wait("restarted", "in a timed wait that was interrupted and resumed", timed=True)


def _wait4(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    child = int32(args[0])
    if child > 0:
        return _exit_of(namespaces.child_of(thread.pid, child))
    if child == -1:
        return Wait("exit", "waiting for any child to exit", target=-1)
    return Wait("exit", f"waiting for a child of group {-child or 'its own'} to exit", target=-1)


def _exit_of(child: int | None) -> Wait:
    if child is None:
        return Wait("exit", "waiting for the exit of a child that was not found", target=-1)
    return Wait("exit", f"waiting for the exit of {child}", target=child)


def _waitid(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    kind, number = int32(args[0]), int32(args[1])
    if kind == P_PIDFD:
        # The kernel tells the number by which the reader knows the process.
        named = descriptors.fdinfo_field(thread.pid, number, "Pid")
        return _exit_of(int(named) if named and named.isdigit() else None)
    if kind == P_PID:
        return _exit_of(namespaces.child_of(thread.pid, number))
    return Wait("exit", "waiting for any child to exit", target=-1)


def _signal(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait("signal", "waiting for a signal without a time limit")


def _sigtimedwait(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    timed, seconds = bool(args[2]), timespec(thread.pid, args[2])
    return Wait("signal", f"waiting for a signal {at_most(timed, seconds)}", timed, seconds=seconds)


def _where(thread: ThreadLook) -> str:
    return f"{_STATES['D']} " if thread.state == "D" else ""


def _vfork(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return Wait(
        "vfork", f"{_where(thread)}in vfork: waiting for its child to run a program or to exit"
    )


def _clone(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    if args[0] & CLONE_VFORK:
        return _vfork(thread, args)
    return Wait("disk", f"starting a child{in_kernel(thread)}")


def _clone3(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    raw = kernel.read_memory(thread.pid, args[0], 8)
    flags = int.from_bytes(raw or b"", "little")
    return _clone(thread, (flags,))


def _timed_at(index: int, words: str) -> _Handler:
    """A call whose time limit is the pointer at ``index`` and whose waker is not looked for."""

    def handler(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
        timed = bool(args[index])
        return Wait("unknown", f"{words} {at_most(timed, None)}", timed)

    return handler


def _untimed(words: str) -> _Handler:
    return lambda thread, args: Wait("unknown", words)


_HANDLERS: dict[str, _Handler] = {
    **fdcalls.HANDLERS,
    "futex": _futex,
    "futex_wait": _futex_wait,
    "futex_waitv": _futex_waitv,
    "nanosleep": _nanosleep,
    "clock_nanosleep": _clock_nanosleep,
    "restart_syscall": _restart,
    "wait4": _wait4,
    "waitid": _waitid,
    "pause": _signal,
    "rt_sigsuspend": _signal,
    "rt_sigtimedwait": _sigtimedwait,
    "vfork": _vfork,
    "clone": _clone,
    "clone3": _clone3,
    "fork": _untimed("starting a child"),
    "semop": _untimed("waiting on a System V semaphore without a time limit"),
    "semtimedop": _timed_at(3, "waiting on a System V semaphore"),
    "msgsnd": _untimed("sending to a System V message queue that is full"),
    "msgrcv": _untimed("receiving from a System V message queue"),
    "mq_timedsend": _timed_at(4, "sending to a POSIX message queue that is full"),
    "mq_timedreceive": _timed_at(4, "receiving from a POSIX message queue"),
    "io_getevents": _timed_at(4, "waiting for asynchronous I/O"),
    "io_pgetevents": _timed_at(4, "waiting for asynchronous I/O"),
    "io_uring_enter": _untimed("waiting for io_uring"),
}
