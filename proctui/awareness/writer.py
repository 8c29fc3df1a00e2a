"""The owner's side of a session: its files, its lock, what it publishes from memory."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proctui import paths
from proctui.awareness import files, reserve
from proctui.awareness.entry import Entry, now
from proctui.awareness.memory import Published
from proctui.awareness.session import (
    MARKER_VARIABLE,
    BaselineSpan,
    Caps,
    Controller,
    Session,
    to_document,
)
from proctui.errors import AccessDenied
from proctui.ident import Identity
from proctui.machine import identity as kernel
from proctui.role import Certainty
from proctui.text import sanitize

if TYPE_CHECKING:
    from proctui.awareness.baseline import Baseline

__all__ = ["SessionWriter", "create_session", "held"]

_HELD: dict[str, SessionWriter] = {}
_FILE_BUDGET = 48 << 20


def held(session_id: str) -> SessionWriter | None:
    """The writer of a session that *this* process owns.

    Its file must not be opened again here: closing any descriptor of it
    would drop our lock (fcntl_locking(2)).
    """
    writer = _HELD.get(session_id)
    return writer if writer is not None and writer.owned else None


def create_session(
    label: str,
    *,
    kind: str = "run",
    leader: Identity | None = None,
    runner: Identity | None = None,
    keeper: Identity | None = None,
    controllers: Iterable[Controller] = (),
    lifetime: str = "session",
    caps: Caps | None = None,
    pgid: int | None = None,
    sid: int | None = None,
    tty: int | None = None,
    cgroup: str | None = None,
    extra: Mapping[str, Any] | None = None,
    session_id: str | None = None,
    lock: bool = True,
    hurried: bool = False,
) -> SessionWriter:
    """Make a session in the first registry that can be written; its owner is this process.

    A ``hurried`` one is on the disk only after :meth:`SessionWriter.settle`:
    a job's start does not wait for the disk.

    ``runner`` names another owner, which then calls
    :meth:`SessionWriter.take_over` itself; ``lock=False`` leaves the lock to it.
    Raises :class:`AccessDenied` where no registry can be written.
    """
    own = kernel.own()
    inside = os.environ.get(MARKER_VARIABLE, "").rpartition(":")[2]
    name = session_id or os.urandom(16).hex()
    session = Session(
        id=name,
        label=sanitize(label)[:200],
        uid=os.geteuid(),
        boot_id=kernel.boot_id(),
        pidns=kernel.pidns(),
        created=now(),
        kind=kind,
        parent=inside if len(inside) == 32 and set(inside) <= set("0123456789abcdef") else None,
        leader=leader,
        runner=runner or own,
        keeper=keeper,
        controllers=tuple(controllers),
        pgid=pgid,
        sid=sid,
        tty=tty,
        cgroup=cgroup,
        marker=name,
        caps=caps or Caps(pidfd=hasattr(os, "pidfd_open"), pidfs=kernel.has_pidfs()),
        lifetime=lifetime,
        extra=dict(extra or {}),
        owner_alive=True,
    )
    reasons = []
    for state in paths.state_places():
        try:
            opened = _prepare(state, session, lock=lock, sync=not hurried)
            writer = SessionWriter(opened, lock=lock, hurried=hurried)
        except (OSError, files.FileProblem) as error:
            reasons.append(f"{state}: {error}")
            continue
        if lock:
            _sweep()
        return writer
    raise AccessDenied(
        "no directory for sessions can be written: " + "; ".join(reasons),
        "set XDG_STATE_HOME to a directory of yours",
    )


def _sweep() -> None:
    # Not above: what it needs would weigh on every runner.
    from proctui.awareness.sweeping import sweep_if_due

    sweep_if_due()


def _prepare(
    state: str, session: Session, *, lock: bool, sync: bool = True
) -> tuple[Session, int, int]:
    """Make the directory complete under a hidden name, then give it its own."""
    # A symbolic link *above* the state directory (a moved home) is the user's own business.
    os.makedirs(os.path.dirname(state), mode=0o700, exist_ok=True)
    files.create_directory(state)
    with files.open_directory(state) as state_fd:
        files.create_directory("sessions", parent=state_fd)
        with files.open_directory("sessions", parent=state_fd) as registry:
            hidden = f".new-{session.id}"
            os.mkdir(hidden, 0o700, dir_fd=registry)
            try:
                directory = os.open(
                    hidden,
                    os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=registry,
                )
                try:
                    session = session._replace(place=f"{state}/sessions/{session.id}")
                    files.write_atomic(directory, "spawned.jsonl", b"", sync=sync)
                    reserve.prepare(directory)
                    handle = files.open_locked_replacement(
                        directory, "session.json", _dump(session), lock=lock, sync=sync
                    )
                except BaseException:
                    os.close(directory)
                    raise
                try:
                    os.rename(hidden, session.id, src_dir_fd=registry, dst_dir_fd=registry)
                except BaseException:
                    os.close(handle)
                    os.close(directory)
                    raise
            except BaseException:
                _remove(registry, hidden)
                raise
    return session, directory, handle


def _remove(registry: int, name: str) -> None:
    import shutil

    with contextlib.suppress(OSError):
        shutil.rmtree(name, dir_fd=registry)


def _dump(session: Session) -> bytes:
    return json.dumps(to_document(session), indent=1).encode() + b"\n"


class SessionWriter:
    """Writes one session's files and keeps its lock.

    A forked child that inherits one owns nothing: every method then does
    nothing, until it calls :meth:`take_over`.
    """

    def __init__(
        self, opened: tuple[Session, int, int], *, lock: bool, hurried: bool = False
    ) -> None:
        self._session, self._directory, self._handle = opened
        self._sync = not hurried
        self._pid = os.getpid() if lock else 0
        self._entries: dict[tuple[Any, ...], Entry] = {}
        self._fresh: list[Entry] = []
        self._stale = True
        self._written = 0
        self._published: dict[str, Published] = {}
        self.baseline: Baseline | None = None
        """What was recorded by :meth:`write_baseline`."""
        self.trouble: str | None = None
        """Why the files fell behind (a full disk), ``None`` while they are whole."""
        if lock:
            _HELD[self._session.id] = self
            self._publish_session()
            self.flush()

    @property
    def session(self) -> Session:
        return self._session

    @property
    def owned(self) -> bool:
        """Whether this very process is the session's owner."""
        return self._pid == os.getpid()

    @property
    def directory_fd(self) -> int:
        """A descriptor of the session's directory, for files beside ours."""
        return self._directory

    def take_over(self, **fields: Any) -> None:
        """Become the owner (the runner after the fork): the lock, the record, the memory."""
        self._pid = os.getpid()
        for part in self._published.values():
            part.close()
        self._published = {}
        _HELD[self._session.id] = self
        self._stale = True
        self.update(runner=kernel.own(), **fields)
        if self.baseline is not None:
            self._part("baseline").put_bytes(self.baseline.to_bytes())
        self.flush()

    def detach(self) -> None:
        """Let go without ending the session: it belongs to another process from here on."""
        for part in self._published.values():
            part.close()
        self._published = {}
        if _HELD.get(self._session.id) is self:
            del _HELD[self._session.id]
        for descriptor in (self._handle, self._directory):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._pid = self._handle = self._directory = -1

    def update(self, **fields: Any) -> Session:
        """Change fields of the session, in memory and in its file at once."""
        if not self.owned:
            return self._session
        self._session = self._session._replace(**fields)
        self._publish_session()
        with self._writing():
            # The new file carries our lock before the old one loses it.
            fresh = files.open_locked_replacement(
                self._directory, "session.json", _dump(self._session), lock=True, sync=self._sync
            )
            old, self._handle = self._handle, fresh
            os.close(old)
        return self._session

    def write_baseline(self, baseline: Baseline) -> None:
        """Record the baseline: in memory first, then in ``baseline.jsonl``."""
        if not self.owned:
            return
        self.baseline = baseline
        self.write_baseline_lines(baseline.span, baseline.to_bytes())

    def write_baseline_lines(self, span: BaselineSpan, lines: bytes) -> None:
        """The same for whoever has the lines already, and nothing of it stays in our memory."""
        if not self.owned:
            return
        self._part("baseline").put_bytes(lines)
        with self._writing():
            files.write_atomic(self._directory, "baseline.jsonl", lines, sync=self._sync)
        self.update(baseline=span)

    def record_spawned(
        self, identity: Identity, evidence: Iterable[str], certainty: Certainty
    ) -> None:
        """Remember a process of the job; written with the next :meth:`flush`."""
        entry = Entry(identity, tuple(evidence), certainty)
        if not self.owned or self._entries.get(identity.key) == entry:
            return
        self._entries[identity.key] = entry
        self._fresh.append(entry)
        self._stale = True

    def forget(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Drop processes that ended from what is published (the file keeps them)."""
        for key in keys:
            if self._entries.pop(key, None) is not None:
                self._stale = True

    def spawned(self) -> list[Entry]:
        return list(self._entries.values())

    def flush(self) -> None:
        """Publish and write what came in since the last time; call it once a tick."""
        if not self.owned or not self._stale:
            return
        self._stale = False
        self._part("spawned").put([entry.document() for entry in self._entries.values()])
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        data = _lines(fresh)
        with self._writing():
            if self._written + len(data) > _FILE_BUDGET or self.trouble:
                self._rewrite()
            else:
                files.append(self._directory, "spawned.jsonl", data)
                self._written += len(data)

    def _rewrite(self) -> None:
        """Everything anew: the file grew too long, or an earlier write failed."""
        data = _lines(self._entries.values())
        files.write_atomic(self._directory, "spawned.jsonl", data)
        self._written = len(data)
        if self.trouble:
            if self.baseline is not None:
                files.write_atomic(self._directory, "baseline.jsonl", self.baseline.to_bytes())
            fresh = files.open_locked_replacement(
                self._directory, "session.json", _dump(self._session), lock=True, sync=self._sync
            )
            old, self._handle = self._handle, fresh
            os.close(old)
            self.trouble = None

    def settle(self) -> None:
        """Put a hurried session on the disk, and from here on everything at once."""
        if not self.owned or self._sync:
            return
        self._sync = True
        for name in ("baseline.jsonl", "spawned.jsonl", "session.json"):
            with contextlib.suppress(OSError):
                self._settle_file(name)
        with contextlib.suppress(OSError):
            os.fsync(self._directory)

    def _settle_file(self, name: str) -> None:
        if name == "session.json":
            # Not opened by its name: closing another descriptor of it would drop our lock.
            os.fsync(self._handle)
            return
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._directory
        )
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def end(self, status: int | None = None) -> None:
        """Record the end and let go of the lock."""
        if not self.owned:
            return
        self.flush()
        self.update(state="ended", exit_status=status, ended=now())
        self.detach()

    def discard(self) -> None:
        """End a session that leaves nothing worth keeping: its directory goes."""
        if not self.owned:
            return
        place = self._session.place
        self.end()
        if place is not None:
            root, name = os.path.split(place)
            with (
                contextlib.suppress(OSError, files.FileProblem),
                files.open_directory(root) as registry,
            ):
                _remove(registry, name)

    def _part(self, name: str) -> Published:
        if name not in self._published:
            self._published[name] = Published(self._session.id, name)
        return self._published[name]

    def _publish_session(self) -> None:
        # The place tells of which registry it is, if nothing else of it is left there.
        self._part("session").put({**to_document(self._session), "place": self._session.place})

    @contextlib.contextmanager
    def _writing(self) -> Any:
        """A disk that is full or gone costs the files, never the awareness."""
        try:
            yield
        except (OSError, files.FileProblem) as error:
            self.trouble = str(error)


def _lines(entries: Iterable[Entry]) -> bytes:
    return b"".join(
        json.dumps(entry.document(), separators=(",", ":")).encode() + b"\n" for entry in entries
    )
