"""Which processes are the job's, as the runner records them for everybody else."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from proctui.awareness import memory
from proctui.awareness.baseline import Baseline
from proctui.awareness.entry import Entry
from proctui.errors import ProctuiError
from proctui.ident import Identity
from proctui.jobs import family
from proctui.machine import identity
from proctui.role import Certainty
from proctui.text import decode
from proctui.units import clock_text

if TYPE_CHECKING:
    from proctui.jobs.runner import Runner

__all__ = ["Members"]

_LOOK_ANYWAY = 10
"""Ticks after which the job is looked at even if no process was born anywhere."""


class Members:
    """The job's live processes, latched into the session's record.

    ``tty`` is the device number of the job's own terminal (0: none): who has
    another one (a window somebody opened in a tmux that the job started) is
    only ``likely`` the job's, and so is what stands below him.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.tty = 0
        self.none_left = False
        self._known: dict[tuple[int, int], Entry] = {}
        self._adopted: dict[tuple[object, ...], Identity] = {}
        self._live: list[family.Member] = []
        self._last_pid = b""
        self._unlooked = 0
        self._loadavg = -1
        with contextlib.suppress(OSError):
            self._loadavg = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)

    def look_if_changed(self) -> None:
        """Look, unless the kernel has given out no pid since the last look (proc_loadavg(5))."""
        last = b""
        if self._loadavg >= 0:
            last = os.pread(self._loadavg, 256, 0).rpartition(b" ")[2]
        self._unlooked += 1
        if last and last == self._last_pid and self._unlooked < _LOOK_ANYWAY:
            return
        self._last_pid = last
        self.look()

    def look(self) -> list[family.Member]:
        """Everything alive below the runner, helpers of ours excepted; recorded at once."""
        self._unlooked = 0
        runner = self.runner
        found = family.walk(runner.own.pid, runner.helpers)
        self._live = [member for member in found if not member.zombie]
        fresh: dict[tuple[int, int], Entry] = {}
        certainties: dict[int, Certainty] = {}
        for member in self._live:
            key = (member.pid, member.line.start)
            above = certainties.get(member.line.ppid, Certainty.CERTAIN)
            foreign = member.line.tty not in (0, self.tty)
            certainty = certainties[member.pid] = Certainty.LIKELY if foreign else above
            entry = self._known.get(key)
            if entry is None or entry.certainty is not certainty:
                who = entry.identity if entry is not None else _identify(member)
                if who is None:
                    continue
                entry = Entry(who, self._evidence(member, foreign), certainty)
                runner.writer.record_spawned(*entry)
            fresh[key] = entry
        runner.writer.forget(
            self._known[key].identity.key for key in self._known.keys() - fresh.keys()
        )
        self._known = fresh
        runner.writer.flush()
        return self._live

    def baseline_lines(self) -> bytes:
        """The baseline as it is published: from the sealed memory that this process holds."""
        session = self.runner.writer.session
        return memory.read_bytes(self.runner.own.pid, session.id, "baseline") or b""

    def adopt(self, who: Identity, words: str) -> None:
        """A person outside says that it is the job's: certain from here on."""
        writer = self.runner.writer
        self.runner.end_census()
        lines = self.baseline_lines()
        baseline = Baseline.from_bytes(lines) if lines else None
        if baseline is not None and baseline.release(who):
            writer.write_baseline_lines(baseline.span, baseline.to_bytes())
        writer.record_spawned(who, (words,), Certainty.CERTAIN)
        writer.flush()
        self._adopted[who.key] = who

    def adopted_left(self) -> bool:
        """Whether something that was adopted lives on; the session lives as long."""
        ended = [key for key, who in self._adopted.items() if not identity.alive(who)]
        for key in ended:
            del self._adopted[key]
        self.runner.writer.forget(ended)
        return bool(self._adopted)

    def _evidence(self, member: family.Member, foreign: bool) -> tuple[str, ...]:
        runner = self.runner
        at = clock_text(time.time())
        if runner.job is not None and member.pid == runner.job.pid:
            words = f"started by the session's runner {runner.own.pid}, seen {at}"
        elif member.line.ppid == runner.own.pid:
            words = f"orphan of the job, taken in by its runner {runner.own.pid}, seen {at}"
        else:
            words = f"child of {member.line.ppid}, seen {at}"
        return (words, "it has a terminal that is not the job's") if foreign else (words,)

    def describe(self) -> list[dict[str, Any]]:
        """The live processes of the last look, for the status file: a stray's whole provenance."""
        rows = []
        for member in self._live:
            entry = self._known.get((member.pid, member.line.start))
            if entry is not None:
                rows.append(
                    {
                        "pid": member.pid,
                        "identity": str(entry.identity),
                        "name": member.name,
                        "cmdline": _cmdline(member.pid),
                        "certainty": str(entry.certainty),
                        "evidence": list(entry.evidence),
                    }
                )
        return rows


def _identify(member: family.Member) -> Identity | None:
    """The member's identity, ``None`` if its number is somebody else's by now."""
    try:
        found = identity.identify(member.pid)
    except ProctuiError:
        return None
    return found if found.start_ticks in (None, member.line.start) else None


def _cmdline(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(65536)
    except OSError:
        return None
    from proctui.redact import redact_argv

    return list(redact_argv([decode(part) for part in raw.rstrip(b"\0").split(b"\0")]))
