"""UNIX sockets, asked of the kernel one inode at a time (``NETLINK_SOCK_DIAG``, sock_diag(7)).

``/proc/net/unix`` tells no peers, holds every socket of the machine, and a
socket's name with a newline in it forges lines there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from proctui import text

__all__ = ["UnixSocket", "unix_sockets"]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_SHOW_NAME, _SHOW_PEER, _SHOW_RQLEN = 1, 4, 16
_ATTR_NAME, _ATTR_PEER, _ATTR_RQLEN = 0, 2, 4
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_REPLY = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")


class UnixSocket(NamedTuple):
    """``kind`` and ``state`` are the kernel's numbers; an abstract ``name`` begins with ``@``.

    ``peer`` is the other end's inode, ``None`` where there is none or it is
    not accepted yet.
    """

    inode: int
    kind: int
    state: int
    name: str | None
    peer: int | None
    queued: int | None


def unix_sockets(inodes: Iterable[int]) -> dict[int, UnixSocket]:
    """Those found in *our* network namespace; raises ``OSError`` without netlink."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        raise OSError("no netlink on this system")
    found: dict[int, UnixSocket] = {}
    with socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(0.5)
        for inode in inodes:
            one = _ask(link, inode)
            if one is not None:
                found[inode] = one
    return found


def _ask(link: socket.socket, inode: int) -> UnixSocket | None:
    request = _REQUEST.pack(
        socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode & 0xFFFFFFFF,
        _SHOW_NAME | _SHOW_PEER | _SHOW_RQLEN, _NO_COOKIE, _NO_COOKIE,
    )  # fmt: skip
    sequence = inode & 0xFFFFFFFF
    size = _HEADER.size + len(request)
    link.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0) + request)
    reply = link.recv(65536)
    length, message, _flags, answers, _port = _HEADER.unpack_from(reply)
    if message != _SOCK_DIAG_BY_FAMILY or answers != sequence:
        return None  # an error message: there is no such socket here
    _family, kind, state, _pad, number, _cookie, _cookie_high = _REPLY.unpack_from(
        reply, _HEADER.size
    )
    attributes = _attributes(reply[_HEADER.size + _REPLY.size : length])
    peer = attributes.get(_ATTR_PEER)
    queue = attributes.get(_ATTR_RQLEN)
    return UnixSocket(
        number,
        kind,
        state,
        _name(attributes.get(_ATTR_NAME, b"")),
        (struct.unpack("=I", peer)[0] or None) if peer else None,
        struct.unpack_from("=I", queue)[0] if queue else None,
    )


def _name(raw: bytes) -> str | None:
    if not raw:
        return None
    return text.decode(b"@" + raw[1:] if raw.startswith(b"\0") else raw.rstrip(b"\0"))


def _attributes(raw: bytes) -> dict[int, bytes]:
    attributes: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(raw):
        size, name = _ATTRIBUTE.unpack_from(raw, at)
        if size < _ATTRIBUTE.size:
            break
        attributes[name] = raw[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return attributes
