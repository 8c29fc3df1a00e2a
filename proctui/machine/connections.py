"""The sockets of one process, found through its own descriptors.

Only the tables of protocols that the process really uses are read, in *its*
network namespace (``/proc/PID/net``, proc_pid_net(5)); peers of UNIX sockets
come from one ``sock_diag`` question each (sock_diag(7)).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from proctui import text
from proctui.machine import sockdiag
from proctui.machine.files import socket_inodes
from proctui.machine.procdir import ProcDir

__all__ = ["Connection", "connection_rows", "connections_of", "parse_inet", "parse_unix"]

_STATES = (
    "", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait", "close",
    "close-wait", "last-ack", "listen", "closing", "new-syn-recv",
)  # fmt: skip
"""By number (include/net/tcp_states.h), in the words of ss(8)."""
_INET = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "udplite6", "icmp", "icmp6")
_BY_PROTOCOL = {
    "TCP": ("tcp",), "TCPv6": ("tcp6",), "MPTCP": ("tcp",), "MPTCPv6": ("tcp6",),
    "UDP": ("udp",), "UDPv6": ("udp6",), "RAW": ("raw",), "RAWv6": ("raw6",),
    "UDP-Lite": ("udplite",), "UDPLITEv6": ("udplite6",), "PING": ("icmp",), "PINGv6": ("icmp6",),
}  # fmt: skip
"""Tables by the name the kernel gives a socket's protocol (xattr ``system.sockprotoname``)."""
_UNIX_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
_UNIX_LISTENS = 1 << 16


class Connection(NamedTuple):
    """One socket.  Addresses are ``host:port``, ``[host]:port`` or a path; queues in bytes."""

    fd: int
    family: str
    type: str
    local: str | None
    local_port: int | None
    remote: str | None
    remote_port: int | None
    state: str | None
    listening: bool
    inode: int
    send_queue: int | None
    recv_queue: int | None
    peer: int | None
    """The inode of a UNIX socket's other end."""


def connections_of(proc: ProcDir) -> list[Connection] | None:
    """Every socket the process holds, by descriptor; ``None`` where descriptors are denied."""
    inodes = socket_inodes(proc)
    if inodes is None:
        return None
    if not inodes:
        return []
    protocols = {fd: _protocol(proc, fd) for fd in inodes}
    wanted = set(inodes.values())
    rows: dict[int, Connection] = {}
    for table in _tables(set(protocols.values())):
        raw = proc.read(f"net/{table}", limit=64 << 20)
        parse = parse_unix(raw or b"") if table == "unix" else parse_inet(table, raw or b"")
        for row in parse:
            if row.inode in wanted:
                rows[row.inode] = row
    found: list[Connection] = []
    for fd, inode in sorted(inodes.items()):
        known = rows.get(inode)
        if known is None:  # netlink, packet, vsock, …, and sockets that are bound to nothing yet
            name = (protocols[fd] or "socket").lower()
            known = _bare(inode, name, "unbound" if protocols[fd] in _BY_PROTOCOL else None)
        found.append(known._replace(fd=fd))
    return _with_peers(proc, found)


def _protocol(proc: ProcDir, fd: int) -> str | None:
    """The kernel's name for a socket's protocol, ``None`` where it does not say (before 4.9)."""
    try:
        raw = os.getxattr(f"{proc.path}/fd/{fd}", "system.sockprotoname")
    except OSError:
        return None
    return text.decode(raw.rstrip(b"\0"))


def _tables(protocols: set[str | None]) -> list[str]:
    if None in protocols:
        return [*_INET, "unix"]
    names = {table for name in protocols if name for table in _BY_PROTOCOL.get(name, ())}
    if any(name and name.startswith("UNIX") for name in protocols):
        names.add("unix")
    return sorted(names)


def _bare(inode: int, name: str, state: str | None) -> Connection:
    return Connection(-1, name, name, None, None, None, None, state, False, inode, None, None, None)


def parse_inet(table: str, raw: bytes) -> Iterator[Connection]:
    """Rows of ``/proc/net/tcp`` and its like."""
    version6 = table.endswith("6")
    kind = table.removesuffix("6")
    for line in raw.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10:
            continue
        local, local_port = _address(fields[1], version6)
        remote, remote_port = _address(fields[2], version6)
        number = int(fields[3], 16)
        if kind == "tcp":
            state = _STATES[number] if number < len(_STATES) else str(number)
        else:  # an unconnected datagram socket is in state CLOSE
            state = "established" if number == 1 else "unconnected"
        sent, _, received = fields[4].partition(b":")
        open_ended = remote_port == 0 and (kind != "tcp" or state in ("listen", "close"))
        yield Connection(
            -1,
            "ipv6" if version6 else "ipv4",
            kind,
            local,
            local_port,
            None if open_ended else remote,
            None if open_ended else remote_port,
            state,
            state == "listen",
            int(fields[9]),
            int(sent, 16),
            int(received, 16),
            None,
        )


def _address(field: bytes, version6: bool) -> tuple[str, int]:
    """``0100007F:1F90``: 32-bit words in the machine's order, the port in plain hexadecimal."""
    packed, _, port = field.partition(b":")
    words = [
        int(packed[start : start + 8], 16).to_bytes(4, sys.byteorder)
        for start in range(0, len(packed), 8)
    ]
    number = int(port, 16)
    if version6:
        return f"[{socket.inet_ntop(socket.AF_INET6, b''.join(words))}]:{number}", number
    return f"{socket.inet_ntop(socket.AF_INET, b''.join(words))}:{number}", number


def parse_unix(raw: bytes) -> Iterator[Connection]:
    """Rows of ``/proc/net/unix``; abstract names begin with ``@``."""
    for line in raw.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) < 7:
            continue
        kind, state = int(fields[4], 16), int(fields[5], 16)
        listens = bool(int(fields[3], 16) & _UNIX_LISTENS)
        yield Connection(
            -1,
            "unix",
            _UNIX_TYPES.get(kind, str(kind)),
            text.decode(fields[7]) if len(fields) > 7 else None,
            None,
            None,
            None,
            "listen"
            if listens
            else {1: "unconnected", 2: "connecting", 3: "established"}.get(state),
            listens,
            int(fields[6]),
            None,
            None,
            None,
        )


def _with_peers(proc: ProcDir, found: list[Connection]) -> list[Connection]:
    """Fill in the other end of connected UNIX sockets, where the kernel answers for them.

    ``sock_diag`` speaks about *our* network namespace only.
    """
    pairs = [one for one in found if one.family == "unix" and one.state == "established"]
    if not pairs or not _same_network(proc):
        return found
    try:
        peers = sockdiag.unix_peers([one.inode for one in pairs])
    except OSError:
        return found
    return [
        one._replace(
            peer=peers[one.inode].inode,
            remote=peers[one.inode].name or one.remote,
        )
        if one.inode in peers and one in pairs
        else one
        for one in found
    ]


def _same_network(proc: ProcDir) -> bool:
    try:
        theirs = os.stat("ns/net", dir_fd=proc.fd)
        ours = os.stat("/proc/self/ns/net")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def connection_rows(connections: list[Connection]) -> list[dict[str, Any]]:
    """As a result shows them."""
    return [one._asdict() for one in connections]
