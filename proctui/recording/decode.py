"""Lines back into snapshots.  A recording is text from outside: every value is checked.

Anything of the wrong shape raises :class:`ValueError`; every string is made
harmless, whatever the recorder did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proctui import text
from proctui.awareness.session import Moment, Session, identity_from_list
from proctui.awareness.view import Tomb
from proctui.model import (
    Certainty,
    CpuTimes,
    DiskIo,
    Identity,
    Io,
    Memory,
    NetIo,
    Pressure,
    Proc,
    ProcInfo,
    Role,
    Snapshot,
    System,
    Verdict,
)

__all__ = ["FIELDS", "Decoder"]

_TOMBS_KEPT = 256
_MOST_PROCESSES = 1 << 22


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"a whole number was expected, not {type(value).__name__}")
    return value


def _maybe_whole(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"a number was expected, not {type(value).__name__}")
    return float(value)


def _maybe_number(value: Any) -> float | None:
    return None if value is None else _number(value)


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text was expected, not {type(value).__name__}")
    return text.sanitize(value)


def _maybe_word(value: Any) -> str | None:
    return None if value is None else _word(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"a list was expected, not {type(value).__name__}")
    return value


FIELDS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("pid", _whole),
    ("inode", _maybe_whole),
    ("pidns", _maybe_whole),
    ("start_ticks", _maybe_whole),
    ("ppid", _whole),
    ("pgid", _whole),
    ("sid", _whole),
    ("tty", _whole),
    ("state", _word),
    ("name", _word),
    ("started", _maybe_number),
    ("user_time", _maybe_number),
    ("system_time", _maybe_number),
    ("rss", _maybe_whole),
    ("threads", _maybe_whole),
    ("cpu", _maybe_number),
    ("uid", _maybe_whole),
    ("kernel", _whole),
    ("seen", _whole),
)
"""Number of a field in a frame → its name and check."""


class Decoder:
    """Keeps the state that frames change."""

    def __init__(self, boot_id: str) -> None:
        self.boot_id = boot_id
        self.rows: dict[int, Proc] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.infos: dict[int, ProcInfo] = {}
        self.job: frozenset[int] = frozenset()
        self.strays: frozenset[int] = frozenset()
        self.moved: dict[int, int] = {}
        self.warnings: tuple[str, ...] = ()
        self.session: Session | None = None
        self.leader_alive = False
        self.tombs: tuple[Tomb, ...] = ()
        self._fields: dict[int, list[Any]] = {}
        self._table: list[Verdict] = []
        self._io: dict[int, Io] = {}
        self._tick = 0

    def apply(self, frame: dict[str, Any]) -> Snapshot:
        """The snapshot that this frame makes of the one before; raises :class:`ValueError`."""
        full = bool(frame.get("full"))
        before = self.rows
        rows = {} if full else before.copy()
        for pid in _list(frame.get("x", [])):
            rows.pop(_whole(pid), None)
            self._fields.pop(pid, None)
        if full:
            self._fields, self._table = {}, []
            self.verdicts, self._io = {}, {}
        for fields in _list(frame.get("p", [])):
            self._put(rows, before, _list(fields))
        for part in _list(frame.get("d", [])):
            self._patch(rows, before, _list(part))
        if len(rows) > _MOST_PROCESSES:
            raise ValueError("more processes than any kernel has")
        self.rows = rows
        self._take_verdicts(frame)
        self._take_infos(frame)
        self._take_io(frame)
        self._take_rest(frame)
        self._tick += 1
        born, died = _comings_and_goings(before, rows)
        return Snapshot(
            tick=self._tick,
            wall=_number(frame["w"]),
            boottime=_number(frame["b"]),
            interval=_maybe_number(frame["i"]),
            procs=rows,
            system=_system(_list(frame["sys"])),
            born=born,
            died=died,
            changed=frozenset(pid for pid, row in rows.items() if before.get(pid) is not row),
            io=self._io,
            warnings=self.warnings,
        )

    def _put(self, rows: dict[int, Proc], before: dict[int, Proc], fields: list[Any]) -> None:
        if len(fields) != len(FIELDS):
            raise ValueError("a row has another number of fields")
        checked = [check(value) for (_, check), value in zip(FIELDS, fields, strict=True)]
        pid = checked[0]
        identity = identity_from_list([self.boot_id, *checked[:4]])
        row = Proc._make([identity, pid, *checked[4:17], bool(checked[17]), checked[18]])
        old = before.get(pid)
        if old is not None and old == row:
            row = old
        elif old is not None and old.identity == row.identity:
            row = row._replace(identity=old.identity)
        else:
            self.infos.pop(pid, None)
        self._fields[pid] = checked
        rows[pid] = row

    def _patch(self, rows: dict[int, Proc], before: dict[int, Proc], part: list[Any]) -> None:
        pid = _whole(part[0])
        if pid not in rows or len(part) % 2 == 0:
            raise ValueError("a change of a process that was never seen")
        fields = self._fields[pid].copy()
        for place in range(1, len(part), 2):
            number = _whole(part[place])
            if not 4 <= number < len(FIELDS):
                raise ValueError("a field that no row has")
            fields[number] = part[place + 1]
        self._put(rows, before, fields)

    def _take_verdicts(self, frame: dict[str, Any]) -> None:
        for entry in _list(frame.get("vt", [])):
            role, certainty, evidence, unchecked = _list(entry)
            self._table.append(
                Verdict(
                    Role(role),
                    Certainty(certainty),
                    tuple(map(_word, _list(evidence))),
                    tuple(map(_word, _list(unchecked))),
                )
            )
        found = _list(frame.get("v", []))
        gone = self.verdicts.keys() - self.rows.keys()
        if not found and not gone:
            return
        verdicts = {pid: verdict for pid, verdict in self.verdicts.items() if pid not in gone}
        for place in range(0, len(found), 2):
            verdicts[_whole(found[place])] = self._table[_whole(found[place + 1])]
        self.verdicts = verdicts

    def _take_infos(self, frame: dict[str, Any]) -> None:
        for pid in self.infos.keys() - self.rows.keys():
            del self.infos[pid]
        for entry in _list(frame.get("n", [])):
            pid, cmdline, exe, user, container = _list(entry)
            if pid in self.rows:
                self.infos[pid] = ProcInfo(
                    self.rows[pid].identity,
                    None if cmdline is None else tuple(map(_word, _list(cmdline))),
                    _maybe_word(exe),
                    _maybe_word(user),
                    _maybe_word(container),
                )

    def _take_io(self, frame: dict[str, Any]) -> None:
        if "io" not in frame and "iox" not in frame:
            return
        current = self._io.copy()
        for pid in _list(frame.get("iox", [])):
            current.pop(_whole(pid), None)
        for entry in _list(frame.get("io", [])):
            pid, read, written, read_rate, write_rate = _list(entry)
            current[_whole(pid)] = Io(
                _maybe_whole(read),
                _maybe_whole(written),
                _maybe_number(read_rate),
                _maybe_number(write_rate),
            )
        self._io = current

    def _take_rest(self, frame: dict[str, Any]) -> None:
        if "job" in frame:
            self.job = frozenset(map(_whole, _list(frame["job"])))
        if "strays" in frame:
            self.strays = frozenset(map(_whole, _list(frame["strays"])))
        if "up" in frame:
            self.moved = {_whole(pid): _whole(up) for pid, up in map(_list, _list(frame["up"]))}
        if "warn" in frame:
            self.warnings = tuple(map(_word, _list(frame["warn"])))
        if "lead" in frame:
            self.leader_alive = bool(frame["lead"])
        if "ses" in frame:
            self.session = None if frame["ses"] is None else self._session(_list(frame["ses"]))
        if "dead" in frame:
            fresh = [self._tomb(_list(entry)) for entry in _list(frame["dead"])]
            names = {(*tomb.identity.key, tomb.exit) for tomb in fresh}
            kept = [one for one in self.tombs if (*one.identity.key, one.exit) not in names]
            self.tombs = (*kept, *fresh)[-_TOMBS_KEPT:]

    def _session(self, entry: list[Any]) -> Session:
        number, label, uid, kind, state, status, created, leader = entry
        boottime, wall = map(_number, _list(created))
        return Session(
            id=_word(number),
            label=_word(label),
            uid=_whole(uid),
            boot_id=self.boot_id,
            pidns=None,
            created=Moment(boottime, wall),
            kind=_word(kind),
            leader=None if leader is None else identity_from_list(leader),
            state=_word(state),
            exit_status=_maybe_whole(status),
        )

    def _tomb(self, entry: list[Any]) -> Tomb:
        who, name, parent, role, died, lifetime, cpu_seconds, peak, status, *more = entry
        return Tomb(
            identity_from_list([self.boot_id, *_list(who)]),
            _word(name),
            _maybe_whole(parent),
            Role(role),
            _number(died),
            _maybe_number(lifetime),
            _maybe_number(cpu_seconds),
            _maybe_whole(peak),
            _maybe_whole(status),
            oom=more == [1],
        )

    def info(self, identity: Identity) -> ProcInfo | None:
        """What was recorded about exactly this process."""
        row = self.rows.get(identity.pid)
        if row is None or not row.identity.same(identity):
            return None
        return self.infos.get(identity.pid)


def _comings_and_goings(
    before: dict[int, Proc], rows: dict[int, Proc]
) -> tuple[tuple[int, ...], tuple[Proc, ...]]:
    born = tuple(
        pid
        for pid, row in rows.items()
        if (old := before.get(pid)) is not row
        and (old is None or not old.identity.same(row.identity))
    )
    died = tuple(
        row
        for pid, row in before.items()
        if (now := rows.get(pid)) is not row
        and (now is None or not now.identity.same(row.identity))
    )
    return born, died


def _system(entry: list[Any]) -> System:
    cpu, per_core, memory, load, pressure, rates, cores = entry
    usage, user, system, iowait = map(_maybe_number, _list(cpu))
    read, write, sent, received = map(_maybe_number, _list(rates))
    total, available, used, swap_total, swap_used = map(_maybe_whole, _list(memory))
    averages = None
    if load is not None:
        one, five, fifteen = map(_number, _list(load))
        averages = (one, five, fifteen)
    stalls = None
    if pressure is not None:
        for_cpu, for_memory, for_io = map(_maybe_number, _list(pressure))
        stalls = Pressure(for_cpu, for_memory, for_io)
    return System(
        cpu=CpuTimes(usage, tuple(map(_number, _list(per_core))), user, system, iowait),
        memory=Memory(total, available, used, swap_total, swap_used),
        load=averages,
        pressure=stalls,
        disk=DiskIo(read, write),
        net=NetIo(sent, received),
        cores=_whole(cores),
    )
