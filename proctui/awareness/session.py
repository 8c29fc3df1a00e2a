"""What a session is: one watched job, as its ``session.json`` says.

The file's schema is this module: :func:`to_document` writes it,
:func:`from_document` reads it strictly, so that half a file, or one that
somebody edited into nonsense, is refused as a whole instead of half believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from proctui.ident import Identity
from proctui.text import sanitize

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MARKER_VARIABLE",
    "SCHEMA",
    "WHOLE_ID",
    "BaselineSpan",
    "Caps",
    "Controller",
    "Moment",
    "Session",
    "from_document",
    "identity_from_list",
    "identity_to_list",
    "marker_ids",
    "marker_value",
    "to_document",
]

SCHEMA = 1
MARKER_VARIABLE = "PROCTUI_SESSION"
LIFETIMES = ("session", "parent", "persistent")
KINDS = ("run", "watch", "library", "mcp", "demo")
WHOLE_ID = re.compile(r"[0-9a-f]{32}")


class Moment(NamedTuple):
    """A point in time: seconds since boot (unmoved by clock jumps) and seconds since 1970."""

    boottime: float
    wall: float


class Controller(NamedTuple):
    """A process that steers a session: its runner, keeper, front, dashboard, client or library."""

    role: str
    identity: Identity


class Caps(NamedTuple):
    """What the kernel allowed this session."""

    pidfd: bool = False
    pidfs: bool = False
    subreaper: bool = False
    cgroup_kill: bool = False
    fence: bool = False


NO_CAPS = Caps()
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class BaselineSpan(NamedTuple):
    """The scan is not atomic: what was born within ``[t0, t1]`` (seconds since boot) is unknown."""

    t0: float
    t1: float
    size: int
    complete: bool
    unreadable: int

    def document(self) -> dict[str, float | int | bool]:
        words = self._asdict()
        words["count"] = words.pop("size")
        return words


class Session(NamedTuple):
    """One watched job.

    ``state`` is ``live``, ``orphaned`` (the leader ended, spawned processes
    live) or ``ended``, worked out by the registry against the kernel, not
    believed from the file.  ``foreign`` says that it belongs to another pid
    namespace and can only be looked at.  ``place`` is where its files stand,
    ``None`` for a session that was never registered.
    """

    id: str
    label: str
    uid: int
    boot_id: str
    pidns: int | None
    created: Moment
    kind: str = "run"
    parent: str | None = None
    leader: Identity | None = None
    runner: Identity | None = None
    keeper: Identity | None = None
    controllers: tuple[Controller, ...] = ()
    pgid: int | None = None
    sid: int | None = None
    tty: int | None = None
    cgroup: str | None = None
    marker: str = ""
    caps: Caps = NO_CAPS
    baseline: BaselineSpan | None = None
    lifetime: str = "session"
    state: str = "live"
    exit_status: int | None = None
    ended: Moment | None = None
    extra: Mapping[str, Any] = _NOTHING
    place: str | None = None
    foreign: bool = False
    owner_alive: bool = False

    @property
    def directory(self) -> Path | None:
        """:attr:`place` for whoever walks on from there."""
        # Not above: with what it takes along, urllib among it, a megabyte in every runner.
        from pathlib import Path

        return None if self.place is None else Path(self.place)

    @property
    def socket(self) -> Path | None:
        """Where the living runner answers."""
        return None if self.directory is None else self.directory / "runner.sock"

    @property
    def capture(self) -> Path | None:
        """The job's captured output, where ``run`` made one (``extra["capture"]`` names it)."""
        name, directory = self.extra.get("capture"), self.directory
        if directory is None or not isinstance(name, str) or "/" in name or not name:
            return None
        return directory / name


def identity_to_list(identity: Identity) -> list[str | int | None]:
    """``[boot_id, pid, inode, pidns, start_ticks]``, as it stands in files and on the socket."""
    return list(identity)


def identity_from_list(raw: object) -> Identity:
    """The reverse of :func:`identity_to_list`; :class:`ValueError` for anything else."""
    if not isinstance(raw, list) or len(raw) != 5:
        raise ValueError("an identity is a list of five")
    boot, pid, inode, pidns, ticks = raw
    if not isinstance(boot, str) or not 0 < len(boot) <= 64:
        raise ValueError("an identity needs a boot id")
    if type(pid) is not int or not 0 < pid <= 2**22:
        raise ValueError("an identity needs a pid")
    for number in (inode, pidns, ticks):
        if number is not None and (type(number) is not int or not 0 <= number < 2**64):
            raise ValueError("an identity holds whole numbers")
    if inode is None and ticks is None:
        raise ValueError("a bare pid is no identity")
    return Identity(boot, pid, inode, pidns, ticks)


def to_document(session: Session) -> dict[str, Any]:
    """The content of ``session.json``; only ``running`` or ``ended`` is recorded as state."""

    def ident(value: Identity | None) -> list[str | int | None] | None:
        return None if value is None else identity_to_list(value)

    def moment(value: Moment | None) -> dict[str, float] | None:
        return None if value is None else {"boottime": value.boottime, "wall": value.wall}

    return {
        "schema": SCHEMA,
        "session_id": session.id,
        "parent_session": session.parent,
        "label": session.label,
        "kind": session.kind,
        "uid": session.uid,
        "boot_id": session.boot_id,
        "pidns_ino": session.pidns,
        "created": moment(session.created),
        "leader": ident(session.leader),
        "runner": ident(session.runner),
        "keeper": ident(session.keeper),
        "controllers": [
            {"role": one.role, "ident": identity_to_list(one.identity)}
            for one in session.controllers
        ],
        "pgid": session.pgid,
        "sid": session.sid,
        "tty": session.tty,
        "cgroup": session.cgroup,
        "marker": session.marker,
        "caps": session.caps._asdict(),
        "baseline": None if session.baseline is None else session.baseline.document(),
        "lifetime": session.lifetime,
        "state": "ended" if session.state == "ended" else "running",
        "exit_status": session.exit_status,
        "ended": moment(session.ended),
        "extra": dict(session.extra),
    }


def _pick(document: Mapping[str, Any], name: str, *kinds: type) -> Any:
    value = document.get(name)
    if type(value) not in kinds:
        raise ValueError(f"{name} is missing or of the wrong type")
    return value


def _moment(raw: object) -> Moment:
    if not isinstance(raw, dict):
        raise ValueError("a moment is an object")
    values = (_pick(raw, "boottime", float, int), _pick(raw, "wall", float, int))
    return Moment(float(values[0]), float(values[1]))


def from_document(document: object, directory: Path | str | None = None) -> Session:
    """Read a ``session.json``; :class:`ValueError` says what is wrong with it."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError("no session file of a schema this proctui knows")
    none = type(None)
    name = _pick(document, "session_id", str)
    if not WHOLE_ID.fullmatch(name):
        raise ValueError("session_id is no 128-bit hexadecimal number")
    kind, lifetime = _pick(document, "kind", str), _pick(document, "lifetime", str)
    state = _pick(document, "state", str)
    if kind not in KINDS or lifetime not in LIFETIMES or state not in ("running", "ended"):
        raise ValueError("kind, lifetime or state is unknown")

    def ident(field_name: str) -> Identity | None:
        raw = document.get(field_name)
        return None if raw is None else identity_from_list(raw)

    parent = _pick(document, "parent_session", str, none)
    if parent is not None and not WHOLE_ID.fullmatch(parent):
        raise ValueError("parent_session is no session id")
    controllers = _pick(document, "controllers", list)
    raw_caps = _pick(document, "caps", dict)
    raw_span = _pick(document, "baseline", dict, none)
    span = None
    if raw_span is not None:
        span = BaselineSpan(
            float(_pick(raw_span, "t0", float, int)),
            float(_pick(raw_span, "t1", float, int)),
            _pick(raw_span, "count", int),
            _pick(raw_span, "complete", bool),
            _pick(raw_span, "unreadable", int),
        )
    ended = document.get("ended")
    return Session(
        id=name,
        label=sanitize(_pick(document, "label", str))[:200],
        uid=_pick(document, "uid", int),
        boot_id=_pick(document, "boot_id", str),
        pidns=_pick(document, "pidns_ino", int, none),
        created=_moment(document.get("created")),
        kind=kind,
        parent=parent,
        leader=ident("leader"),
        runner=ident("runner"),
        keeper=ident("keeper"),
        controllers=tuple(_controller(one) for one in controllers[:256]),
        pgid=_pick(document, "pgid", int, none),
        sid=_pick(document, "sid", int, none),
        tty=_pick(document, "tty", int, none),
        cgroup=_pick(document, "cgroup", str, none),
        marker=_pick(document, "marker", str),
        caps=Caps(**{key: _pick(raw_caps, key, bool) for key in Caps._fields}),
        baseline=span,
        lifetime=lifetime,
        state="ended" if state == "ended" else "live",
        exit_status=_pick(document, "exit_status", int, none),
        ended=None if ended is None else _moment(ended),
        extra=_pick(document, "extra", dict),
        place=None if directory is None else str(directory),
    )


def _controller(raw: object) -> Controller:
    if not isinstance(raw, dict):
        raise ValueError("a controller is an object")
    return Controller(sanitize(_pick(raw, "role", str))[:40], identity_from_list(raw.get("ident")))


def marker_value(existing: str | None, session_id: str) -> str:
    """The marker for a job's environment: appended, never replaced, so that nesting shows."""
    outer = [part for part in (existing or "").split(":") if WHOLE_ID.fullmatch(part)]
    return ":".join([*outer[-15:], session_id])


def marker_ids(value: str) -> tuple[str, ...]:
    """The session ids in a marker, outermost first."""
    return tuple(part for part in value.split(":") if WHOLE_ID.fullmatch(part))
