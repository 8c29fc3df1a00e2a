"""Opening a watch: which session is meant, whose eyes see it, what a program knows by itself."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Protocol

from proctui.awareness.chains import Controllers
from proctui.awareness.entry import now
from proctui.awareness.select import resolve_session
from proctui.awareness.session import Session
from proctui.awareness.truth import Truth, learn
from proctui.awareness.view import View
from proctui.awareness.watch import Watch
from proctui.config import Config
from proctui.errors import RefusedError
from proctui.machine import identity as kernel
from proctui.machine import stat
from proctui.machine.source import open_source
from proctui.model import Identity, ProcInfo, Snapshot, Source

__all__ = [
    "Private",
    "Together",
    "frugal_source",
    "know_privately",
    "open_watch",
    "truth_of_the_caller",
]


def open_watch(
    session_id: str | None = None,
    *,
    signalling: bool = False,
    source: str = "auto",
    config: Config | None = None,
    own_children: bool = False,
    exits: bool = False,
    history: int | None = None,
    once: bool = False,
    only: int | None = None,
    tree: bool = False,
) -> Watch:
    """A watch on the session that is meant (the contract's rule), or on none.

    ``once``: for one look, at everybody or at the pid ``only``, its children
    (with ``tree`` all that is below it) and those on whom their roles hang.

    Raises what :func:`proctui.awareness.select.resolve_session` raises, and
    :class:`RefusedError` where ``signalling`` and the session can't be believed.
    """
    session = resolve_session(session_id, signalling=signalling)
    truth = None if session is None else learn(session)
    if truth is None and own_children:
        truth = truth_of_the_caller()
    if signalling and truth is not None and truth.blocked is not None:
        raise RefusedError(truth.blocked, "nothing is signalled on the word of such files")
    marked = truth is not None and bool(truth.session.marker)
    eyes = _single_look(only, tree=tree, owners=marked) if once and source == "auto" else None
    narrow = eyes is not None and only is not None
    if eyes is None:
        eyes = frugal_source() if own_children and source == "auto" else open_source(source)
    return Watch(
        eyes,
        truth=truth,
        narrow=narrow,
        config=config,
        own_children=own_children,
        exits=exits,
        history=0 if history is None and signalling else history,
    )


def frugal_source() -> Source:
    """A source that holds no descriptors and leaves their limit alone: they are our host's."""
    if Path("/proc/self/stat").exists():
        from proctui.machine.sampler import ProcSource

        return ProcSource(descriptor_budget=0)
    return open_source("psutil")


def _single_look(only: int | None, *, tree: bool, owners: bool) -> Source | None:
    from proctui.machine.once import OnceSource

    return OnceSource(only, tree=tree, owners=owners) if OnceSource.works() else None


class Together:
    """One look at the machine, judged in the eyes of one session after another.

    However many sessions there are, everybody is read once.
    """

    def __init__(self) -> None:
        self._source = _single_look(None, tree=False, owners=True) or frugal_source()
        self._snapshot: Snapshot | None = None
        self._controllers = Controllers()

    def view(self, session: Session) -> View:
        """What ``session`` sees; the slow facts of its processes can't be asked for later."""
        watch = Watch(
            self,
            truth=learn(session),
            own_children=True,
            history=0,
            controllers=self._controllers,
        )
        try:
            return watch.tick()
        finally:
            watch.close()

    def sample(self, job: frozenset[int] = frozenset(), *, fresh: bool = False) -> Snapshot:
        """The one look."""
        if self._snapshot is None:
            self._snapshot = self._source.sample(job, fresh=True)
        return self._snapshot

    def info(self, identity: Identity) -> ProcInfo | None:
        return self._source.info(identity)

    def close(self) -> None:
        """A watch lets go of its source; ours serves the next one."""

    def end(self) -> None:
        """Let go of what the look needed."""
        self._source.close()


class Private(Protocol):
    """Somebody in this program who knows a baseline that no registry has."""

    def private_truth(self) -> Truth | None: ...


_private: weakref.WeakSet[Private] = weakref.WeakSet()


def know_privately(owner: Private) -> None:
    """From here on the program judges by ``owner``'s baseline where it has no session."""
    _private.add(owner)


def truth_of_the_caller() -> Truth:
    """Without any session a program still knows its own children, and nobody else.

    With a baseline that it keeps to itself it knows which of them are older.
    """
    known = [truth for one in list(_private) if (truth := one.private_truth()) is not None]
    if known:
        return max(known, key=lambda truth: truth.session.created)
    own = kernel.own()
    session = Session(
        id="0" * 32,
        label="this process",
        uid=os.geteuid(),
        boot_id=own.boot_id,
        pidns=own.pidns,
        created=now(),
        kind="library",
        leader=own,
        runner=own,
        tty=_own_terminal(),
    )
    return Truth(session, None, {}, "own")


def _own_terminal() -> int | None:
    try:
        with open("/proc/self/stat", "rb") as file:
            return stat.parse(file.read(4096)).tty
    except (OSError, ValueError):
        return None
