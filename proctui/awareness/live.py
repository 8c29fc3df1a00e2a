"""Talking to a session's living runner, and knowing who is at the other end.

The runner's socket stands in the session's directory, but a name in a
directory proves nothing: the kernel says who listens (SO_PEERPIDFD, before
Linux 6.5 SO_PEERCRED), and that has to be the recorded runner itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from proctui.awareness.session import Session
from proctui.errors import NoSuchSession, ProctuiError, RefusedError, TimedOut
from proctui.ident import Identity
from proctui.machine import identity as kernel

__all__ = ["Peer", "ask", "peer"]

SO_PEERPIDFD = 77
"""Since Linux 6.5 (include/uapi/asm-generic/socket.h)."""
_REPLY_LIMIT = 64 << 20


class Peer(NamedTuple):
    """Who is at the other end: as the kernel recorded it at connect or listen."""

    identity: Identity
    uid: int
    gid: int


def peer(connection: socket.socket) -> Peer:
    """The identity of the process behind a connected UNIX socket (unix(7)).

    Raises :class:`RefusedError` where it is gone or can't be told.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except (OSError, AttributeError) as error:
        raise RefusedError(f"the kernel doesn't say who is at the other end: {error}") from error
    pid, uid, gid = struct.unpack("3i", raw)
    if pid <= 0:
        raise RefusedError("the process at the other end is in another pid namespace")
    pidfd = -1
    try:
        pidfd = struct.unpack("i", connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0]
    except OSError:
        pidfd = -1
    try:
        found = kernel.identify(pid)
        if pidfd >= 0 and kernel.has_pidfs() and os.fstat(pidfd).st_ino != found.inode:
            raise RefusedError(f"process {pid} at the other end has ended")
        return Peer(found, uid, gid)
    except ProctuiError as error:
        raise RefusedError(f"process {pid} at the other end can't be identified") from error
    finally:
        if pidfd >= 0:
            os.close(pidfd)


@contextlib.contextmanager
def _connected(session: Session, timeout: float) -> Any:
    if session.directory is None:
        raise NoSuchSession("the session has no directory")
    directory = os.open(
        session.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            # A socket's address holds 108 bytes; a state directory's path may be longer.
            connection.connect(f"/proc/self/fd/{directory}/runner.sock")
            yield connection
    finally:
        os.close(directory)


def ask(session: Session, request: Mapping[str, Any], *, timeout: float = 2.0) -> dict[str, Any]:
    """Send one JSON line to the session's runner and return its one-line answer.

    Raises :class:`NoSuchSession` where nobody answers, :class:`RefusedError`
    where somebody else than the recorded runner does, :class:`TimedOut`.
    """
    if session.runner is None:
        raise NoSuchSession("the session has no runner")
    deadline = time.monotonic() + timeout
    try:
        with _connected(session, timeout) as connection:
            other = peer(connection)
            if not other.identity.same(session.runner) or other.uid != session.uid:
                raise RefusedError(
                    f"process {other.identity} answers for the session, its runner is"
                    f" {session.runner}"
                )
            connection.sendall(json.dumps(dict(request)).encode() + b"\n")
            answer = json.loads(_line(connection, deadline))
    except TimeoutError as error:
        raise TimedOut(f"the runner of session {session.id} did not answer in {timeout} s") from (
            error
        )
    except OSError as error:
        raise NoSuchSession(f"no runner answers for session {session.id}: {error}") from error
    except ValueError as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError("the runner's answer is no JSON") from error
    if not isinstance(answer, dict):
        raise RefusedError("the runner's answer is no object")
    return answer


def _line(connection: socket.socket, deadline: float) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        data += chunk
        if len(data) > _REPLY_LIMIT:
            raise RefusedError("the runner's answer is too long")
    return bytes(data)
