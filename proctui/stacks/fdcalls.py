"""Waits on descriptors: reads, writes, sockets, polls, file locks, opens."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

from proctui.stacks import descriptors, kernel
from proctui.stacks.descriptors import Descriptor
from proctui.stacks.kernel import ThreadLook
from proctui.stacks.wording import Wait, at_most, in_kernel, int32, sleeping, timespec

__all__ = ["HANDLERS", "name_descriptor"]

F_SETLKW, F_SETLKW64, F_OFD_SETLKW = 7, 14, 38
_POLL_MOST = 1 << 16
"""Descriptors of one poll that are looked at; of more, none is."""
_NAMED_MOST = 4


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
    fds, name = _one(thread, int32(args[0]))
    kind = fds[0].kind if fds else ""
    if kind == "socket":
        return Wait("receive", f"receiving from {name}", fds=fds)
    if kind == "timerfd":
        return Wait("sleep", "waiting for a timer", timed=True, fds=fds)
    if kind == "signalfd":
        return Wait("signal", "waiting for a signal", fds=fds)
    return Wait("read", f"reading {name}", fds=fds)


def _write(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    kind = fds[0].kind if fds else ""
    if kind == "socket":
        return Wait("send", f"sending to {name}, whose buffer is full", fds=fds)
    full = ", which is full" if kind in ("pipe", "fifo") else ""
    return Wait("write", f"writing to {name}{full}", fds=fds)


def _receive(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    return Wait("receive", f"receiving from {name}", fds=fds)


def _recvmmsg(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    wait = _receive(thread, args)
    return wait._replace(timed=bool(args[4]))


def _send(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    return Wait("send", f"sending to {name}, whose buffer is full", fds=fds)


def _accept(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    return Wait("accept", f"waiting for a connection on {name}", fds=fds)


def _connect(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    return Wait("connect", f"connecting {name}", timed=True, fds=fds)


def _watch(
    how: str, found: Sequence[Descriptor] | None, timed: bool, seconds: float | None
) -> Wait:
    """``found`` is ``None`` where not all that is watched can be told."""
    if found is None:
        what = "descriptors that can't be looked at"
    else:
        names = [name_descriptor(one) for one in found[:_NAMED_MOST]]
        if len(found) > len(names):
            names.append(f"{len(found) - len(names)} more")
        what = ", ".join(names) or "nothing"
    words = f"{how} on {what} {at_most(timed, seconds)}"
    return Wait("poll", words, timed, tuple(found or ()), seconds=seconds, unseen=found is None)


def _all_of(pid: int, fds: Iterable[int] | None) -> list[Descriptor] | None:
    """The descriptors behind the numbers; ``None`` unless each can be looked at."""
    if fds is None:
        return None
    found = [descriptors.descriptor(pid, fd) for fd in fds]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def _poll_fds(pid: int, address: int, count: int) -> list[int] | None:
    if count == 0:
        return []
    raw = kernel.read_memory(pid, address, 8 * count) if count <= _POLL_MOST else None
    return None if raw is None else [fd for fd, _, _ in struct.iter_unpack("ihh", raw) if fd >= 0]


def _poll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    limit = int32(args[2])
    seconds = limit / 1000 if limit >= 0 else None
    found = _all_of(thread.pid, _poll_fds(thread.pid, args[0], args[1]))
    return _watch("poll", found, limit >= 0, seconds)


def _ppoll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    found = _all_of(thread.pid, _poll_fds(thread.pid, args[0], args[1]))
    return _watch("poll", found, bool(args[2]), timespec(thread.pid, args[2]))


def _select_fds(pid: int, count: int, addresses: Iterable[int]) -> list[int] | None:
    """The sets are overwritten with the answer on return; in the sleep they still hold the question."""
    fds: set[int] = set()
    for address in addresses if count else ():
        if not address:
            continue
        raw = kernel.read_memory(pid, address, (count + 7) // 8) if count <= _POLL_MOST else None
        if raw is None:
            return None
        bits = int.from_bytes(raw, "little")
        fds.update(n for n in range(count) if bits >> n & 1)
    return sorted(fds)


def _select(thread: ThreadLook, args: tuple[int, ...], *, micro: bool = True) -> Wait:
    fds = _select_fds(thread.pid, int32(args[0]), args[1:4])
    seconds = timespec(thread.pid, args[4], micro=micro)
    if fds == [] and args[4]:
        return Wait("sleep", sleeping(seconds), timed=True, seconds=seconds)
    return _watch("select", _all_of(thread.pid, fds), bool(args[4]), seconds)


def _pselect(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    return _select(thread, args, micro=False)


def _epoll(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    limit = int32(args[3])
    seconds = limit / 1000 if limit >= 0 else None
    watched = descriptors.epoll_targets(thread.pid, int32(args[0]))
    return _watch("epoll", watched, limit >= 0, seconds)


def _epoll2(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    watched = descriptors.epoll_targets(thread.pid, int32(args[0]))
    return _watch("epoll", watched, bool(args[3]), timespec(thread.pid, args[3]))


def _fcntl(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    if int32(args[1]) in (F_SETLKW, F_SETLKW64, F_OFD_SETLKW):
        return Wait("file-lock", f"waiting for a file lock on {name}", fds=fds)
    return Wait("unknown", f"in fcntl on {name}{in_kernel(thread)}", fds=fds)


def _flock(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
    fds, name = _one(thread, int32(args[0]))
    return Wait("file-lock", f"waiting for a file lock on {name}", fds=fds)


def _open_at(index: int) -> Callable[[ThreadLook, tuple[int, ...]], Wait]:
    """A call that opens the path at ``index`` of its arguments."""

    def handler(thread: ThreadLook, args: tuple[int, ...]) -> Wait:
        path = kernel.read_string(thread.pid, args[index])
        if thread.wchan not in ("fifo_open", "wait_for_partner"):
            return Wait("unknown", f"opening {path or 'a file'}{in_kernel(thread)}")
        what = f"the FIFO {path}" if path else "a FIFO"
        return Wait("fifo-open", f"opening {what}: waiting for its other end to be opened")

    return handler


HANDLERS: dict[str, Callable[[ThreadLook, tuple[int, ...]], Wait]] = {
    "read": _read,
    "readv": _read,
    "pread64": _read,
    "preadv": _read,
    "write": _write,
    "writev": _write,
    "pwrite64": _write,
    "pwritev": _write,
    "sendfile": _write,
    "recvfrom": _receive,
    "recvmsg": _receive,
    "recvmmsg": _recvmmsg,
    "sendto": _send,
    "sendmsg": _send,
    "sendmmsg": _send,
    "accept": _accept,
    "accept4": _accept,
    "connect": _connect,
    "poll": _poll,
    "ppoll": _ppoll,
    "select": _select,
    "pselect6": _pselect,
    "epoll_wait": _epoll,
    "epoll_pwait": _epoll,
    "epoll_pwait2": _epoll2,
    "fcntl": _fcntl,
    "flock": _flock,
    "open": _open_at(0),
    "openat": _open_at(1),
    "openat2": _open_at(1),
}
