"""Evidence 4: the marker in an environment, asked of each process as seldom as honesty allows."""

from __future__ import annotations

from collections.abc import Mapping

from proctui.awareness.baseline import Key, started_at
from proctui.awareness.evidence import read_marker
from proctui.awareness.session import Session
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Identity, Proc

__all__ = ["Marks"]

_SETTLED = 1.0
"""Seconds after its start in which a process may still exec and get its own environment."""


class Marks:
    """Remembers whom it asked: again after an exec, and once more when a newcomer has settled.

    ``unchecked`` says of whom the environment could not be read, and why.
    """

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._asked: dict[Key, str] = {}
        self._young: dict[Key, tuple[int, float]] = {}
        self._settled: set[Key] = set()
        self._now = 0.0
        self.unchecked: dict[Key, tuple[str, ...]] = {}

    def begin(self, procs: Mapping[int, Proc], boottime: float) -> set[int]:
        """A new look: the pids that have to be asked again.

        Who was met between fork and exec has another environment a moment later.
        """
        self._now = boottime
        due = set()
        for key, (pid, until) in list(self._young.items()):
            proc = procs.get(pid)
            if proc is None or proc.identity.key != key:
                del self._young[key]
            elif boottime > until:
                del self._young[key]
                self._settled.add(key)
                self._asked.pop(key, None)
                due.add(pid)
        return due

    def unchecked_of(self, identity: Identity) -> tuple[str, ...]:
        return self.unchecked.get(identity.key, ()) if self.unchecked else ()

    def forget(self, identity: Identity) -> None:
        self.unchecked.pop(identity.key, None)
        self._asked.pop(identity.key, None)
        self._settled.discard(identity.key)

    def carries(self, session: Session, proc: Proc) -> bool:
        """Whether its environment bears the session's marker, as far as it is known now.

        A watched job was not started by us and has none; another user's
        environment says nothing.
        """
        key = proc.identity.key
        if self._root is None or not session.marker or session.kind == "watch" or proc.kernel:
            return False
        if self._asked.get(key) == proc.name:
            return False
        self._asked[key] = proc.name
        if started_at(proc.identity) is not None and key not in self._settled:
            born = (proc.identity.start_ticks or 0) / CLOCK_TICKS
            if self._now - born < _SETTLED:
                self._young[key] = (proc.pid, born + _SETTLED)
        if proc.uid is not None and proc.uid != session.uid:
            self.unchecked[key] = (f"environ: the process runs as uid {proc.uid}",)
            return False
        found = read_marker(proc.pid, self._root)
        if found.trouble is not None:
            self.unchecked[key] = (found.trouble,)
            return False
        self.unchecked.pop(key, None)
        return session.marker in found.ids
