"""Sockets: who is at the other end.

TCP and UDP endpoints come from ``/proc/PID/net`` (proc_pid_net(5)), the peers
of UNIX sockets from ``sock_diag(7)``, which needs no privileges but knows our
own network namespace only.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from proctui.stacks.descriptors import Descriptor
from proctui.text import decode

__all__ = ["Endpoint", "SocketTable", "name_socket"]

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST_DUMP = 0x301
NLMSG_DONE, NLMSG_ERROR = 3, 2
UDIAG_SHOW_NAME, UDIAG_SHOW_PEER = 1, 4
UNIX_DIAG_NAME, UNIX_DIAG_PEER = 0, 2
TCP_LISTEN = 10
_NETLINK = 16


class Endpoint(NamedTuple):
    """A socket: ``kind`` is tcp, udp or unix; ``peer`` the other end's inode on this machine."""

    kind: str
    local: str
    remote: str
    listening: bool
    peer: int | None
    open_to_all: bool = False
    """Anyone may send to it: it is connected to nobody, or bound and without connections."""


def inode_of(target: str) -> int | None:
    """``socket:[123]`` → 123."""
    number = target[8:-1]
    return int(number) if target.startswith("socket:[") and number.isdigit() else None


def _address(word: str, v6: bool) -> tuple[str, int]:
    """``0100007F:1F90`` → ``("127.0.0.1", 8080)``: 32-bit words in host order (proc_pid_net(5))."""
    host, _, port = word.partition(":")
    raw = bytes.fromhex(host)
    packed = b"".join(struct.pack("!I", n) for n in struct.unpack(f"={len(raw) // 4}I", raw))
    if not v6:
        return socket.inet_ntop(socket.AF_INET, packed), int(port, 16)
    text = socket.inet_ntop(socket.AF_INET6, packed)
    return text.removeprefix("::ffff:") if "." in text else text, int(port, 16)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class SocketTable:
    """The sockets of one network namespace, read when first asked for."""

    def __init__(self, pid: int | str = "self") -> None:
        self.pid = pid
        self._inet: dict[int, Endpoint] | None = None
        self._unix: dict[int, Endpoint] | None = None

    def endpoint(self, target: str) -> Endpoint | None:
        """The endpoint behind a descriptor's target; ``None`` where it is of another kind."""
        inode = inode_of(target)
        if inode is None:
            return None
        if self._inet is None:
            self._inet = self._read_inet()
        found = self._inet.get(inode)
        if found is None:
            if self._unix is None:
                self._unix = self._read_unix()
            found = self._unix.get(inode)
        return found

    def listening(self) -> set[str]:
        """The TCP addresses that are listened on: ``127.0.0.1:5678``."""
        if self._inet is None:
            self._inet = self._read_inet()
        return {end.local for end in self._inet.values() if end.listening}

    def _read_inet(self) -> dict[int, Endpoint]:
        rows: list[tuple[int, str, tuple[str, int], tuple[str, int], bool]] = []
        for kind, v6 in (("tcp", False), ("tcp6", True), ("udp", False), ("udp6", True)):
            try:
                with open(f"/proc/{self.pid}/net/{kind}", encoding="ascii") as file:
                    lines = file.read().splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                fields = line.split()
                rows.append(
                    (
                        int(fields[9]),
                        kind[:3],
                        _address(fields[1], v6),
                        _address(fields[2], v6),
                        kind.startswith("tcp") and int(fields[3], 16) == TCP_LISTEN,
                    )
                )
        ends = {(kind, local, remote): inode for inode, kind, local, remote, _ in rows if remote[1]}
        return {
            inode: Endpoint(
                kind,
                _join(*local),
                _join(*remote) if remote[1] else "",
                listening,
                ends.get((kind, remote, local)),
                open_to_all=kind == "udp" and not remote[1],
            )
            for inode, kind, local, remote, listening in rows
        }

    def _read_unix(self) -> dict[int, Endpoint]:
        if not self._own_namespace():
            return {}
        try:
            return _unix_by_diag()
        except OSError:
            return {}

    def _own_namespace(self) -> bool:
        try:
            return os.stat(f"/proc/{self.pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
        except OSError:
            return False


def _unix_by_diag() -> dict[int, Endpoint]:
    request = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, UDIAG_SHOW_NAME | UDIAG_SHOW_PEER, 0, 0
    )
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0)
    found: dict[int, _Unix] = {}
    with socket.socket(_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as link:
        link.settimeout(2.0)
        link.send(header + request)
        while True:
            data = link.recv(1 << 17)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (NLMSG_DONE, NLMSG_ERROR) or length < 16:
                    return _named(found)
                one = _parse_unix(data[at + 16 : at + length])
                found[one.inode] = one
                at += (length + 3) & ~3


class _Unix(NamedTuple):
    inode: int
    name: str
    peer: int | None
    state: int
    type: int


def _parse_unix(body: bytes) -> _Unix:
    """``struct unix_diag_msg`` and its attributes (linux/unix_diag.h)."""
    state, inode = body[2], struct.unpack_from("=I", body, 4)[0]
    name, peer, at = "", None, 16
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if length < 4:
            break
        value = body[at + 4 : at + length]
        if kind == UNIX_DIAG_NAME:
            abstract = value.startswith(b"\0")
            name = ("@" if abstract else "") + decode(
                value[1:] if abstract else value.rstrip(b"\0")
            )
        elif kind == UNIX_DIAG_PEER and len(value) >= 4:
            peer = struct.unpack("=I", value[:4])[0]
        at += (length + 3) & ~3
    return _Unix(inode, name, peer, state, body[1])


def _named(found: dict[int, _Unix]) -> dict[int, Endpoint]:
    """An accepted socket has its listener's name, a client the name of none: show the peer's."""
    return {
        one.inode: Endpoint(
            "unix",
            one.name,
            found[one.peer].name if one.peer in found else "",
            one.state == TCP_LISTEN,
            one.peer or None,
            open_to_all=one.type == socket.SOCK_DGRAM and bool(one.name),
        )
        for one in found.values()
    }


def name_socket(found: Descriptor, table: SocketTable | None = None) -> str:
    """``127.0.0.1:5432``, ``UNIX socket /run/x.sock`` or ``socket:[123]`` where nothing is known."""
    end = (table or SocketTable(found.pid)).endpoint(found.target)
    if end is None:
        return found.target
    if end.kind == "unix":
        name = end.remote or end.local
        return f"UNIX socket {name}" if name else f"UNIX {found.target}"
    if end.listening:
        return f"{end.local}"
    return end.remote or f"{end.kind} {end.local}"
