"""Forks and exits as the kernel reports them (the proc connector, cn_proc.h).

A process that lives shorter than a tick is never seen by polling, and with it
the link between what started it and what it started.  Where the kernel lets
us listen (the initial pid namespace; privilege before Linux 6.6) nothing is
missed unless the buffer overflows, which is told.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

from proctui.machine import identity as kernel

__all__ = ["Connector", "Fork", "open_connector"]

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC, _CN_VAL_PROC = 1, 1
_LISTEN = 1
_FORK, _EXIT = 0x00000001, 0x80000000
_INIT_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the initial pid namespace (include/linux/proc_ns.h)."""
_BUFFER = 4 << 20
_MOST = 50_000
_EVENT = struct.Struct("=IIQIIII")
_NLMSG_DONE = 3


class Fork(NamedTuple):
    """A process ``child`` was forked by ``parent``; ``child`` 0: ``parent`` ended.

    ``nanoseconds`` are those of the monotonic clock (clock_gettime(2)).
    """

    parent: int
    child: int
    nanoseconds: int


class Connector:
    """A nonblocking listener; :meth:`poll` drains it."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.lost = False
        """Whether events were lost since the last poll (the buffer overflowed)."""

    def poll(self) -> list[Fork]:
        """What happened since the last poll, in order."""
        events: list[Fork] = []
        self.lost = False
        while True:
            if len(events) >= _MOST:
                self.lost = True
                events.clear()
            try:
                data, sender = self._link.recvfrom(8192)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self.lost = True
                    continue
                break
            # Only the kernel has the address 0; anybody may send to a netlink socket.
            if sender[0] == 0:
                _parse(data, events)
        return events

    def close(self) -> None:
        self._link.close()


def _parse(data: bytes, events: list[Fork]) -> None:
    offset = 0
    while offset + 36 + _EVENT.size <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 36 + _EVENT.size or kind not in (_NLMSG_DONE, 0):
            return
        what, _, when, first, second, third, fourth = _EVENT.unpack_from(data, offset + 36)
        if what == _FORK:
            # parent_pid, parent_tgid, child_pid, child_tgid: a thread is no process.
            if third == fourth:
                events.append(Fork(second, third, when))
        elif what == _EXIT and first == second:
            events.append(Fork(first, 0, when))
        offset += (length + 3) & ~3


def open_connector() -> Connector | None:
    """Listen from now on; ``None`` where the kernel has no proc connector for us."""
    if not hasattr(socket, "AF_NETLINK") or kernel.pidns() != _INIT_PID_NAMESPACE:
        return None
    try:
        link = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_CONNECTOR
        )
    except OSError:
        return None
    try:
        link.setblocking(False)
        for option in (getattr(socket, "SO_RCVBUFFORCE", 33), socket.SO_RCVBUF):
            try:
                link.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
                break
            except PermissionError:
                continue
        link.bind((0, _CN_IDX_PROC))
        # The second word asks for these events alone (Linux ≥ 6.6; older ones send all).
        operation = struct.pack("=II", _LISTEN, _FORK | _EXIT)
        if not _subscribe(link, operation) and not _subscribe(link, operation[:4]):
            link.close()
            return None
    except OSError:
        link.close()
        return None
    return Connector(link)


def _subscribe(link: socket.socket, operation: bytes) -> bool:
    message = struct.pack("=IIIIHH", _CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(operation), 0)
    message += operation
    header = struct.pack("=IHHII", 16 + len(message), _NLMSG_DONE, 0, 0, os.getpid())
    try:
        link.send(header + message)
    except OSError:
        return False
    return True
