"""Recordings: what goes in comes out, whatever happens to the file in between."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest

from proctui import recording
from proctui.awareness.view import Tomb, View
from proctui.errors import AccessDenied, BadArgument, NoSuchFile, NoSuchProcess, ProctuiError
from proctui.machine.sampler import ProcSource
from proctui.model import Certainty, Role, Verdict
from proctui.recording import container, recorder
from proctui.recording.recorder import Recorder
from proctui.recording.replay import Replay, open_replay
from tests.machine.fakeproc import FakeProc
from tests.support import python, running

SPAWNED = Verdict(Role.SPAWNED, Certainty.CERTAIN, ("child of 1, seen 10:02:11",), ())
OTHER = Verdict(Role.BASELINE, Certainty.CERTAIN, ("there before",), ("environ: denied",))


class Stage:
    """Views of a made-up ``/proc``, as a watch would give them."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeProc(folder)
        self.now = 50.0
        self.source = ProcSource(str(self.fake.root), clock=self._clock)
        self.job: set[int] = set()
        self.tombs: tuple[Tomb, ...] = ()

    def _clock(self) -> float:
        self.now += 1
        return self.now

    def view(self, **fields) -> View:
        snapshot = self.source.sample(frozenset(self.job))
        job = frozenset(self.job & snapshot.procs.keys())
        view = View(
            snapshot=snapshot,
            session=None,
            verdicts={pid: SPAWNED if pid in job else OTHER for pid in snapshot.procs},
            children={},
            parents={},
            strays=frozenset(),
            job=job,
            tombs=self.tombs,
            lookup=self.source.info,
        )
        return view._replace(**fields)


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    yield made
    made.source.close()


def churn(stage, count, seed=1):
    """Views of a lively little world, each with everything that may change changing."""
    chance = random.Random(seed)
    for _ in range(6):
        pid = stage.fake.spawn(name=b"first").pid
        stage.job.add(pid)
    for _ in range(count):
        living = list(stage.fake.processes)
        stage.fake.change(
            chance.choice(living), utime=chance.randrange(10**6), rss=chance.randrange(99)
        )
        if chance.random() < 0.4:
            pid = stage.fake.spawn(ppid=chance.choice(living), name=b"child \xe2\x98\x83").pid
            if chance.random() < 0.5:
                stage.job.add(pid)
        if chance.random() < 0.3 and len(living) > 3:
            stage.fake.end(chance.choice(living))
        stage.fake.io(next(iter(stage.fake.processes)), chance.randrange(10**6), 5)
        strays = frozenset(chance.sample(sorted(stage.job), 1))
        yield stage.view(strays=strays, warnings=("w",) if chance.random() < 0.2 else ())


def comparable(view: View):
    """What a replay must give back, rounded as the recorder rounds."""
    procs = {
        pid: row._replace(
            identity=row.identity._replace(boot_id=""),
            started=None if row.started is None else round(row.started, 3),
            cpu=None if row.cpu is None else round(row.cpu, 1),
        )
        for pid, row in view.snapshot.procs.items()
    }
    io = {
        pid: (one.read_bytes, one.write_bytes, one.read_rate and round(one.read_rate, 2))
        for pid, one in view.snapshot.io.items()
    }
    return (
        procs,
        io,
        {pid: view.verdict(pid) for pid in procs},
        view.strays & procs.keys(),
        view.job,
        {row.pid for row in view.snapshot.died},
        view.snapshot.born if view.snapshot.tick > 1 else (),
        view.snapshot.system.memory,
        {pid: info.cmdline for pid in procs if (info := view.info(pid))},
    )


def test_what_goes_in_comes_out(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MEMBER_FRAMES", 17)
    seen = []
    with Recorder(tmp_path / "a.rec") as writer:
        for view in churn(stage, 60):
            writer.write(view)
            seen.append(comparable(view))
    watch = open_replay(tmp_path / "a.rec")
    for number, expected in enumerate(seen):
        assert comparable(watch.tick()) == expected, f"frame {number}"
    assert not watch.ended
    assert watch.tick().warnings[-1] == "the recording ends here"
    assert watch.ended
    watch.close()


def test_unchanged_rows_stay_the_same_objects_over_full_frames(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MEMBER_FRAMES", 2)
    stage.fake.spawn()
    with Recorder(tmp_path / "a.rec") as writer:
        for _ in range(6):
            writer.write(stage.view())
    replay = Replay(tmp_path / "a.rec")
    rows = [replay.sample() for _ in range(6)]
    assert all(one.procs[101] is rows[2].procs[101] for one in rows[2:])
    assert all(not one.changed for one in rows[3:])
    assert [one.tick for one in rows] == [1, 2, 3, 4, 5, 6]


def test_every_view_of_a_replay_is_blocked_and_remembered(stage, tmp_path):
    with Recorder(tmp_path / "a.rec") as writer:
        for view in churn(stage, 5):
            writer.write(view)
    watch = open_replay(tmp_path / "a.rec")
    view = watch.skip()
    assert view.blocked
    assert watch.look() is view
    assert view.history.last == 4
    assert set(view.history.moment(4).procs) == set(view.snapshot.procs)


def test_the_tree_shows_orphans_where_they_were_shown(stage, tmp_path):
    one, two = stage.fake.spawn(ppid=1).pid, stage.fake.spawn(ppid=1).pid
    three = stage.fake.spawn(ppid=two).pid
    with Recorder(tmp_path / "a.rec") as writer:
        writer.write(stage.view(parents={two: one}))
    view = open_replay(tmp_path / "a.rec").tick()
    assert view.descendants(one) == [two, three]
    assert view.parent(two) == one


def test_the_dead_are_recorded_once(stage, tmp_path):
    pid = stage.fake.spawn().pid
    first = stage.view()
    who = first.snapshot.procs[pid].identity
    stage.tombs = (Tomb(who, "worker", 1, Role.SPAWNED, 5.0, 2.0, 0.5, 4096, -9, True),)
    with Recorder(tmp_path / "a.rec") as writer:
        writer.write(first)
        writer.write(stage.view())
        writer.write(stage.view())
    watch = open_replay(tmp_path / "a.rec")
    tombs = watch.skip().tombs
    assert [(tomb.name, tomb.exit, tomb.peak_rss, tomb.oom) for tomb in tombs] == [
        ("worker", -9, 4096, True)
    ]


def lines(path: Path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_quiet_frames_are_small(stage, tmp_path):
    for _ in range(200):
        stage.fake.spawn()
    with Recorder(tmp_path / "a.rec") as writer:
        writer.write(stage.view())
        writer.write(stage.view())
        before = writer.size
        for _ in range(50):
            writer.write(stage.view())
        assert (writer.size - before) / 50 < 200
    frame = lines(tmp_path / "a.rec")[10]
    assert not {"p", "d", "v", "n", "io", "job"} & frame.keys()


def test_a_recording_is_bounded_and_keeps_the_newest(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MEMBER_FRAMES", 10)
    path = tmp_path / "a.rec"
    writer = Recorder(path, limit=8_000)
    for view in churn(stage, 150):
        writer.write(view)
        assert writer.size < 16_000
    writer.end("closed")
    assert writer.dropped
    assert path.stat().st_size == writer.size < 16_000
    watch = open_replay(path)
    last = watch.skip()
    assert set(last.snapshot.procs) == set(view.snapshot.procs)
    assert "were dropped" in " ".join(last.warnings)
    assert not (tmp_path / "a.rec.part").exists()


def test_a_crash_loses_nothing_that_was_written(stage, tmp_path):
    writer = Recorder(tmp_path / "a.rec")
    views = list(churn(stage, 20))
    for view in views:
        writer.write(view)
    data = (tmp_path / "a.rec").read_bytes()
    writer.abandon()
    (tmp_path / "b.rec").write_bytes(data)
    watch = open_replay(tmp_path / "b.rec")
    last = watch.skip()
    assert watch.source.frames == 20
    assert set(last.snapshot.procs) == set(views[-1].snapshot.procs)
    assert any("breaks off" in warning for warning in last.warnings)


def test_any_cut_gives_a_part_or_a_clear_error(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MEMBER_FRAMES", 8)
    with Recorder(tmp_path / "a.rec") as writer:
        for view in churn(stage, 30):
            writer.write(view)
    data = (tmp_path / "a.rec").read_bytes()
    frames = []
    for size in range(0, len(data), 97):
        (tmp_path / "b.rec").write_bytes(data[:size])
        try:
            watch = open_replay(tmp_path / "b.rec")
        except BadArgument:
            assert size < 3000
            frames.append(0)
            continue
        words = " ".join(watch.skip().warnings)
        assert "breaks off" in words or "ends in the middle" in words
        frames.append(watch.source.frames)
        watch.close()
    assert frames == sorted(frames)
    assert frames[-1] >= 29


def test_any_damage_gives_a_part_or_a_clear_error(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MEMBER_FRAMES", 8)
    with Recorder(tmp_path / "a.rec") as writer:
        for view in churn(stage, 30):
            writer.write(view)
    data = (tmp_path / "a.rec").read_bytes()
    chance = random.Random(4)
    kept = 0
    for _ in range(60):
        broken = bytearray(data)
        at = chance.randrange(len(broken))
        for place in range(at, min(at + chance.choice((1, 40)), len(broken))):
            broken[place] = chance.randrange(256)
        (tmp_path / "b.rec").write_bytes(broken)
        try:
            watch = open_replay(tmp_path / "b.rec")
            watch.skip()
        except BadArgument:
            continue
        kept += watch.source.frames
        watch.close()
    assert kept / 60 > 15, "most of a recording survives a hole in it"


@pytest.mark.parametrize(
    "frame",
    [
        {"full": 1},
        {"full": 1, "w": "x", "b": 1, "i": None, "sys": []},
        {"full": 1, "w": 1, "b": 1, "i": None, "sys": [[]] * 7},
        {"full": 1, "p": [[1, 2]]},
        {"full": 1, "p": {"a": 1}},
        {"full": 1, "d": [[5, 4, 1]]},
        {"full": 1, "x": [{}]},
        {"full": 1, "v": [5, 99]},
        {"full": 1, "vt": [["king", "certain", [], []]]},
        {"full": 1, "dead": [[1]]},
        {"full": 1, "p": [["1", None, None, 1] + [0] * 15]},
    ],
)
def test_hostile_frames(frame, tmp_path):
    path = tmp_path / "a.rec"
    header = {"proctui": container.MAGIC, "version": 1, "boot_id": "b"}
    path.write_bytes(
        gzip.compress(b"\n".join(json.dumps(one).encode() for one in (header, frame)) + b"\n")
    )
    with pytest.raises(BadArgument):
        Replay(path)


def test_hostile_text_is_made_harmless(stage, tmp_path):
    stage.fake.spawn()
    path = tmp_path / "a.rec"
    with Recorder(path) as writer:
        writer.write(stage.view())
    changed = [json.dumps(line).replace("idle", "\\u001b]0;x\\u0007\\nid") for line in lines(path)]
    path.write_bytes(gzip.compress("\n".join(changed).encode() + b"\n"))
    view = open_replay(path).tick()
    assert view.snapshot.procs[101].name.isprintable()
    assert all(word.isprintable() for word in view.info(101).cmdline)


def test_a_bomb_does_not_go_off(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "_LONGEST_LINE", 1 << 16)
    path = tmp_path / "a.rec"
    header = json.dumps({"proctui": container.MAGIC, "version": 1}).encode() + b"\n"
    path.write_bytes(gzip.compress(header + b"x" * (64 << 20)))
    with pytest.raises(BadArgument, match="longer"):
        Replay(path)


def test_what_is_no_recording(tmp_path):
    cases = {
        "empty": b"",
        "text": b"hello\n",
        "gzip": gzip.compress(b"hello\n"),
        "noise": os.urandom(999),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadArgument):
            Replay(tmp_path / name)
    with pytest.raises(NoSuchFile):
        Replay(tmp_path / "missing")
    with pytest.raises(BadArgument):
        Replay(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadArgument):
        Replay(tmp_path / "fifo")


def test_a_newer_format_is_told(tmp_path):
    header = json.dumps({"proctui": container.MAGIC, "version": 99}).encode()
    (tmp_path / "a.rec").write_bytes(gzip.compress(header + b"\n"))
    with pytest.raises(BadArgument, match="newer"):
        Replay(tmp_path / "a.rec")


def test_another_file_is_left_alone(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(BadArgument):
        Recorder(tmp_path / "thesis")
    assert (tmp_path / "thesis").read_text() == "years of work"
    with pytest.raises(NoSuchFile):
        Recorder(tmp_path / "no" / "file")
    with pytest.raises(BadArgument):
        Recorder(tmp_path)
    with pytest.raises(BadArgument):
        Recorder("/dev/null")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written():
    with pytest.raises(AccessDenied):
        Recorder("/etc/proctui.rec")


def test_a_recording_is_private(stage, tmp_path):
    with Recorder(tmp_path / "a.rec") as writer:
        writer.write(stage.view())
    assert (tmp_path / "a.rec").stat().st_mode & 0o777 == 0o600


def test_recording_a_process_to_its_end(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()']); input()"
    with running(python(code), stdin=subprocess.PIPE) as child:
        summary = {}

        def on_frame(so_far):
            summary.update(so_far)
            if so_far["processes"] == 2 and not child.stdin.closed:
                child.stdin.close()

        result = recording.record(
            tmp_path / "a.rec", pid=child.pid, interval=0.05, duration=30, on_frame=on_frame
        )
    assert result["reason"] == "ended"
    assert result["processes"] >= 2
    assert result["frames"] == summary["frames"]
    watch = recording.open_replay(tmp_path / "a.rec")
    first = watch.tick()
    assert child.pid in first.snapshot.procs
    assert os.getpid() in first.snapshot.procs, "its ancestors are there"
    assert first.role(os.getpid()) is Role.SELF
    assert first.info(child.pid).cmdline is not None
    last = watch.skip()
    assert child.pid not in last.snapshot.procs or last.snapshot.procs[child.pid].state == "Z"


def test_recording_stops_when_told(tmp_path):
    stop = threading.Event()
    result = recording.record(
        tmp_path / "a.rec", interval=0.05, duration=30, stop=stop,
        on_frame=lambda so_far: so_far["frames"] == 3 and stop.set(),
    )  # fmt: skip
    assert (result["reason"], result["frames"]) == ("stopped", 3)
    watch = recording.open_replay(tmp_path / "a.rec")
    assert os.getpid() in watch.skip().snapshot.procs
    assert not any("breaks off" in warning for warning in watch.look().warnings)


def test_ctrl_c_ends_a_recording_properly(tmp_path):
    def interrupt(so_far):
        raise KeyboardInterrupt

    result = recording.record(tmp_path / "a.rec", interval=0.05, on_frame=interrupt)
    assert result["reason"] == "interrupted"
    assert not any(
        "breaks off" in word for word in recording.open_replay(tmp_path / "a.rec").skip().warnings
    )


def test_a_full_disk_keeps_what_was_written(tmp_path, monkeypatch):
    room = [6]
    real = os.write

    def write(fd, data):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(container.os, "write", write)
    with pytest.raises(ProctuiError) as caught:
        recording.record(tmp_path / "a.rec", interval=0.05, duration=60)
    assert caught.value.result["reason"] == "full"
    monkeypatch.undo()
    assert recording.open_replay(tmp_path / "a.rec").skip().snapshot.procs


def test_bad_arguments(tmp_path):
    with pytest.raises(NoSuchProcess):
        recording.record(tmp_path / "a.rec", pid=4194303)
    assert not (tmp_path / "a.rec").exists()
    for wrong in ({"pid": True}, {"interval": 0}, {"duration": -1}):
        with pytest.raises(BadArgument):
            recording.record(tmp_path / "a.rec", **wrong)
