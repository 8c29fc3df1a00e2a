"""The audit line: one per plan, before the first signal, on a full disk too."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from proctui.awareness import reserve
from proctui.errors import RefusedError
from proctui.killing import audit
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan
from tests.killing.namespace import isolated
from tests.killing.scene import Scene
from tests.support import alive, running

SLEEP = ["sleep", "1000"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "session"
    path.mkdir(mode=0o700)
    return path


def lines(folder: Path, name: str = "audit.jsonl") -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_the_line_stands_before_the_first_signal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, object]] = []
    with running(SLEEP) as target:
        scene = Scene([target.pid], directory=folder)
        plan = make_plan(scene.look, [target.pid])
        scene.before = lambda: seen.extend(lines(folder))
        execute(plan, scene.look)
    assert seen[0]["state"] == "begun" and seen[0]["plan"] == plan.id
    (done,) = lines(folder)
    assert done["state"] == "done" and done["signal"] == "TERM"
    assert done["results"][0]["signal_sent"] == "TERM"  # type: ignore[index]
    assert stat.S_IMODE((folder / "audit.jsonl").stat().st_mode) == 0o600


def test_a_refused_plan_leaves_a_line_too(folder: Path) -> None:
    scene = Scene([], directory=folder)
    execute(make_plan(scene.look, [os.getppid()]), scene.look)
    (line,) = lines(folder)
    assert line["state"] == "refused" and line["refused"][0]["role"] == "ancestor"  # type: ignore[index]


def test_space_for_coming_lines_is_set_aside(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    assert reserve.prepare(opened)
    os.close(opened)
    info = (folder / "audit.jsonl").stat()
    assert info.st_size == 0
    assert info.st_blocks * 512 >= reserve.SPARE or (folder / "audit.reserve").exists()


@pytest.mark.parametrize("spoil", ["symlink", "mode", "hard link", "directory"])
def test_a_spoilt_file_is_not_written_to(folder: Path, tmp_path: Path, spoil: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)
    file = folder / "audit.jsonl"
    if spoil == "symlink":
        file.symlink_to(victim)
    elif spoil == "mode":
        file.touch(0o666)
        file.chmod(0o666)
    elif spoil == "hard link":
        os.link(victim, file)
    else:
        file.mkdir()
    with running(SLEEP) as target:
        scene = Scene([target.pid], directory=folder)
        report = execute(make_plan(scene.look, [target.pid]), scene.look)
        assert report.audit is not None and report.audit.parent != folder
        assert lines(report.audit.parent)[0]["state"] == "done"
    assert victim.read_text() == "mine"


def test_two_at_once_do_not_mix(folder: Path) -> None:
    with running(SLEEP) as one, running(SLEEP) as two:
        scene = Scene([one.pid, two.pid], directory=folder)
        plans = [make_plan(scene.look, [child.pid]) for child in (one, two)]
        records = [audit.begin(plan, folder, signal.SIGTERM, 1.0) for plan in plans]
        assert [line["state"] for line in lines(folder)] == ["begun", "begun"]
        for record in records:
            assert record.finish([])
        assert [line["plan"] for line in lines(folder)] == [plan.id for plan in plans]
        assert [line["state"] for line in lines(folder)] == ["done", "done"]
        assert alive(one.pid)


def test_more_results_than_foreseen_are_cut_not_lost(folder: Path) -> None:
    with running(SLEEP) as target:
        scene = Scene([target.pid], directory=folder)
        record = audit.begin(make_plan(scene.look, [target.pid]), folder, signal.SIGTERM, 1.0)
        many = [
            {"identity": f"{n}:{n}", "outcome": "exited", "errno": None, "signal_sent": "KILL"}
            for n in range(1000)
        ]
        assert record.finish(many)
    (line,) = lines(folder)
    assert line["results_cut"] == 1000 - len(line["results"])  # type: ignore[arg-type]


FULL = """
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(disk)], check=True)
folder = disk / "session"
folder.mkdir(mode=0o700)
how = sys.argv[2]
from proctui.awareness import reserve
from proctui.awareness import reserve
if how == "file of real bytes":
    reserve._fallocate = lambda: None
if how != "unprepared":
    assert reserve.prepare(os.open(folder, os.O_RDONLY))
import proctui.paths
proctui.paths.state_places = lambda: [str(disk / "state")]
# The target fills the disk itself, and would go on for ever.
code = '''
import sys
with open(sys.argv[1], "ab", buffering=0) as file:
    for size in (65536, 4096, 1):
        try:
            while True:
                file.write(b"x" * size)
        except OSError:
            pass
print("full", flush=True)
import time; time.sleep(1000)
'''
with running([sys.executable, "-I", "-c", code, str(disk / "filler")], stdout=subprocess.PIPE) as target:
    target.stdout.readline()
    try:
        (disk / "more").write_bytes(b"x" * 8192)
    except OSError:
        pass
    else:
        raise AssertionError("the disk is not full")
    scene = Scene([target.pid], directory=folder)
    plan = make_plan(scene.look, [target.pid])
    if how == "unprepared":
        try:
            execute(plan, scene.look)
        except RefusedError as error:
            assert "audit" in str(error)
            assert alive(target.pid)
            sys.exit()
        raise AssertionError("killed without an audit line")
    report = execute(plan, scene.look)
    assert report.done, report.to_dict()
    assert not alive(target.pid)
name = "audit.reserve" if how == "file of real bytes" else "audit.jsonl"
line = json.loads((folder / name).read_text().strip().splitlines()[0])
assert line["state"] == "done" and line["results"][0]["signal_sent"] == "TERM", line
"""


@pytest.mark.namespace
@pytest.mark.parametrize("how", ["fallocate", "file of real bytes", "unprepared"])
def test_a_full_disk_does_not_save_what_fills_it(tmp_path: Path, how: str) -> None:
    isolated(FULL, str(tmp_path), how, mounts=True)


def test_where_nothing_can_be_written_the_kill_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctui.paths.state_places", lambda: ["/proc/nowhere"])
    (folder / "audit.jsonl").mkdir()
    with running(SLEEP) as target:
        scene = Scene([target.pid], directory=folder)
        with pytest.raises(RefusedError, match="nothing is signalled"):
            execute(make_plan(scene.look, [target.pid]), scene.look)
        assert alive(target.pid)
