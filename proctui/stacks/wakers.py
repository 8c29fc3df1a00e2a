"""What could wake a sleeping thread, found from its wait alone.

A finder errs on the side of more wakers: a set of threads counts as closed
only if every possible waker is inside, so one too many merely weakens a proof.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from proctui.stacks import descriptors, memory
from proctui.stacks.calls import FUTEX_PRIVATE
from proctui.stacks.descriptors import Descriptor
from proctui.stacks.kernel import ThreadLook
from proctui.stacks.wording import Wait
from proctui.stacks.world import World

__all__ = ["WakerFinder"]

_KERNEL_ONLY = {
    "inotify": "a change of what inotify watches",
    "signalfd": "a signal",
    "timerfd": "a timer",
    "fanotify": "a change of what fanotify watches",
    "userfaultfd": "a page fault",
    "perf_event": "a performance event",
    "io_uring": "asynchronous I/O of the kernel",
}


_NAMED_MOST = 3


class WakerFinder:
    """Collects the wakers of one wait."""

    def __init__(self, world: World, thread: ThreadLook, wait: Wait) -> None:
        self.world = world
        self.thread = thread
        self.wait = wait
        self.processes: dict[int, str] = {}
        self.owner: int | None = None
        self.joined: int | None = None
        self.outside: list[str] = []
        self.doubts: list[str] = []
        self.others: str | None = None

    def find(self) -> None:
        method = getattr(self, "_" + self.wait.kind.replace("-", "_"), None)
        if method is None:
            self.outside.append(self.wait.words)
        else:
            method()

    # one method per kind of wait

    def _exit(self) -> None:
        pid, child = self.thread.pid, self.wait.target or -1
        if child > 0:
            look = self.world.look(child)
            if look is None or look.state in "ZX":
                self.outside.append(f"{child} has ended")
            else:
                self.processes[child] = f"waits for the exit of {child}"
                self.others = "may end it"
            return
        children = self.world.children.get(pid, ())
        for one in children:
            look = self.world.look(one)
            if look is None or look.state in "ZX":
                self.outside.append(f"{one} has ended")
            elif len(children) == 1:
                self.processes[one] = f"waits for the exit of its only child {one}"
            else:
                self.processes[one] = f"waits for {one} or another child to exit"
        self.others = "may start another child"

    def _vfork(self) -> None:
        for one in self.world.children.get(self.thread.pid, ()):
            look = self.world.look(one)
            if look is not None and look.state not in "ZX":
                self.processes[one] = f"waits for its vfork child {one} to run a program or to exit"
        if not self.processes:
            self.outside.append("its vfork child was not found")

    def _read(self) -> None:
        self._each(reading=True, writing=False)

    def _write(self) -> None:
        self._each(reading=False, writing=True)

    def _receive(self) -> None:
        self._each(reading=True, writing=False)
        self.doubts.append("the socket has a receive time limit (SO_RCVTIMEO), which can't be seen")

    def _send(self) -> None:
        self._each(reading=False, writing=True)
        self.doubts.append("the socket has a send time limit (SO_SNDTIMEO), which can't be seen")

    def _poll(self) -> None:
        self._each(reading=True, writing=True)
        self.others = "may change what it watches"

    def _futex(self) -> None:
        pid, address = self.thread.pid, self.wait.target or 0
        tids = [t.tid for t in self.world.threads(pid)]
        call = self.thread.call
        private = call is not None and bool(call.args[1] & FUTEX_PRIVATE)
        self.owner = memory.owner_of_wait(self.thread, tids)
        if self.owner is not None:
            return
        self.joined = memory.joined_thread(self.thread, tids)
        if self.joined is not None:
            return
        if not private:
            where = memory.mapping_at(pid, address)
            if where is None:
                self.outside.append("who shares the futex can't be read")
                return
            if where.shared:
                self._shared_futex(where)
                return
        self.others = "may release it"

    def _shared_futex(self, where: memory.Mapping) -> None:
        for one in self.world.sharers(where.file):
            if one != self.thread.pid:
                self.processes[one] = f"waits for a lock or semaphore that {one} shares with it"
        self.others = "may release it"
        if (
            where.file
            and not where.path.endswith("(deleted)")
            and not where.path.startswith("/dev/zero")
        ):
            self.doubts.append("another process opens the shared memory of the futex")
        if where.path.startswith("/SYSV"):
            self.doubts.append("another process attaches the shared memory of the futex")
        self.doubts += self.world.blind()

    def _pi_mutex(self) -> None:
        tids = [t.tid for t in self.world.threads(self.thread.pid)]
        self.owner = memory.pi_owner(self.thread.pid, self.wait.target or 0, tids)
        if self.owner is None:
            self.outside.append("the owner of the mutex can't be read")

    def _file_lock(self) -> None:
        for one in self.wait.fds:
            for lock in self.world.lock_owners(_lock_file(one)):
                if lock.kind == "POSIX" and lock.pid > 0:
                    self.processes[lock.pid] = f"waits for a file lock of {lock.pid} on {one.path}"
                else:
                    self._description_lock(one)
        if not self.processes:
            self.outside.append("who holds the file lock was not found")

    def _description_lock(self, wanted: Descriptor) -> None:
        """flock(2) belongs to an open file description: any process that has the file open may hold it."""
        for pid in self.world.openers(wanted.pid, wanted.fd):
            if pid != self.thread.pid:
                self.processes[pid] = f"waits for a file lock of {pid} on {wanted.path}"
        self.others = "may have the file locked"
        self.doubts += self.world.blind()

    # descriptors

    def _each(self, *, reading: bool, writing: bool) -> None:
        if self.wait.unseen or not (self.wait.fds or self.wait.kind == "poll"):
            self.outside.append("a descriptor that can't be looked at")
        for one in self.wait.fds:
            self._descriptor(one, reading, writing)

    def _descriptor(self, one: Descriptor, reading: bool, writing: bool) -> None:
        kind = one.kind
        if kind in ("pipe", "fifo"):
            self._pipe(one, reading and one.reads, writing and one.writes)
        elif kind == "socket":
            self._socket(one)
        elif kind.startswith("eventfd"):
            self._eventfd(one)
        elif kind == "pidfd":
            self._pidfd(one)
        elif kind == "eventpoll":
            inner = descriptors.epoll_targets(one.pid, one.fd)
            if inner is None or any(each.kind == "eventpoll" for each in inner):
                self.outside.append("an epoll inside an epoll")
                return
            for each in inner:
                self._descriptor(each, True, True)
        elif kind == "tty":
            self.outside.append(f"someone at the terminal {one.path}")
        else:
            self.outside.append(_KERNEL_ONLY.get(kind, f"{kind} {one.path}"))

    def _pipe(self, one: Descriptor, reading: bool, writing: bool) -> None:
        holders = self.world.holders
        writers = holders.writers(one.target) if reading else []
        readers = holders.readers(one.target) if writing else []
        for pid in writers:
            self.processes.setdefault(pid, _pipe_words(one, writers, "reads an empty", "write"))
        for pid in readers:
            self.processes.setdefault(pid, _pipe_words(one, readers, "writes a full", "read"))
        if not writers and not readers:
            self.outside.append(f"who holds the other end of {one.target} was not found")
        self.doubts += self.world.blind(one.target)
        if one.kind == "fifo" and set(self.processes) == {self.thread.pid} and reading:
            # Opened for both, as daemons do that wait for whoever has something to say.
            self.outside.append(f"whoever opens the FIFO {one.path}")
        elif one.kind == "fifo":
            self.doubts.append(f"another process opens the FIFO {one.path}")

    def _socket(self, one: Descriptor) -> None:
        end = self.world.endpoint(one.pid, one.target)
        if end is None or end.peer is None or end.open_to_all or end.listening:
            what = end.remote or end.local if end else one.target
            self.outside.append(
                f"anyone who connects to {what}"
                if end and end.listening
                else f"the other end of {what}"
            )
            return
        pids = self.world.holders.holders(f"socket:[{end.peer}]")
        if not pids:
            self.outside.append(f"who holds the other end of {one.target} was not found")
        verb = "sends to" if self.wait.kind == "send" else "waits for data of"
        for pid in pids:
            name = end.remote or one.target
            self.processes.setdefault(
                pid, f"{verb} a {end.kind} socket whose other end {pid} holds ({name})"
            )
        self.doubts += self.world.blind(f"socket:[{end.peer}]")

    def _eventfd(self, one: Descriptor) -> None:
        number = descriptors.fdinfo_field(one.pid, one.fd, "eventfd-id")
        if number is None:
            self.outside.append("an eventfd")
            return
        for pid in self.world.holders.holders(f"eventfd:[{number}]"):
            self.processes.setdefault(pid, f"waits for an eventfd that {pid} holds")
        self.doubts += self.world.blind(f"eventfd:[{number}]")
        self.doubts.append("the kernel signals the eventfd (asynchronous I/O, a device)")

    def _pidfd(self, one: Descriptor) -> None:
        named = descriptors.fdinfo_field(one.pid, one.fd, "Pid")
        if named and named.isdigit() and self.world.look(int(named)) is not None:
            self.processes.setdefault(int(named), f"waits for the exit of {named}")
        else:
            self.outside.append("a process that has ended")


def _pipe_words(one: Descriptor, pids: Sequence[int], does: str, others: str) -> str:
    """``reads an empty pipe that only 4711 writes (pipe:[123])``."""
    name = f"FIFO {one.path}" if one.kind == "fifo" else one.target
    if len(pids) == 1:
        return f"{does} pipe that only {pids[0]} {others}s ({name})"
    shown, last = ", ".join(map(str, pids[:-1][:_NAMED_MOST])), str(pids[-1])
    more = len(pids) - 1 - _NAMED_MOST
    return (
        f"{does} pipe that {shown} and {f'{more + 1} more' if more > 0 else last} {others} ({name})"
    )


def _lock_file(one: Descriptor) -> str:
    """``MAJOR:MINOR:INODE`` with hexadecimal device numbers (proc_locks(5))."""
    try:
        there = os.stat(f"/proc/{one.pid}/fd/{one.fd}")
    except OSError:
        return ""
    return f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
