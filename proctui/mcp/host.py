"""The session an MCP server works in: the one it was started inside, else one of its own.

In its own session the client is the leader and an ancestor: what existed at
the start is baseline, what the client starts later is spawned, and a look
twice a second latches it before it can slip away.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from proctui.errors import ProctuiError
from proctui.mcp.outside import Outside
from proctui.model import Identity
from proctui.stacks import tooling
from proctui.text import sanitize
from proctui.tools import background
from proctui.tools.results import ProcessRef

if TYPE_CHECKING:
    from proctui.awareness.view import View
    from proctui.awareness.watch import Watch
    from proctui.awareness.writer import SessionWriter

__all__ = ["Host"]

_TICK = 0.5


class Host:
    """One watch for the server's life; :meth:`look` is safe from any thread."""

    def __init__(
        self,
        watch: Watch,
        writer: SessionWriter | None,
        client: Identity | None,
        outside: Outside | None = None,
    ) -> None:
        self.watch = watch
        self.outside = outside
        self.writer = writer
        self.client = client
        self._ended = threading.Event()
        self._closing = threading.Lock()
        self._ticker: threading.Thread | None = None
        if writer is not None:
            self._ticker = threading.Thread(target=self._tick, name="ticks", daemon=True)
            self._ticker.start()

    @classmethod
    def open(cls) -> Host:
        """Find the session that contains us, or open one; the baseline is taken at once."""
        from proctui.awareness import registry
        from proctui.awareness.opening import open_watch
        from proctui.awareness.select import containing
        from proctui.jobs.broker import walled_off

        client = _client()
        inside = containing([one for one in registry.list_sessions() if one.state == "live"])
        if inside:
            outside = Outside(inside[0]) if walled_off(inside[0]) else None
            host = cls(open_watch(inside[0].id, history=0), None, client, outside)
        else:
            host = cls._own_session(client)
        background.own_by(host.owner())
        return host

    @classmethod
    def _own_session(cls, client: Identity | None) -> Host:
        from proctui.awareness.baseline import Baseline
        from proctui.awareness.watch import Watch
        from proctui.awareness.writer import create_session
        from proctui.machine.source import open_source

        source = open_source()
        baseline, _ = Baseline.capture(source)
        writer = create_session(f"mcp: {_name_of(client)}", kind="mcp", leader=client)
        writer.write_baseline(baseline)
        return cls(Watch(source, writer=writer, history=0), writer, client)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self) -> View:
        """The machine now, with what the server has seen since it began."""
        return self.watch.look()

    def owner(self) -> ProcessRef | None:
        """The client, as results name it."""
        if self.client is None:
            return None
        view = self.look()
        proc = view.proc(self.client.pid)
        if proc is None or not proc.identity.same(self.client):
            return None
        return {
            "pid": proc.pid,
            "identity": str(proc.identity),
            "name": proc.name,
            "role": str(view.role(proc.pid)),
        }

    def close(self) -> None:
        """End what was started, then the session; once, whoever calls."""
        with self._closing:
            if self._ended.is_set():
                return
            self._ended.set()
            tooling.end_all()
            background.close_all()
            if self._ticker is not None:
                self._ticker.join(_TICK * 4)
            if self.writer is not None:
                if _audited(self.writer):
                    self.writer.end()
                else:
                    self.writer.discard()
            self.watch.close()

    def _tick(self) -> None:
        while not self._ended.wait(_TICK):
            self.watch.tick()


def _client() -> Identity | None:
    """Who speaks to us: the nearest ancestor that does not read from the same pipe as we do.

    A launcher (``uvx``, ``npx``, a shell) hands its own stdin on to us; the
    client holds the other end.
    """
    from proctui.machine.identity import identify

    wire = _stdin_of("self")
    client = os.getppid()
    seen = {os.getpid()}
    while client > 1 and client not in seen and wire is not None and _stdin_of(client) == wire:
        seen.add(client)
        client = _parent_of(client)
    try:
        return identify(client) if client > 1 else None
    except ProctuiError:
        return None


def _stdin_of(pid: int | str) -> str | None:
    """The pipe or socket behind descriptor 0; ``None`` for anything that others share by chance."""
    try:
        target = os.readlink(f"/proc/{pid}/fd/0")
    except OSError:
        return None
    return target if target.startswith(("pipe:", "socket:")) else None


def _parent_of(pid: int) -> int:
    from proctui.machine import stat

    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return stat.parse(file.read()).ppid
    except OSError:
        return 0


def _name_of(client: Identity | None) -> str:
    if client is None:
        return "no client"
    try:
        with open(f"/proc/{client.pid}/comm", encoding="utf-8", errors="replace") as file:
            return sanitize(file.read().strip())
    except OSError:
        return str(client.pid)


def _audited(writer: SessionWriter) -> bool:
    try:
        return os.stat("audit.jsonl", dir_fd=writer.directory_fd).st_size > 0
    except OSError:
        return False
