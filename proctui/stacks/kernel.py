"""What the kernel says about a thread, read without stopping it.

Everything here is a plain read below ``/proc`` (proc(5)); nothing attaches.
``wchan`` and ``syscall`` are gated by ``PTRACE_MODE_READ``/``ATTACH``: where
they are denied they are ``None``, and a ``wchan`` that reads ``0`` says
nothing at all (a running thread and a denied one look the same).
"""

from __future__ import annotations

import os

from proctui.errors import NoSuchProcess, NotSupported
from proctui.machine import stat
from proctui.machine.stat import PF_KTHREAD
from proctui.stacks import syscalls
from proctui.text import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = [
    "Call",
    "ProcessLook",
    "Signals",
    "ThreadLook",
    "look",
    "look_thread",
    "need",
    "read_memory",
    "read_string",
    "signals_of",
    "switches",
    "thread_ids",
    "wchan_of",
    "word_size",
]

SIGNAL_LAST = 64
_PAGE = os.sysconf("SC_PAGESIZE")
FREEZERS = frozenset({"do_freezer_trap", "get_signal", "__refrigerator"})
"""Where a thread sleeps whose control group is frozen (cgroups(7), the second version and the first)."""


_NEEDS_WCHAN = frozenset({"open", "openat", "openat2", "fcntl", "clone", "clone3"})
_TELLING = frozenset(n for n, name in syscalls.table().items() if name not in _NEEDS_WCHAN)


class Call(NamedTuple):
    """A system call a thread sleeps in; ``number`` is -1 where it sleeps in none."""

    number: int
    args: tuple[int, ...]


class ThreadLook(NamedTuple):
    """One thread at one moment.

    ``cpu`` is user plus system time in clock ticks.  ``call`` is ``None``
    where it could not be read *or* the thread was on a CPU (``on_cpu``).
    """

    pid: int
    tid: int
    name: str
    state: str
    cpu: int
    wchan: str | None
    call: Call | None
    on_cpu: bool
    denied: bool
    low: bool = False
    """Its program counter lies below 4 GiB."""

    @property
    def place(self) -> tuple[object, ...]:
        """What stays the same while a thread sleeps on."""
        return (self.tid, self.state, self.call, self.cpu)


class ProcessLook(NamedTuple):
    """A process and its threads, main thread first."""

    pid: int
    ppid: int
    name: str
    state: str
    flags: int
    threads: tuple[ThreadLook, ...]
    compat: bool
    """A 32-bit program on a 64-bit kernel: its system call numbers are others."""

    @property
    def kernel(self) -> bool:
        return bool(self.flags & PF_KTHREAD)


class Signals(NamedTuple):
    """Masks of ``/proc/PID/status`` as sets of signal numbers; ``tracer`` 0 is none."""

    pending: frozenset[int]
    caught: frozenset[int]
    tracer: int
    uid: int

    @property
    def stopping(self) -> bool:
        """Whether a SIGSTOP waits to stop it."""
        if not self.pending:
            return False
        import signal  # whose enums take longer to make than a process to be looked at

        return signal.SIGSTOP in self.pending


def _read(path: str, size: int = 4096) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def _try(path: str) -> tuple[bytes | None, bool]:
    """The file's first page, and whether it was denied."""
    try:
        return _read(path), False
    except PermissionError:
        return None, True
    except OSError:
        return None, False


def thread_ids(pid: int) -> list[int]:
    """Thread ids of a process, main first; :class:`NoSuchProcess` where it is gone."""
    try:
        return sorted(
            (int(name) for name in os.listdir(f"/proc/{pid}/task")), key=lambda t: (t != pid, t)
        )
    except OSError as error:
        raise NoSuchProcess(
            f"no process {pid}", "it may have ended; list them with `proctui tree`"
        ) from error


def _parse_call(raw: bytes) -> tuple[Call | None, bool, bool]:
    """The call, whether the thread was on a CPU, whether its program counter is low."""
    fields = raw.split()
    if not fields:
        return None, False, False
    if fields[0] == b"running":
        return None, True, False
    number = int(fields[0])
    low = int(fields[-1], 16) < 1 << 32
    if number < 0:
        return Call(-1, ()), False, low
    return Call(number, tuple([int(word, 16) for word in fields[1:7]])), False, low


def look_thread(pid: int, tid: int, *, gated: bool = True) -> ThreadLook:
    """Look at one thread; ``gated=False`` leaves out what needs more than ``stat``."""
    base = f"/proc/{pid}/task/{tid}"
    try:
        line = stat.parse(_read(f"{base}/stat"))
    except (OSError, ValueError) as error:
        raise NoSuchProcess(f"thread {tid} of {pid} is gone") from error
    state, cpu = line.state, line.utime + line.stime
    wchan: str | None = None
    call: Call | None = None
    on_cpu = denied = low = False
    if gated and state != "Z":
        raw, denied = _try(f"{base}/syscall")
        if raw is not None:
            call, on_cpu, low = _parse_call(raw)
        # Where the call tells all there is to know, one read less.
        if state == "D" or call is None or call.number not in _TELLING:
            raw, wchan_denied = _try(f"{base}/wchan")
            denied = denied or wchan_denied
            if raw and raw != b"0":
                wchan = decode(raw)
    return ThreadLook(pid, tid, decode(line.name), state, cpu, wchan, call, on_cpu, denied, low)


def wchan_of(pid: int, tid: int) -> str | None:
    """The kernel function a thread sleeps in; ``None`` where it tells nothing."""
    raw, _ = _try(f"/proc/{pid}/task/{tid}/wchan")
    return decode(raw) if raw and raw != b"0" else None


def look(pid: int, *, gated: bool = True) -> ProcessLook:
    """Look at a process and every thread of it.

    Threads that end while we look are left out.  Raises :class:`NoSuchProcess`
    where it is gone.  ``/proc/TID`` opens for a thread too: callers prove with
    :func:`proctui.machine.identity.identify` that the number is a process's.
    """
    tids = thread_ids(pid)
    head = glance(pid)
    threads = []
    for tid in tids:
        try:
            threads.append(look_thread(pid, tid, gated=gated and not head.kernel))
        except NoSuchProcess:
            continue
    threads = _frozen(threads)
    # A 32-bit program's addresses lie below 4 GiB: only then its executable is asked.
    low = any(thread.call is not None and thread.low for thread in threads)
    compat = low and word_size(pid) == 4
    return head._replace(threads=tuple(threads), compat=compat)


def _frozen(threads: list[ThreadLook]) -> list[ThreadLook]:
    """A frozen thread shows the system call that it was taken out of: only its wchan tells."""
    first = next((one for one in threads if one.state not in "ZX" and one.call is not None), None)
    if first is None or (first.wchan or wchan_of(first.pid, first.tid)) not in FREEZERS:
        return threads
    return [one._replace(wchan=wchan_of(one.pid, one.tid)) for one in threads]


def available() -> bool:
    """Whether this system has a Linux ``/proc``."""
    return os.access("/proc/self/task", os.F_OK)


def need() -> None:
    """Raise :class:`NotSupported` where there is no Linux ``/proc`` to read waits from."""
    if not available():
        raise NotSupported("who waits for whom is read from Linux's /proc", "there is none here")


def glance(pid: int) -> ProcessLook:
    """State, name and flags alone, no threads: one read.  Raises :class:`NoSuchProcess`."""
    try:
        line = stat.parse(_read(f"/proc/{pid}/stat"))
    except (OSError, ValueError) as error:
        raise NoSuchProcess(f"no process {pid}", "`proctui tree` lists them") from error
    return ProcessLook(pid, line.ppid, decode(line.name), line.state, line.flags, (), False)


def word_size(pid: int) -> int | None:
    """4 or 8, from the executable's ELF class (elf(5)); ``None`` where it can't be read."""
    try:
        head = _read(f"/proc/{pid}/exe", 5)
    except OSError:
        return None
    return {1: 4, 2: 8}.get(head[4]) if head[:4] == b"\x7fELF" and len(head) > 4 else None


def _mask(word: str) -> frozenset[int]:
    bits = int(word, 16)
    return (
        frozenset(n for n in range(1, SIGNAL_LAST + 1) if bits >> (n - 1) & 1)
        if bits
        else frozenset()
    )


def signals_of(pid: int) -> Signals | None:
    """Pending (thread's and process's) and caught signals, the tracer and the real uid."""
    try:
        raw = _read(f"/proc/{pid}/status", 8192)
    except OSError:
        return None

    def field(name: bytes) -> str:
        start = raw.index(b"\n" + name + b":") + len(name) + 2
        return raw[start : raw.index(b"\n", start)].decode("ascii", "replace")

    try:
        return Signals(
            _mask(field(b"SigPnd")) | _mask(field(b"ShdPnd")),
            _mask(field(b"SigCgt")),
            int(field(b"TracerPid")),
            int(field(b"Uid").split()[0]),
        )
    except (IndexError, ValueError):
        return None


def switches(pid: int, tid: int) -> int | None:
    """Context switches of a thread so far: unchanged means that it did not run in between.

    They are counted when it gives up the CPU, so one that runs now has no
    count: ``None``, as where it can't be read.
    """
    raw, _ = _try(f"/proc/{pid}/task/{tid}/status")
    if raw is None:
        return None
    total = 0
    for line in raw.splitlines():
        if line.startswith(b"State:") and b"R" in line[6:9]:
            return None
        if line.startswith((b"voluntary_ctxt_switches:", b"nonvoluntary_ctxt_switches:")):
            total += int(line.rsplit(b":", 1)[1])
    return total


def may_attach(pid: int) -> bool:
    """Whether we may trace a process: its memory opens to the same (PTRACE_MODE_ATTACH, ptrace(2))."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def read_string(pid: int, address: int) -> str | None:
    """A C string of a process's memory, at most to the end of the next page; ``None`` if denied."""
    raw = b""
    for _ in range(2):
        part = read_memory(pid, address + len(raw), _PAGE - (address + len(raw)) % _PAGE)
        raw += part or b""
        if part is None or b"\0" in part:
            break
    text, end, _ = raw.partition(b"\0")
    return decode(text) if end else None


def read_memory(pid: int, address: int, size: int) -> bytes | None:
    """Bytes of a process's memory (``/proc/PID/mem``), read without attaching; ``None`` if denied."""
    try:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.pread(fd, size, address)
    except (OSError, OverflowError):
        return None
    finally:
        os.close(fd)
    return data if len(data) == size else None
