"""Who is at the other end of a UNIX socket, asked of the kernel one socket at a time.

``NETLINK_SOCK_DIAG`` (sock_diag(7)) with an inode looks a single socket up;
``/proc/net/unix`` does not tell peers at all.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from proctui import text

__all__ = ["UnixPeer", "unix_peers"]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_SHOW_NAME, _SHOW_PEER = 1, 4
_ATTR_NAME, _ATTR_PEER = 0, 2
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ATTRIBUTE = struct.Struct("=HH")
_REPLY = 16
"""Size of ``struct unix_diag_msg``."""


class UnixPeer(NamedTuple):
    """``name`` is the path the peer is bound to, abstract ones with ``@``, if it is bound."""

    inode: int
    name: str | None


def unix_peers(inodes: Iterable[int]) -> dict[int, UnixPeer]:
    """The peers of connected sockets by inode, those found; raises ``OSError`` without netlink."""
    found: dict[int, UnixPeer] = {}
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        raise OSError("no netlink on this system")
    with socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(0.5)
        for inode in inodes:
            attributes = _ask(link, inode)
            raw = attributes.get(_ATTR_PEER)
            if raw is None or len(raw) != 4:
                continue
            peer = struct.unpack("=I", raw)[0]
            if peer == 0:  # not accepted yet: the other end has no file
                continue
            # An accepted socket bears its listener's name; the connecting end bears none.
            found[inode] = UnixPeer(peer, _name(_ask(link, peer)))
    return found


def _name(attributes: dict[int, bytes]) -> str | None:
    raw = attributes.get(_ATTR_NAME, b"")
    if not raw:
        return None
    return text.decode(b"@" + raw[1:] if raw.startswith(b"\0") else raw.rstrip(b"\0"))


def _ask(link: socket.socket, inode: int) -> dict[int, bytes]:
    """The attributes of one socket, empty where there is none of this inode."""
    request = _REQUEST.pack(
        socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode, _SHOW_NAME | _SHOW_PEER, _NO_COOKIE, _NO_COOKIE
    )
    header = _HEADER.pack(
        _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, inode & 0xFFFFFFFF, 0
    )
    link.send(header + request)
    reply = link.recv(65536)
    length, kind, _flags, sequence, _pid = _HEADER.unpack_from(reply)
    if kind != _SOCK_DIAG_BY_FAMILY or sequence != inode & 0xFFFFFFFF:
        return {}
    attributes: dict[int, bytes] = {}
    at = _HEADER.size + _REPLY
    while at + _ATTRIBUTE.size <= length:
        size, name = _ATTRIBUTE.unpack_from(reply, at)
        if size < _ATTRIBUTE.size:
            break
        attributes[name] = reply[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return attributes
