"""Sessions on disk: found, judged against the kernel, never believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui.awareness import registry
from proctui.awareness.select import resolve_session
from proctui.awareness.session import Controller, from_document, to_document
from proctui.awareness.truth import learn
from proctui.awareness.writer import create_session
from proctui.errors import NoSuchSession, RefusedError
from proctui.machine import identity as kernel
from proctui.model import Certainty
from tests.awareness.owners import SLEEP, at, named, owner
from tests.support import running, wait_for


def test_a_session_file_reads_back_as_it_was() -> None:
    own = kernel.own()
    writer = create_session("läbel\n", controllers=[Controller("front", own)], extra={"a": 1})
    session = writer.session
    assert session.label == "läbel␊"
    assert from_document(json.loads(at(session.id, "session.json").read_text())) == from_document(
        to_document(session)
    )
    writer.end(3)
    ended = registry.load_session(session.id)
    assert (ended.state, ended.exit_status) == ("ended", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"session_id": "../../etc"}, {"uid": "0"}, {"kind": "other"},
        {"state": "dead"}, {"leader": [1, 2]}, {"runner": ["b", True, 1, 1, 1]},
        {"leader": ["b", 7, None, None, None]}, {"controllers": [3]}, {"caps": {}},
        {"created": None}, {"baseline": {"t0": 1}}, {"label": 5}, {"parent_session": "x"},
        {"leader": ["b", 2**40, 1, 1, 1]}, {"pgid": 1.5}, {"extra": []},
    ],
)  # fmt: skip
def test_nonsense_is_refused_as_a_whole(change: dict[str, Any]) -> None:
    writer = create_session("job", leader=kernel.own())
    document = {**to_document(writer.session), **change}
    writer.end()
    with pytest.raises(ValueError, match=r"."):
        from_document(document)


def test_directories_and_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        writer = create_session("job")
        writer.record_spawned(kernel.own(), ("me",), Certainty.CERTAIN)
        writer.flush()
    finally:
        os.umask(old)
    top = tmp_path / "state" / "proctui"
    for path in [top, *top.rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o777 == wanted, path
    writer.discard()
    assert not any((top / "sessions").iterdir())


def test_an_owner_alive_is_told_by_its_lock_and_its_end_by_the_kernel() -> None:
    with running(SLEEP) as job:
        with owner("watch", job.pid) as child:
            session_id = named(child)
            session = registry.load_session(session_id)
            assert (session.state, session.owner_alive) == ("live", True)
            assert session.runner is not None and session.runner.pid == child.pid
        wait_for(lambda: not registry.load_session(session_id).owner_alive)
        assert registry.load_session(session_id).state == "live"
    assert registry.load_session(session_id).state == "ended"


def test_a_dead_leader_with_living_processes_is_orphaned() -> None:
    with running(SLEEP) as stray:
        with running(SLEEP) as job, owner("watch", job.pid, stray.pid) as child:
            session_id = named(child)
        session = registry.load_session(session_id)
        assert session.state == "orphaned"
        assert resolve_session() == session
    assert registry.load_session(session_id).state == "ended"


def test_looking_at_ones_own_session_keeps_its_lock() -> None:
    """Closing any descriptor of a file drops a process's POSIX locks on it."""
    writer = create_session("job", kind="library", leader=kernel.own())
    registry.list_sessions()
    resolve_session()
    learn(writer.session)
    look = "from proctui.awareness.registry import *; print(list_sessions()[0].owner_alive)"
    out = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert out.stdout == "True\n", out.stderr
    writer.update(label="renamed")
    out = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert out.stdout == "True\n", out.stderr
    writer.discard()


def test_a_forked_child_owns_nothing() -> None:
    writer = create_session("job", kind="library", leader=kernel.own())
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            writer.update(label="hijacked")
            writer.end(9)
            status = 0 if not writer.owned else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    session = registry.load_session(writer.session.id)
    assert (session.label, session.state) == ("job", "live")
    writer.discard()


def test_a_fork_can_take_a_session_over() -> None:
    writer = create_session("job", lock=False)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(writing)
            writer.take_over()
            os.read(reading, 1)
        finally:
            os._exit(0)
    os.close(reading)
    wait_for(lambda: registry.load_session(writer.session.id).owner_alive, what="the new owner")
    session = registry.load_session(writer.session.id)
    assert session.runner is not None and session.runner.pid == pid
    os.close(writing)
    os.waitpid(pid, 0)
    assert not registry.load_session(writer.session.id).owner_alive
    writer.detach()


# Which session is meant


def test_none_one_several() -> None:
    assert resolve_session(signalling=True) is None
    with running(SLEEP) as one, owner("watch", one.pid) as first:
        alone = named(first)
        chosen = resolve_session(signalling=True)
        assert chosen is not None and chosen.id == alone
        with running(SLEEP) as two, owner("watch", two.pid) as second:
            newer = named(second)
            assert resolve_session() is not None
            with pytest.raises(RefusedError, match="several live sessions fit") as caught:
                resolve_session(signalling=True)
            assert alone[:12] in caught.value.message and newer[:12] in caught.value.message
            assert registry.load_session(newer[:8]).id == newer
            assert resolve_session(newer, signalling=True) is not None


def test_the_session_that_contains_the_caller_comes_first() -> None:
    writer = create_session("mine", kind="library", leader=kernel.own())
    with running(SLEEP) as other, owner("watch", other.pid) as child:
        named(child)
        chosen = resolve_session(signalling=True)
        assert chosen is not None and chosen.id == writer.session.id
        inner = create_session("inner", kind="library", leader=kernel.own())
        chosen = resolve_session(signalling=True)
        assert chosen is not None and chosen.id == inner.session.id
        inner.discard()
    writer.discard()


def test_the_marker_tells_who_lost_his_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(SLEEP) as one, owner("watch", one.pid) as first:
        marked = named(first)
        with running(SLEEP) as two, owner("watch", two.pid) as second:
            other = named(second)
            monkeypatch.setenv("PROCTUI_SESSION", registry.marker_value(marked, "f" * 32))
            chosen = resolve_session(signalling=True)
            assert chosen is not None and chosen.id == marked != other


def test_the_marker_is_appended_to() -> None:
    assert registry.marker_value(None, "a" * 32) == "a" * 32
    assert registry.marker_value("a" * 32, "b" * 32) == "a" * 32 + ":" + "b" * 32
    assert registry.marker_value("rubbish:" + "a" * 32, "b" * 32) == "a" * 32 + ":" + "b" * 32


def test_unknown_sessions() -> None:
    for wrong in ("f" * 32, "0123", "no such label", "../x", ""):
        with pytest.raises(NoSuchSession):
            registry.load_session(wrong)


def test_a_job_is_listed_once_there_is_one() -> None:
    from proctui.tools.sessions import list_sessions

    writer = create_session("job", kind="run")
    assert list_sessions()["sessions"] == []
    writer.update(leader=kernel.own())
    (row,) = list_sessions()["sessions"]
    assert row["state"] == "live" and row["leader"] is not None
    writer.discard()


def test_a_whole_id_needs_no_look_at_other_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        create_session("other").end(0)
    writer = create_session("job")
    found = registry.load_session(writer.session.id)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "scan", lambda **_: pytest.fail("nobody else was asked about"))
        assert registry.load_session(f" {writer.session.id.upper()} ") == found
    assert registry.load_session(writer.session.id[:12]) == found, "a part of it needs one"
    writer.end(0)
    file = at(writer.session.id, "session.json")
    file.write_text("{")
    with pytest.raises(RefusedError, match="can't be believed"):
        registry.load_session(writer.session.id)
    file.unlink()
    with pytest.raises(RefusedError, match=r"no session\.json"):
        registry.load_session(writer.session.id)
