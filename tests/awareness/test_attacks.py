"""What somebody did to a session's files: it may protect more, it never condemns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui.awareness import memory, registry, sweeping
from proctui.awareness.baseline import Baseline
from proctui.awareness.opening import open_watch
from proctui.awareness.select import resolve_session
from proctui.awareness.watch import Watch
from proctui.awareness.writer import SessionWriter, create_session
from proctui.errors import AccessDenied, NoSuchSession, RefusedError
from proctui.machine import identity as kernel
from proctui.machine.source import open_source
from proctui.model import Certainty, Role
from proctui.tools import sessions as tools
from tests.awareness.owners import SLEEP, at, named, owner
from tests.support import alive, python, running


def session_of(job: int, *spawned: int) -> Any:
    return owner("watch", job, *spawned)


def spoil(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "garbage":
        path.write_bytes(b"\x00\xff{" * 9)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing":
        path.unlink()
    elif how == "symlink":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    elif how == "mode":
        path.chmod(0o666)
    elif how == "owner":
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(path, 65534, 65534)
    elif how == "huge":
        with path.open("ab") as file:
            file.truncate(1 << 30)


HOW = ["truncated", "garbage", "empty", "missing", "symlink", "mode", "owner", "huge"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["session.json", "baseline.jsonl", "spawned.jsonl"])
def test_broken_files_refuse_everything_unless_the_owner_lives(name: str, how: str) -> None:
    """Adversarial case 23."""
    with running(SLEEP) as stray, running(SLEEP) as job:
        with session_of(job.pid, stray.pid) as child:
            session_id = named(child)
            spoil(at(session_id, name), how)
            with open_watch(session_id, signalling=True) as watch:
                verdict = watch.look().verdict(stray.pid)
                assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
                assert watch.truth is not None and watch.truth.proof == "memory"
        if (name, how) == ("spawned.jsonl", "empty"):
            with open_watch(session_id, signalling=True) as watch:
                assert watch.look().verdict(stray.pid).role is Role.UNKNOWN
            return
        with pytest.raises(RefusedError, match=session_id):
            open_watch(session_id, signalling=True)
        with pytest.raises(RefusedError, match=r"corrupt|believed"):
            open_watch(signalling=True)


def test_a_broken_session_beside_it_does_not_veto_what_a_living_owner_knows() -> None:
    with running(SLEEP) as job, session_of(job.pid) as child:
        session_id = named(child)
        at("e" * 32).mkdir(mode=0o700)
        at("e" * 32, "session.json").write_bytes(b"{")
        with open_watch(signalling=True) as watch:
            assert watch.session is not None and watch.session.id == session_id
            view = watch.look()
            assert view.blocked is None and any("e" * 32 in word for word in view.warnings)


def test_an_open_registry_is_not_believed() -> None:
    with running(SLEEP) as job:
        with session_of(job.pid) as child:
            named(child)
        registry.session_roots()[0].chmod(0o777)
        with pytest.raises(RefusedError, match="open to others"):
            resolve_session(signalling=True)


def test_a_stranger_written_into_the_files_is_not_condemned() -> None:
    """With a living owner the files say nothing; without one they say likely at most."""
    with running(SLEEP) as job, running(SLEEP) as stranger:
        with session_of(job.pid) as child:
            session_id = named(child)
            entry = {
                "identity": list(kernel.identify(stranger.pid)),
                "evidence": ["child of 1"],
                "certainty": "certain",
            }
            with at(session_id, "spawned.jsonl").open("a") as file:
                file.write(json.dumps(entry) + "\n")
            document = json.loads(at(session_id, "session.json").read_text())
            document["leader"] = list(kernel.identify(stranger.pid))
            document["baseline"] = None
            at(session_id, "session.json").write_text(json.dumps(document))
            with open_watch(session_id) as watch:
                view = watch.look()
                assert view.role(stranger.pid) is Role.BASELINE
                assert watch.session is not None and watch.session.leader is not None
                assert watch.session.leader.pid == job.pid
        with open_watch(session_id) as watch:
            view = watch.look()
            verdict = view.verdict(stranger.pid)
            assert not (verdict.role is Role.SPAWNED and verdict.certainty is Certainty.CERTAIN)


def test_files_that_were_replaced_with_an_owner_that_came_later() -> None:
    """A process of the job takes the session's files over; the first owner still counts."""
    with running(SLEEP) as job, running(SLEEP) as stranger, session_of(job.pid) as child:
        session_id = named(child)
        usurper = f"""
import sys, time
from proctui.awareness import writer
from proctui.awareness.session import from_document
from proctui.machine.identity import identify, own
import json, os, pathlib
path = pathlib.Path({str(at(session_id))!r})
session = from_document(json.loads((path / "session.json").read_text()), path)
fake = session._replace(runner=own(), leader=identify({stranger.pid}))
directory = os.open(path, os.O_RDONLY)
from proctui.awareness import files
handle = files.open_locked_replacement(directory, "session.json", writer._dump(fake), lock=True)
forged = writer.SessionWriter((fake, directory, handle), lock=True)
from proctui.model import Certainty
forged.record_spawned(identify({stranger.pid}), ("child",), Certainty.CERTAIN)
forged.flush()
print("done", flush=True)
time.sleep(60)
"""
        argv = [sys.executable, "-c", usurper]
        with running(argv, stdout=subprocess.PIPE, text=True) as forger:
            assert forger.stdout is not None and forger.stdout.readline() == "done\n"
            with open_watch(session_id, signalling=True) as watch:
                assert watch.session is not None and watch.session.runner is not None
                assert watch.session.runner.pid == child.pid
                assert watch.look().verdict(stranger.pid).role is not Role.SPAWNED


@pytest.mark.parametrize("times", [-1, 1], ids=["all of it", "with a leader of this boot"])
def test_a_session_of_an_earlier_boot_is_over_at_once(times: int) -> None:
    with running(SLEEP) as job:
        with session_of(job.pid) as child:
            session_id = named(child)
        path = at(session_id, "session.json")
        earlier = "0" * 8 + kernel.boot_id()[8:]
        document = path.read_text().replace(kernel.boot_id(), earlier, times)
        path.write_text(document)
        assert registry.load_session(session_id).state == "ended"
        assert resolve_session(signalling=True) is None
        with pytest.raises(RefusedError, match="earlier boot"):
            open_watch(session_id, signalling=True)
        sweeping.sweep()
        with pytest.raises(NoSuchSession):
            registry.load_session(session_id)


def test_another_pid_namespace_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(SLEEP) as job:
        with session_of(job.pid) as child:
            session_id = named(child)
        path = at(session_id, "session.json")
        document = json.loads(path.read_text())
        document["pidns_ino"] += 1
        path.write_text(json.dumps(document))
        assert registry.load_session(session_id).foreign
        assert resolve_session(signalling=True) is None
        with pytest.raises(RefusedError, match="another pid namespace"):
            open_watch(session_id, signalling=True)
        with open_watch(session_id) as watch:
            assert watch.look().verdict(job.pid).role is not Role.SPAWNED
        with monkeypatch.context() as patched:
            patched.setattr(
                tools, "looking", None
            )  # its pids mean nothing here: no look is worth it
            (row,) = tools.list_sessions()["sessions"]
        assert row["foreign"] and row["strays"] is None and row["leader"] is not None


def abroad(session_id: str, **changes: Any) -> None:
    """Make it a session of another pid namespace, in place: whoever holds its lock keeps it."""
    path = at(session_id, "session.json")
    document = json.loads(path.read_text()) | changes
    document["pidns_ino"] += 1
    path.write_text(json.dumps(document))


def test_a_session_of_another_namespace_lives_as_long_as_somebody_holds_it() -> None:
    """A container that was killed leaves its sessions behind in a shared home."""
    from proctui.tools.sessions import list_sessions

    other = create_session("other", kind="run", leader=kernel.own(), lock=False).session.id
    abroad(other)
    script = (
        "import os, sys\nfrom proctui.awareness import files\n"
        "folder = os.open(sys.argv[1], os.O_RDONLY)\n"
        "data = files.read_private(folder, 'session.json', 1 << 20)\n"
        "kept = files.open_locked_replacement(folder, 'session.json', data, lock=True)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    holding = python(script, str(at(other)))
    with running(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        (row,) = list_sessions()["sessions"]
        assert (row["id"], row["state"], row["strays"]) == (other, "live", None)
    assert registry.load_session(other).state == "ended"
    assert sweeping.sweep() == []
    abroad(other, created={"boottime": 1.0, "wall": 1.0})
    assert sweeping.sweep() == [other]


def test_many_sessions_cost_one_look_and_few_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    from proctui.machine.once import OnceSource
    from proctui.tools.sessions import list_sessions

    counts = {"scan": 0, "look": 0}
    scan, sample = registry.scan, OnceSource.sample

    def counted_scan(**how: Any) -> Any:
        counts["scan"] += 1
        return scan(**how)

    def counted_look(self: OnceSource, *args: Any, **how: Any) -> Any:
        counts["look"] += 1
        return sample(self, *args, **how)

    monkeypatch.setattr(registry, "scan", counted_scan)
    monkeypatch.setattr(OnceSource, "sample", counted_look)
    with running(SLEEP) as job:
        for number in range(9):
            create_session(f"job {number}", kind="watch", leader=kernel.identify(job.pid))
        rows = list_sessions()["sessions"]
    assert [row["state"] for row in rows] == ["live"] * 9
    assert {row["leader"]["name"] for row in rows if row["leader"]} == {"sleep"}
    assert counts["look"] == 1 and counts["scan"] <= 3, counts


def test_sweeping_takes_the_stale_and_leaves_the_living() -> None:
    with running(SLEEP) as job, session_of(job.pid) as child:
        kept = named(child)
        gone = create_session("watched", kind="watch", leader=kernel.own())
        gone.end()
        useful = create_session("ran", kind="run", leader=kernel.own())
        useful.end(0)
        assert sweeping.sweep() == [gone.session.id]
        assert {one.id for one in registry.list_sessions(ended=True)} == {kept, useful.session.id}


def test_a_state_directory_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proctui.paths.state_places", lambda: ["/proc/nowhere"])
    with pytest.raises(AccessDenied, match="no directory for sessions"):
        create_session("job")


def test_a_full_disk_costs_the_files_but_not_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from proctui.awareness import files

    writer: SessionWriter = create_session("job", kind="library", leader=kernel.own())
    real = files.write_all

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with running(SLEEP) as child:
        monkeypatch.setattr(files, "write_all", full)
        writer.record_spawned(kernel.identify(child.pid), ("seen",), Certainty.CERTAIN)
        writer.flush()
        assert writer.trouble is not None and "No space" in writer.trouble
        published = memory.read(os.getpid(), writer.session.id, "spawned")
        assert published is not None and len(published) == 1
        monkeypatch.setattr(files, "write_all", real)
        writer.record_spawned(kernel.own(), ("seen",), Certainty.CERTAIN)
        writer.flush()
        assert writer.trouble is None
        assert len(at(writer.session.id, "spawned.jsonl").read_text().splitlines()) == 2
    writer.discard()


def test_memory_is_sealed_and_named_by_its_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create_session("job", kind="library", leader=kernel.own())
    place = memory.locate(os.getpid(), writer.session.id, "session")
    assert place is not None
    with monkeypatch.context() as patch:
        patch.setattr(memory.os, "listdir", lambda _: pytest.fail("where it stands is known"))
        assert memory.locate(os.getpid(), writer.session.id, "session") == place
    with pytest.raises(PermissionError), open(f"/proc/self/fd/{place[0]}", "r+b") as file:
        file.write(b"{}")
        file.flush()
    forged = python(
        "import os, sys, time; f = os.memfd_create(sys.argv[1], 0); os.write(f, b'[]');"
        "print('made', flush=True); time.sleep(60)",
        f"proctui-{writer.session.id}-session",
    )
    with running(forged, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "made\n"
        assert memory.read(child.pid, writer.session.id, "session") is None
        assert alive(child.pid)
    writer.discard()


def test_a_watch_that_follows_keeps_what_it_learnt_from_a_dead_owner() -> None:
    with running(SLEEP) as stray, running(SLEEP) as job:
        with session_of(job.pid, stray.pid) as child:
            watch = open_watch(named(child))
            assert watch.look().verdict(stray.pid).certainty is Certainty.CERTAIN
        view = watch.look()
        verdict = view.verdict(stray.pid)
        assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
        assert any("owner is gone" in words for words in view.warnings)
        watch.close()


def test_a_baseline_of_what_runs_reads_back(tmp_path: Path) -> None:
    source = open_source()
    baseline, snapshot = Baseline.capture(source)
    lines = baseline.to_bytes()
    again = Baseline.from_bytes(lines)
    assert again.span == baseline.span and len(again) == len(baseline) > 3
    assert all(row.identity in again for row in snapshot.procs.values() if row.identity in baseline)
    with pytest.raises(ValueError, match="holds"):
        Baseline.from_bytes(b"".join(lines.splitlines(keepends=True)[:-1]))
    Watch(source, history=0).close()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred jobs that wrote a lot must not fill the disk for two weeks."""
    monkeypatch.setattr(sweeping, "_KEEP_BYTES", 3_000_000)
    ids = []
    for number in range(4):
        writer = create_session(f"job {number}", kind="run", leader=kernel.own())
        (at(writer.session.id) / "output.log").write_bytes(b"x" * 1_000_000)
        ids.append(writer.session.id)
        writer.end(0)
    assert set(sweeping.sweep()) == set(ids[:-2])
    assert {one.id for one in registry.list_sessions(ended=True)} == set(ids[-2:])


def test_sweeping_is_done_once_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = create_session("watched", kind="watch", leader=kernel.own())
    stamp = tmp_path / "state" / "proctui" / ".swept"
    before = stamp.stat().st_mtime
    gone.end()
    assert sweeping.sweep_if_due() == []
    os.utime(stamp, (before - 3700, before - 3700))
    assert sweeping.sweep_if_due() == [gone.session.id]
    assert stamp.stat().st_mtime >= before


def test_what_is_over_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look asks for the sessions; a hundred that ended must not cost it a thing."""
    for number in range(3):
        create_session(f"job {number}", kind="run", leader=kernel.own()).end(0)
    assert len(registry.scan().sessions) == 3
    parsed: list[object] = []
    parse = registry.from_document
    monkeypatch.setattr(registry, "from_document", lambda *a: parsed.append(a) or parse(*a))
    assert len(registry.scan().sessions) == 3 and parsed == []
    assert registry.scan(ended=False).sessions == () and parsed == []


@pytest.mark.parametrize(
    "attack", ["gone", "says ended", "says ended in place", "open registry", "spoilt in place"]
)
def test_a_living_owner_needs_no_files(attack: str) -> None:
    """A job may wreck what stands on the disk; nothing that its owner knows is lost by it."""
    from proctui.tools.sessions import list_sessions

    with running(SLEEP) as stray, running(SLEEP) as job, session_of(job.pid, stray.pid) as child:
        session_id = named(child)
        file = at(session_id, "session.json")
        if attack == "gone":
            shutil.rmtree(at(session_id))
        elif attack == "says ended":
            fake = file.with_name("fake")
            fake.write_text(file.read_text().replace('"running"', '"ended"'))
            fake.chmod(0o600)
            fake.rename(file)
        elif attack == "says ended in place":
            text = file.read_text().replace('"running"', '"ended"')
            with file.open("r+") as opened:
                opened.write(text)
                opened.truncate()
        elif attack == "open registry":
            registry.session_roots()[0].chmod(0o777)
        else:
            with file.open("r+") as opened:
                opened.write("{")
        (row,) = list_sessions()["sessions"]
        assert (row["id"], row["state"]) == (session_id, "live")
        with open_watch(signalling=True) as watch:
            assert watch.session is not None and watch.session.id == session_id
            view = watch.look()
            verdict = view.verdict(stray.pid)
            assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
            assert view.blocked is None
