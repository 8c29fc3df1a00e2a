"""The runner's socket: one line of JSON asked, one line answered, to the same user only.

``handlers`` maps the word under ``ask`` to a function of the request and the
peer; whoever has more to offer (the broker) adds to it.  A handler answers
at once; one that needs time forks (:meth:`Client.hand_over`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proctui.awareness.session import to_document
from proctui.errors import ProctuiError

if TYPE_CHECKING:
    from proctui.awareness.live import Peer
    from proctui.jobs.runner import Runner

__all__ = ["Client", "Handler", "Service"]

Handler = Callable[[dict[str, Any], "Peer", "Client"], "dict[str, Any] | None"]

NAME = "runner.sock"
_REQUEST_LIMIT = 1 << 20
_CLIENTS = 64


class Service:
    """Listens in the session's directory; questions are answered within the runner's loop."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.handlers: dict[str, Handler] = {
            "truth": self._truth,
            "status": self._status,
            "resize": self._resize,
            "command": self._command,
            "adopt": self._adopt,
            "stacks": self._stacks,
        }
        self.clients: set[Client] = set()
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Take the socket's name, from a killed predecessor too.

        The kernel tells a client who *listens* (SO_PEERCRED), so each owner
        needs a socket of its own.
        """
        directory = self.runner.writer.directory_fd
        temporary = f".{NAME}.{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            # A socket's address holds 108 bytes; a state directory's path may be longer.
            listener.bind(f"/proc/self/fd/{directory}/{temporary}")
            listener.listen(16)
            listener.setblocking(False)
            os.rename(temporary, NAME, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            # Without a socket the session is known by what its owner publishes in memory.
            listener.close()
            return
        self._listener = listener
        self.runner.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        for client in list(self.clients):
            client.close()
        if self._listener is not None:
            self.runner.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            with contextlib.suppress(OSError):
                os.unlink(NAME, dir_fd=self.runner.writer.directory_fd)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self.clients) >= _CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        self.clients.add(Client(self, connection))

    def answer(self, raw: bytes, client: Client) -> dict[str, Any] | None:
        """The answer to one line; trouble becomes ``{"ok": false, "error": …}``."""
        from proctui.awareness import live

        try:
            peer = live.peer(client.connection)
            if peer.uid not in (0, os.geteuid()):
                return _failed("refused", "this session belongs to another user")
            request = json.loads(raw)
            if not isinstance(request, dict):
                return _failed("bad-argument", "a request is an object")
            handler = self.handlers.get(str(request.get("ask")))
            if handler is None:
                return _failed("bad-argument", "nobody here answers that")
            return handler(request, peer, client)
        except ProctuiError as error:
            return {"ok": False, "error": dict(error.body())}
        except (ValueError, RecursionError):
            return _failed("bad-argument", "the request is no JSON")

    def _truth(self, request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
        self.runner.end_census()
        self.runner.members.look()
        writer = self.runner.writer
        return {
            "ok": True,
            "session": to_document(writer.session),
            "baseline": self.runner.members.baseline_lines().decode(),
            "spawned": [entry.document() for entry in writer.spawned()],
        }

    def _status(self, request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
        return {"ok": True, "status": self.runner.status}

    def _command(
        self, request: dict[str, Any], peer: Peer, client: Client
    ) -> dict[str, Any] | None:
        # Imported late: the runner of most jobs never needs it, and shall stay small.
        from proctui.jobs import broker

        return broker.answer(request, peer, client)

    def _adopt(self, request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
        from proctui.jobs import adoption

        return adoption.answer(request, peer, client)

    def _stacks(self, request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
        # What Yama leaves to ancestors alone; imported late, the runner shall stay small.
        from proctui.stacks import remote

        return remote.serve_request(request)

    def _resize(self, request: dict[str, Any], peer: Peer, client: Client) -> dict[str, Any]:
        from proctui.jobs.plumbing import set_size

        columns, rows = request.get("columns"), request.get("rows")
        if type(columns) is not int or type(rows) is not int or not 0 < columns < 65536 > rows > 0:
            return _failed("bad-argument", "columns and rows are numbers from 1 to 65535")
        if self.runner.means.plumbing.master < 0:
            return _failed("not-supported", "the job has no terminal of ours")
        set_size(self.runner.means.plumbing.master, columns, rows)
        return {"ok": True}


def _failed(kind: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"kind": kind, "message": message, "hint": None}}


class Client:
    """One connection; a slow one waits for itself, never the runner for it."""

    def __init__(self, service: Service, connection: socket.socket) -> None:
        self.service = service
        self.connection = connection
        self._asked = bytearray()
        self._answer = bytearray()
        service.runner.watch(connection.fileno(), self._ready)

    def close(self) -> None:
        self.service.runner.forget(self.connection.fileno())
        self.connection.close()
        self.service.clients.discard(self)

    def hand_over(self, work: Callable[[], dict[str, Any]]) -> None:
        """Answer from a forked helper, for what takes longer than a look."""
        runner = self.service.runner
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self.connection.setblocking(True)
                try:
                    result = work()
                except ProctuiError as error:
                    result = {"ok": False, "error": dict(error.body())}
                self.connection.sendall(json.dumps(result).encode() + b"\n")
                status = 0
            finally:
                os._exit(status)
        runner.helpers[pid] = lambda _: self.close()
        runner.forget(self.connection.fileno())

    def _ready(self) -> None:
        try:
            if self._answer:
                del self._answer[: self.connection.send(self._answer)]
                if not self._answer:
                    self.service.runner.watch(self.connection.fileno(), self._ready)
                return
            chunk = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk or len(self._asked) > _REQUEST_LIMIT:
            self.close()
            return
        self._asked += chunk
        line, newline, rest = self._asked.partition(b"\n")
        if not newline:
            return
        self._asked = rest
        answer = self.service.answer(bytes(line), self)
        if answer is None:
            return
        self._answer += json.dumps(answer).encode() + b"\n"
        self.service.runner.watch(self.connection.fileno(), self._ready, select.POLLOUT)
