"""The sockets of one process, found through its own descriptors.

Only the tables of protocols that the process really uses are read, in *its*
network namespace (``/proc/PID/net``, proc_pid_net(5)); UNIX sockets and their peers
are asked for one by one.
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
    protocols = {fd: _protocol(proc, fd) for fd in inodes}
    rows = _inet_rows(proc, set(protocols.values()), set(inodes.values()))
    rows |= _unix_rows(
        proc, {inodes[fd] for fd, name in protocols.items() if name is None or _is_unix(name)}
    )
    found: list[Connection] = []
    for fd, inode in sorted(inodes.items()):
        known = rows.get(inode)
        if known is None:  # netlink, packet, vsock, …, and sockets that are bound to nothing yet
            known = _unlisted(inode, protocols[fd] or "socket")
        found.append(known._replace(fd=fd))
    return found


def _inet_rows(
    proc: ProcDir, protocols: set[str | None], wanted: set[int]
) -> dict[int, Connection]:
    """What the tables of these protocols say of the wanted inodes."""
    tables = {table for name in protocols if name for table in _BY_PROTOCOL.get(name, ())}
    rows: dict[int, Connection] = {}
    for table in _INET if None in protocols else sorted(tables):
        raw = proc.read(f"net/{table}", limit=64 << 20)
        rows |= {row.inode: row for row in parse_inet(table, raw or b"") if row.inode in wanted}
    return rows


def _unix_rows(proc: ProcDir, inodes: set[int]) -> dict[int, Connection]:
    """UNIX sockets by ``sock_diag``, or by the table of another network namespace."""
    if not inodes:
        return {}
    if _same_network(proc):
        try:
            found = sockdiag.unix_sockets(inodes)
            others = {one.peer for one in found.values() if one.peer is not None} - found.keys()
            ends = sockdiag.unix_sockets(others) | found
        except OSError:
            pass  # no netlink in this sandbox
        else:
            return {inode: _unix_row(one, ends) for inode, one in found.items()}
    proc.deny("connections.peer")  # this table names no other ends
    raw = proc.read("net/unix", limit=64 << 20)
    return {row.inode: row for row in parse_unix(raw or b"") if row.inode in inodes}


def _unix_row(one: sockdiag.UnixSocket, ends: dict[int, sockdiag.UnixSocket]) -> Connection:
    # An accepted socket bears its listener's name; the end that connected mostly bears none.
    other = None if one.peer is None else ends.get(one.peer)
    return _bare(one.inode, "unix", None)._replace(
        type=_UNIX_TYPES.get(one.kind, str(one.kind)),
        local=one.name,
        remote=None if other is None else other.name,
        state={1: "established", 10: "listen"}.get(one.state, "unconnected"),
        listening=one.state == 10,
        recv_queue=one.queued,
        peer=one.peer,
    )


def _is_unix(name: str) -> bool:
    return name.startswith("UNIX")


def _protocol(proc: ProcDir, fd: int) -> str | None:
    """The kernel's name for a socket's protocol, ``None`` where it does not say (before 4.9)."""
    try:
        raw = os.getxattr(f"{proc.path}/fd/{fd}", "system.sockprotoname")
    except OSError:
        return None
    return text.decode(raw.rstrip(b"\0"))


def _unlisted(inode: int, protocol: str) -> Connection:
    table = next(iter(_BY_PROTOCOL.get(protocol, ())), None)
    if table is None:
        return _bare(inode, protocol.lower(), None)
    family = "ipv6" if table.endswith("6") else "ipv4"
    return _bare(inode, family, "unbound")._replace(type=table.removesuffix("6"))


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
    """Rows of ``/proc/net/unix``; abstract names begin with ``@``.

    A name may hold a newline and forge a row, so this is the last resort.
    """
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
