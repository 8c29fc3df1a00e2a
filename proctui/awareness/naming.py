"""What a person may declare to be the job: ``watch`` names a tree, ``adopt`` one process."""

from __future__ import annotations

import json
import os
import pwd
from typing import Any

from proctui.awareness import files, live
from proctui.awareness.baseline import Baseline
from proctui.awareness.entry import Entry
from proctui.awareness.evidence import clock
from proctui.awareness.select import containing
from proctui.awareness.session import Session
from proctui.awareness.truth import ADOPTED
from proctui.awareness.view import View
from proctui.awareness.watch import Watch
from proctui.awareness.writer import create_session, held
from proctui.config import Config
from proctui.errors import BadArgument, NoSuchProcess, RefusedError, check_pid
from proctui.machine import identity as kernel
from proctui.machine.source import open_source
from proctui.model import Certainty, Identity, Proc, Role

__all__ = ["adopt", "may_be_adopted", "start_watch", "user_name"]

_MULTIPLEXERS = frozenset(
    {"tmux: server", "tmux", "screen", "SCREEN", "zellij", "dtach", "abduco", "systemd", "sshd"}
)


def start_watch(
    target: Identity | int,
    *,
    label: str | None = None,
    source: str = "auto",
    config: Config | None = None,
    exits: bool = True,
    history: int | None = None,
) -> Watch:
    """Name a running process as the job and begin a session on it; this process owns it.

    It and its living descendants leave the baseline: ``likely``, as nobody
    saw them start; what they start from here on is ``certain``.  Raises
    :class:`RefusedError` for an ancestor, something protected or a
    multiplexer, whose children are other people's work.  End it with
    ``watch.writer.end()`` (or ``discard()``) and ``watch.close()``.
    """
    identity = kernel.identify(check_pid(target)) if isinstance(target, int) else target
    looker = open_source(source)
    first = Watch(looker, config=config, history=0)
    view = first.look()
    proc = view.proc(identity.pid)
    if proc is None or not proc.identity.same(identity):
        first.close()
        raise NoSuchProcess(f"process {identity} has ended")
    verdict = view.verdict(identity.pid)
    reason = verdict.evidence[0] if verdict.role is not Role.UNKNOWN else None
    if reason is None and proc.name in _MULTIPLEXERS:
        reason = f"{proc.name} runs other people's work too"
    if reason is not None:
        first.close()
        raise RefusedError(
            f"process {identity.pid} ({proc.name}) can't be named as the job: {reason}",
            "watch one of its children",
        )
    baseline, _ = Baseline.capture(looker)
    # Looked at before and after the scan: whoever came or was orphaned meanwhile is in one of both.
    trees = {one.identity.key for one in _tree(view, identity)}
    view = first.look()
    trees.update(one.identity.key for one in _tree(view, identity))
    named = [
        one
        for one in view.snapshot.procs.values()
        if one.identity.key in trees and view.role(one.pid) is Role.UNKNOWN
    ]
    for one in named:
        baseline.release(one.identity)
    writer = create_session(
        label or proc.name, kind="watch", leader=proc.identity, pgid=proc.pgid, sid=proc.sid,
        tty=proc.tty,
    )  # fmt: skip
    writer.write_baseline(baseline)
    watch = Watch(looker, writer=writer, config=config, exits=exits, history=history)
    watch.classifier.name_as_job(named, view.snapshot.wall)
    return watch


def _tree(view: View, identity: Identity) -> list[Proc]:
    top = view.proc(identity.pid)
    if top is None or not top.identity.same(identity):
        return []
    return [top, *(view.snapshot.procs[pid] for pid in view.descendants(identity.pid))]


def may_be_adopted(view: View, identity: Identity) -> str | None:
    """Why this process can't be adopted into the view's session, or ``None``."""
    proc = view.proc(identity.pid)
    if view.session is None:
        return "there is no session to adopt it into"
    if view.blocked is not None:
        return view.blocked
    if proc is None or not proc.identity.same(identity):
        return "it has ended"
    verdict = view.verdict(identity.pid)
    if verdict.role not in (Role.BASELINE, Role.UNKNOWN):
        return f"it is {verdict.role}: {verdict.evidence[0]}"
    if proc.uid != view.session.uid:
        return f"it belongs to uid {proc.uid}, the session to {view.session.uid}"
    return None


def adopt(
    session: Session, pid: int | Identity, user: str | None = None, *, watch: Watch | None = None
) -> dict[str, Any]:
    """A person says that a process is the session's; the only override there is.

    The caller has had the pid typed at a terminal.  The living owner takes
    it up (``certain``); with no owner to tell, it is recorded in the
    session's files and stays ``likely``.  Raises :class:`RefusedError` for
    anything but a baseline or unknown process of the session's user, and
    from inside any session.
    """
    number = pid.pid if isinstance(pid, Identity) else check_pid(pid, signalling=True)
    identity = kernel.identify(number)
    if isinstance(pid, Identity) and not pid.same(identity):
        raise NoSuchProcess(f"process {pid} has ended", f"{number} is another process now")
    _refuse_inside()
    name = user or user_name()
    own = watch if watch is not None and watch.session is not None else None
    looker = own or Watch(open_source(), session, history=0)
    try:
        view = looker.look()
        reason = may_be_adopted(view, identity)
        if reason is not None:
            raise RefusedError(f"process {number} can't be adopted: {reason}")
        proc = view.snapshot.procs[number]
        if view.role(number) is Role.BASELINE and not _can_be_told(session, own):
            raise RefusedError(
                f"process {number} was there before the session, whose owner can't be told",
                "what stands in a file alone does not undo a baseline",
            )
    finally:
        if own is None:
            looker.close()
    certainty = _tell_owner(session, identity, name, own)
    words = f"{ADOPTED}{name} at {clock()}"
    return {
        "pid": number,
        "identity": str(identity),
        "name": proc.name,
        "role": str(Role.SPAWNED),
        "certainty": str(certainty),
        "evidence": [words],
        "session": session.id,
    }


def _can_be_told(session: Session, watch: Watch | None) -> bool:
    """Whether somebody who lives would keep the adoption in memory."""
    runs = session.owner_alive and session.kind in ("run", "demo")
    return runs or (watch is not None and watch.writer is not None)


def _refuse_inside() -> None:
    """No adoption from inside a job: what runs there does not decide what is the job's."""
    from proctui.awareness.registry import list_sessions

    inside = containing([one for one in list_sessions() if one.state == "live"])
    if inside:
        raise RefusedError(
            f"nothing can be adopted from inside a session (this is inside {inside[0].id[:12]})",
            "adopt from a terminal outside of it",
        )


def _tell_owner(session: Session, identity: Identity, user: str, watch: Watch | None) -> Certainty:
    writer = held(session.id)
    if writer is not None and watch is not None and watch.writer is writer:
        watch.adopt(identity, user)
        return Certainty.CERTAIN
    if session.owner_alive and session.kind in ("run", "demo"):
        answer = live.ask(session, {"ask": "adopt", "identity": list(identity), "user": user})
        if answer.get("ok") is True:
            if watch is not None:
                watch.adopt(identity, user)
            return Certainty.CERTAIN
        error = answer.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        raise RefusedError(f"the session's runner refuses: {message or 'no reason given'}")
    if watch is not None:
        watch.adopt(identity, user)
    if session.directory is None:
        raise BadArgument("the session has no files to record an adoption in")
    entry = Entry(identity, (f"{ADOPTED}{user} at {clock()}",), Certainty.LIKELY)
    line = json.dumps(entry.document(), separators=(",", ":")).encode() + b"\n"
    try:
        with files.open_directory(session.directory) as directory:
            files.append(directory, "spawned.jsonl", line)
    except (OSError, files.FileProblem) as error:
        raise RefusedError(f"the adoption can't be recorded: {error}") from error
    return Certainty.LIKELY


def user_name() -> str:
    """Who adopts, for the evidence: the account's name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
