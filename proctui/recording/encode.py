"""Views into lines: everything once, then only what changed.

A full frame begins every member; the frames after it name processes by pid
and fields by number.  The decoder is :mod:`proctui.recording.decode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proctui.awareness.session import Session, identity_to_list
from proctui.awareness.view import Tomb, View
from proctui.model import Identity, Io, Proc, ProcInfo, System, Verdict

__all__ = ["Encoder"]

_INFOS_A_FRAME = 200
"""Command lines of processes outside the job that are looked up per frame at most."""


class Encoder:
    """Turns views into frames; ``keep`` limits them to some pids."""

    def __init__(self) -> None:
        self._rows: Mapping[int, Proc] = {}
        self._tick: int | None = None
        self.reset()

    def reset(self) -> None:
        """Make the next frame a full one."""
        self._full = True
        self._known: dict[int, list[Any]] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._verdict_map: Mapping[int, Verdict] | None = None
        self._table: dict[Verdict, int] = {}
        self._infos: dict[int, ProcInfo | None] = {}
        self._asked: set[int] = set()
        self._io: dict[int, Io] = {}
        self._tombs: set[tuple[Any, ...]] = set()
        self._small: dict[str, Any] = {}

    def frame(self, view: View, keep: frozenset[int] | None = None) -> dict[str, Any]:
        """One line of the recording."""
        snapshot = view.snapshot
        rows = snapshot.procs
        if keep is not None:
            rows = {pid: rows[pid] for pid in keep if pid in rows}
        frame: dict[str, Any] = {
            "t": snapshot.tick,
            "w": round(snapshot.wall, 3),
            "b": round(snapshot.boottime, 3),
            "i": None if snapshot.interval is None else round(snapshot.interval, 4),
            "sys": _system(snapshot.system),
        }
        if self._full:
            frame["full"] = 1
        changed = self._changed(view, rows, keep)
        gone = [pid for pid in self._known if pid not in rows]
        reborn = self._put_rows(frame, rows, changed)
        if gone:
            frame["x"] = gone
            for pid in gone:
                self._forget(pid)
        self._put_verdicts(frame, view, rows)
        self._put_infos(frame, view, rows, [*changed, *reborn])
        self._put_io(frame, {pid: io for pid, io in snapshot.io.items() if pid in rows})
        self._put_tombs(frame, view.tombs, keep)
        small = {
            "job": sorted(view.job & rows.keys()),
            "strays": sorted(view.strays & rows.keys()),
            "up": sorted([pid, up] for pid, up in view.parents.items() if pid in rows),
            "warn": list(view.warnings),
            "ses": _session(view.session),
            "lead": view.leader_alive,
        }
        frame |= {name: value for name, value in small.items() if self._small.get(name) != value}
        self._small = small
        self._rows, self._tick, self._full = rows, snapshot.tick, False
        return frame

    def _changed(self, view: View, rows: Mapping[int, Proc], keep: object) -> list[int]:
        snapshot = view.snapshot
        if self._full:
            return list(rows)
        if keep is None and self._tick is not None and snapshot.tick == self._tick + 1:
            return [pid for pid in snapshot.changed if pid in rows]
        before = self._rows
        return [pid for pid, row in rows.items() if before.get(pid) is not row]

    def _put_rows(
        self, frame: dict[str, Any], rows: Mapping[int, Proc], changed: Iterable[int]
    ) -> list[int]:
        whole: list[list[Any]] = []
        parts: list[list[Any]] = []
        reborn: list[int] = []
        for pid in changed:
            row = rows[pid]
            fields = row_fields(row)
            old = self._known.get(pid)
            self._known[pid] = fields
            if old is None or old[:4] != fields[:4]:
                if old is not None:
                    reborn.append(pid)
                    self._infos.pop(pid, None)
                    self._verdicts.pop(pid, None)
                whole.append(fields)
                continue
            part: list[Any] = [pid]
            for number, (one, two) in enumerate(zip(old, fields, strict=True)):
                if one != two:
                    part += (number, two)
            if len(part) > 1:
                parts.append(part)
        if whole:
            frame["p"] = whole
        if parts:
            frame["d"] = parts
        return reborn

    def _forget(self, pid: int) -> None:
        self._known.pop(pid, None)
        self._verdicts.pop(pid, None)
        self._infos.pop(pid, None)
        self._asked.discard(pid)

    def _put_verdicts(self, frame: dict[str, Any], view: View, rows: Mapping[int, Proc]) -> None:
        if view.verdicts is self._verdict_map and rows.keys() == self._rows.keys():
            return
        self._verdict_map = view.verdicts
        new: list[Any] = []
        found: list[int] = []
        for pid in rows:
            verdict = view.verdicts.get(pid)
            if verdict is None or self._verdicts.get(pid) == verdict:
                continue
            self._verdicts[pid] = verdict
            number = self._table.get(verdict)
            if number is None:
                number = self._table[verdict] = len(self._table)
                new.append(
                    [
                        str(verdict.role),
                        str(verdict.certainty),
                        list(verdict.evidence),
                        list(verdict.unchecked),
                    ]
                )
            found += (pid, number)
        if new:
            frame["vt"] = new
        if found:
            frame["v"] = found

    def _put_infos(
        self,
        frame: dict[str, Any],
        view: View,
        rows: Mapping[int, Proc],
        changed: Iterable[int],
    ) -> None:
        wanted = {pid for pid in changed if pid in self._asked or pid in view.job}
        wanted |= view.job & rows.keys()
        missing = [pid for pid in rows if pid not in self._asked]
        wanted.update(missing[:_INFOS_A_FRAME])
        found: list[list[Any]] = []
        for pid in wanted:
            info = view.info(pid)
            self._asked.add(pid)
            if info is None or self._infos.get(pid) == info:
                continue
            self._infos[pid] = info
            cmdline = None if info.cmdline is None else list(info.cmdline)
            found.append([pid, cmdline, info.exe, info.user, info.container])
        if found:
            frame["n"] = found

    def _put_io(self, frame: dict[str, Any], current: dict[int, Io]) -> None:
        found = [
            [pid, io.read_bytes, io.write_bytes, _round(io.read_rate), _round(io.write_rate)]
            for pid, io in current.items()
            if self._io.get(pid) != io
        ]
        gone = [pid for pid in self._io if pid not in current]
        if found:
            frame["io"] = found
        if gone:
            frame["iox"] = gone
        self._io = current

    def _put_tombs(
        self, frame: dict[str, Any], tombs: Iterable[Tomb], keep: frozenset[int] | None
    ) -> None:
        found: list[list[Any]] = []
        current: set[tuple[Any, ...]] = set()
        for tomb in tombs:
            key = (*tomb.identity.key, tomb.exit)
            current.add(key)
            if key in self._tombs or (keep is not None and tomb.identity.pid not in keep):
                continue
            found.append(
                [
                    identity_fields(tomb.identity),
                    tomb.name,
                    tomb.parent,
                    str(tomb.role),
                    round(tomb.died, 3),
                    _round(tomb.lifetime),
                    _round(tomb.cpu_seconds),
                    tomb.peak_rss,
                    tomb.exit,
                    *([1] if tomb.oom else ()),
                ]
            )
        self._tombs = current
        if found:
            frame["dead"] = found


def identity_fields(identity: Identity) -> list[Any]:
    """Pid, inode, namespace, start ticks; the boot id stands in the header."""
    return [identity.pid, identity.inode, identity.pidns, identity.start_ticks]


def row_fields(row: Proc) -> list[Any]:
    """The order that frames number fields by; see :data:`proctui.recording.decode.FIELDS`."""
    return [
        *identity_fields(row.identity),
        row.ppid,
        row.pgid,
        row.sid,
        row.tty,
        row.state,
        row.name,
        _round(row.started, 3),
        _round(row.user_time),
        _round(row.system_time),
        row.rss,
        row.threads,
        _round(row.cpu, 1),
        row.uid,
        int(row.kernel),
        row.seen,
    ]


def _system(system: System) -> list[Any]:
    cpu, memory, pressure = system.cpu, system.memory, system.pressure
    return [
        [_round(cpu.usage), _round(cpu.user), _round(cpu.system), _round(cpu.iowait)],
        [_round(share, 1) for share in cpu.per_core],
        list(memory),
        None if system.load is None else list(system.load),
        None if pressure is None else list(pressure),
        [_round(rate, 0) for rate in (*system.disk, *system.net)],
        system.cores,
    ]


def _session(session: Session | None) -> list[Any] | None:
    if session is None:
        return None
    leader = None if session.leader is None else identity_to_list(session.leader)
    return [
        session.id,
        session.label,
        session.uid,
        session.kind,
        session.state,
        session.exit_status,
        list(session.created),
        leader,
    ]


def _round(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
