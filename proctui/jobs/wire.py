"""How the front, the keeper and the runner talk: one socket pair and one shared page.

Both are made before the forks and inherited.  Messages are whole packets
(``SOCK_SEQPACKET``), a word and perhaps JSON; a segment of captured output
travels as a descriptor (``SCM_RIGHTS``, unix(7)), so that the front needs no
path.  The page holds what must be true even when a process is killed between
two messages.
"""

from __future__ import annotations

import array
import collections
import json
import mmap
import os
import select
import socket
from typing import Any, Final

__all__ = ["Channel", "Page"]

_WORDS: Final = 24
_LARGEST: Final = 1 << 16
_TEXT: Final = _WORDS * 8


class Page:
    """A page of memory that all of a session's processes share.

    Each word has one writer.  ``consumed`` are the bytes of each stream that
    the front has passed on, ``logged`` those that stand in ``--log FILE``.
    """

    CONSUMED = 0
    LOGGED = 2
    LOGGING = 4
    """Stream + 1 that is being copied into FILE."""
    LOG_BASE = 5
    FLOW = 6
    """1 while a front passes output on, and the runner therefore waits for it."""
    WAITING = 7
    """1 while the runner waits for the front to catch up."""
    ASLEEP = 8
    """1 while the front waits for more output."""
    JOB = 9
    """Pid of the job's leader."""
    RUNNER = 10
    BROKEN = 12
    """Bit per stream that nobody reads any more."""
    SEGMENT = 13
    """Number of the current segment of each stream."""
    CUT = 15
    """Bytes at each stream's beginning that the bounded capture no longer holds."""
    STARTED = 19
    """Milliseconds of the monotonic clock at which the job's leader was started."""
    BASE = 17
    """Bytes of each stream that stand before its current segment."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, mmap.PAGESIZE)
        self.words = memoryview(self._map)[:_TEXT].cast("Q")

    def put_text(self, text: str) -> None:
        """Leave a text of up to 3,500 bytes (the session's place) for whoever takes over."""
        raw = text.encode("utf-8", "surrogateescape")[:3500]
        self._map[_TEXT : _TEXT + 2 + len(raw)] = len(raw).to_bytes(2, "little") + raw

    def text(self) -> str:
        size = int.from_bytes(self._map[_TEXT : _TEXT + 2], "little")
        return self._map[_TEXT + 2 : _TEXT + 2 + size].decode("utf-8", "surrogateescape")


class Channel:
    """One end of the socket pair; sending never blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)
        self._pending: collections.deque[tuple[bytes, tuple[int, ...]]] = collections.deque()
        self._flushing = False
        self.closed = False

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        try:
            one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return cls(one), cls(two)

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        self.closed = True
        self._end.close()

    def send(self, word: str, body: object = None, fds: tuple[int, ...] = ()) -> None:
        """Send a message; one that doesn't fit now is kept for :meth:`flush`.

        A body too large for a packet is left out: the word still says that
        there is something to look for.
        """
        raw = word.encode() if body is None else f"{word} {json.dumps(body)}".encode()
        if len(raw) > _LARGEST:
            raw = word.encode()
        self._pending.append((raw, fds))
        self.flush()

    def nudge(self) -> None:
        """Wake the other side; needless when messages are under way already."""
        if not self._pending and not self.closed:
            try:
                self._end.send(b"w")
            except BlockingIOError:
                pass
            except OSError:
                self.closed = True

    @property
    def waiting(self) -> bool:
        """Whether messages are kept for :meth:`flush` because the other side is behind."""
        return bool(self._pending) and not self.closed

    def flush(self) -> None:
        """Send what is kept, as far as the other side has room for it."""
        if self._flushing:
            # A signal handler that sends while we do: its message goes out with ours.
            return
        self._flushing = True
        try:
            while self._pending and not self.closed:
                raw, fds = self._pending[0]
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
                self._end.sendmsg([raw], [rights] if fds else [])
                self._pending.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        finally:
            self._flushing = False
        if self.closed:
            self._pending.clear()

    def drain(self) -> None:
        """Wait until the other side has taken what is kept, or is gone."""
        poller = select.poll()
        if not self.closed:
            poller.register(self._end, select.POLLOUT)
        while self.waiting:
            poller.poll()
            self.flush()

    def receive(self) -> list[tuple[str, Any, list[int]]]:
        """All messages that have arrived; :attr:`closed` is set when the other side is gone."""
        messages: list[tuple[str, Any, list[int]]] = []
        while not self.closed:
            try:
                raw, ancillary, _, _ = self._end.recvmsg(_LARGEST, socket.CMSG_SPACE(16))
            except BlockingIOError:
                break
            except OSError:
                self.closed = True
                break
            if not raw:
                self.closed = True
                break
            fds = array.array("i")
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
            for fd in fds:
                os.set_inheritable(fd, False)
            if raw != b"w":
                word, _, body = raw.decode().partition(" ")
                messages.append((word, json.loads(body) if body else None, list(fds)))
        return messages
