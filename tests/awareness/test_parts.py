"""Small parts of awareness, each by itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.awareness import cgroup, evidence, live, protect
from proctui.awareness.baseline import Baseline
from proctui.awareness.connector import Fork, open_connector
from proctui.awareness.entry import boottime
from proctui.awareness.exits import Exits
from proctui.awareness.lineage import Lineage
from proctui.awareness.links import Links
from proctui.awareness.session import BaselineSpan, Session
from proctui.awareness.view import UNSEEN
from proctui.awareness.watch import Watch
from proctui.awareness.writer import create_session
from proctui.config import Protect
from proctui.errors import BadArgument, NoSuchSession, RefusedError, TimedOut
from proctui.machine import identity as kernel
from proctui.machine.stat import CLOCK_TICKS
from proctui.model import Certainty, Identity, Role
from tests.awareness.world import World
from tests.support import python, running, wait_for


def test_a_baseline_knows_what_was_born_while_it_was_taken() -> None:
    world = World()
    old = world.add(10, 1, ticks=500)
    edge = world.add(11, 1, ticks=1000)
    unlisted = world.add(12, 1, ticks=1000)
    late = world.add(13, 1, ticks=1001)
    listed = frozenset({1, 2, 10, 11, 13})
    baseline = Baseline.of(world.sample(), 10.0, 10.05, listed)
    assert [row.identity in baseline for row in (old, edge, unlisted, late)] == [
        True, True, False, False
    ]  # fmt: skip
    assert [baseline.born_during(row) for row in (old, edge, unlisted, late)] == [
        False, False, True, True
    ]  # fmt: skip
    unseen = world.add(14, 1, ticks=1003)
    after = world.add(15, 1, ticks=1005)
    assert baseline.born_during(unseen) and not baseline.born_during(after)
    again = Baseline.from_bytes(baseline.to_bytes())
    assert again.born_during(unlisted) and edge.identity in again


@pytest.mark.parametrize(
    "rows",
    [[], [None], [1], [["span", 1, 2, 5, True, 0]], [["span", 1, 2, 0, 1, 0]], [["span"]],
     [["span", 1.0, 2.0, 1, True, 0], [["b", 1, None, None, None], "x"]]],
)  # fmt: skip
def test_a_baseline_that_is_not_whole_is_refused(rows: list[object]) -> None:
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for raw in (lines, lines + b"[", lines + b"\n"):
        with pytest.raises(ValueError, match=r"."):
            Baseline.from_bytes(raw)


def identity(pid: int, inode: int = 0) -> Identity:
    return Identity("b", pid, inode or pid, 1, pid)


def test_a_line_of_the_dead_is_cut_short() -> None:
    """A respawner makes one dead ancestor after another: they must not pile up."""
    lineage = Lineage()
    leader = lineage.latch(identity(1), "leader", ("leader",))
    above = leader
    for pid in range(2, 5000):
        record = lineage.latch(identity(pid), "child", ("child",), parent=above)
        if above is not leader:
            lineage.bury(above.identity)
        above = record
    assert len(lineage) == 2 and above.parent is leader
    assert lineage.moved({1: 0, 4999: 77}) == {4999: 1}


def test_doubt_spreads_down_and_stays_when_its_source_dies() -> None:
    lineage = Lineage()
    leader = lineage.latch(identity(1), "leader", ("leader",))
    middle = lineage.latch(identity(2), "child", ("child",), parent=leader)
    low = lineage.latch(identity(3), "child", ("child",), parent=middle)
    lineage.mark_foreign(middle)
    assert (leader.certainty, low.certainty) == (Certainty.CERTAIN, Certainty.LIKELY)
    lineage.bury(middle.identity)
    lineage.latch(identity(1), "leader", ("leader again",))
    assert low.parent is leader and low.certainty is Certainty.LIKELY


def test_reported_forks_bridge_what_nobody_saw() -> None:
    world = World()
    leader = world.add(100, 1)
    lineage = Lineage()
    record = lineage.latch(leader.identity, "leader", ("leader",))
    offset = boottime() - __import__("time").clock_gettime(__import__("time").CLOCK_MONOTONIC)

    def nanoseconds(ticks: int) -> int:
        return int((ticks / CLOCK_TICKS - offset + 0.001) * 1e9)

    now = int(boottime() * CLOCK_TICKS)
    orphan = world.add(103, 1, ticks=now)
    stranger = world.add(104, 1, ticks=now)
    reused = world.add(101, 1, ticks=now + 500)
    links = Links()
    links.take(
        [
            Fork(100, 101, nanoseconds(now)), Fork(101, 102, nanoseconds(now)),
            Fork(101, 0, nanoseconds(now)), Fork(102, 103, nanoseconds(now)),
            Fork(102, 0, nanoseconds(now)), Fork(55, 104, nanoseconds(now)),
            Fork(55, 101, nanoseconds(now + 500)),
        ],
        lineage.at, {999}.__contains__,
    )  # fmt: skip
    found = links.settle(world.procs, lambda identity: True)
    assert [(row.pid, link.above) for row, link in found] == [(orphan.pid, record)]
    assert "through 102" in found[0][1].words
    assert stranger.pid == 104 and reused.pid == 101


def test_a_report_older_than_the_process_is_about_another() -> None:
    world = World()
    now = int(boottime() * CLOCK_TICKS)
    row = world.add(100, 1, ticks=now + 1000)
    lineage = Lineage()
    lineage.latch(row.identity, "leader", ("leader",))
    links = Links()
    when = __import__("time").clock_gettime_ns(__import__("time").CLOCK_MONOTONIC)
    links.take([Fork(100, 200, when)], lineage.at, lambda pid: False)
    world.add(200, 1, ticks=now)
    assert links.settle(world.procs, lambda identity: True) == []


def test_the_kernel_reports_forks_and_exits() -> None:
    connector = open_connector()
    if connector is None:
        pytest.skip("no proc connector for us here")
    with contextlib.closing(connector):
        done = subprocess.run(
            ["sh", "-c", "sh -c 'echo $$' & wait; echo $$"], capture_output=True, text=True
        )
        inner, outer = map(int, done.stdout.split())
        events: list[Fork] = []
        wait_for(
            lambda: (
                (events.extend(connector.poll()), Fork)[1]
                and any(event.parent == outer and event.child == 0 for event in events)
            ),
            what="the exit's report",
        )
        pairs = {(event.parent, event.child) for event in events}
        assert {(os.getpid(), outer), (outer, inner), (inner, 0)} <= pairs
        assert not connector.lost


def test_an_exit_status_of_nobodys_child() -> None:
    exits = Exits()
    code = "import subprocess, sys; c = subprocess.Popen(['sh', '-c', 'read x; exit 7'],"
    code += " stdin=subprocess.PIPE); print(c.pid, flush=True); sys.stdin.read(); c.communicate();"
    code += " print('reaped', flush=True); sys.stdin.read()"
    with running(python(code), stdin=-1, stdout=-1) as child:
        assert child.stdout is not None and child.stdin is not None
        grandchild = kernel.identify(int(child.stdout.readline()))
        exits.hold([grandchild, grandchild, identity(2**22 - 1)])
        child.stdin.close()
        assert child.stdout.readline() == b"reaped\n"
        assert exits.release(grandchild) in (7, None)
        assert exits.release(grandchild) is None
    exits.close()


def test_a_bad_pattern_in_the_configuration_is_no_silence() -> None:
    with pytest.raises(BadArgument, match=r"protect\.commands"):
        protect.Rules.of(Protect(commands=("(",)))


def test_protected_pids_become_identities_at_once() -> None:
    with running(["sleep", "300"]) as child:
        rules = protect.Rules.of(Protect(pids=(child.pid, 2**22 - 1)))
        key = kernel.identify(child.pid).key
        assert list(rules.identities) == [key]
        found = protect.add_helper(child.pid)
        assert found is not None and protect.registered()[key] == "proctui's own helper"
        protect.discard(found)
        assert key not in protect.registered()


def test_terminals_have_names() -> None:
    assert evidence.terminal_name(os.makedev(136, 3)) == "pts/3"
    assert evidence.terminal_name(os.makedev(137, 1)) == "pts/257"
    assert evidence.terminal_name(os.makedev(4, 1)) == "tty 4:1"


def test_the_marker_of_another_process_is_read() -> None:
    environ = {**os.environ, "PROCTUI_SESSION": "a" * 32 + ":" + "b" * 32}
    with running(["sleep", "300"], env=environ) as child:
        wait_for(lambda: evidence.read_marker(child.pid).ids)
        assert evidence.read_marker(child.pid).ids == ("a" * 32, "b" * 32)
    assert evidence.read_marker(child.pid) == ((), None)


# The runner's socket


@contextlib.contextmanager
def served(answer: bytes | None) -> Iterator[Session]:
    """A session whose runner is another process that answers every question with ``answer``."""
    writer = create_session("job", lock=False)
    directory = writer.session.directory
    assert directory is not None
    code = (
        "import os, socket, sys; os.chdir(sys.argv[1]); s = socket.socket(socket.AF_UNIX);"
        "s.bind('runner.sock'); s.listen(); print('up', flush=True)\n"
        "while True:\n c, _ = s.accept(); c.recv(4096); a = sys.argv[2].encode()\n"
        " if a == b'silence': c.recv(1)\n else: c.sendall(a + b'\\n')\n c.close()"
    )
    argv = python(code, str(directory), "silence" if answer is None else answer.decode())
    with running(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "up\n"
        yield writer.session._replace(runner=kernel.identify(child.pid))
    writer.detach()


def test_the_recorded_runner_is_heard() -> None:
    with served(b'{"ok": true}') as session:
        assert live.ask(session, {"ask": "truth"}) == {"ok": True}


def test_somebody_else_behind_the_socket_is_not() -> None:
    with served(b'{"ok": true}') as session:
        other = session._replace(runner=kernel.identify(os.getppid()))
        with pytest.raises(RefusedError, match="answers for the session"):
            live.ask(other, {"ask": "truth"})


@pytest.mark.parametrize("answer", [b"{", b"[1]", b"", b"null"])
def test_an_answer_that_is_none(answer: bytes) -> None:
    with served(answer) as session, pytest.raises(RefusedError):
        live.ask(session, {"ask": "truth"})


def test_a_silent_runner_does_not_hold_us_up() -> None:
    with served(None) as session, pytest.raises(TimedOut):
        live.ask(session, {"ask": "truth"}, timeout=0.2)


def test_nobody_answers() -> None:
    writer = create_session("job", kind="library", leader=kernel.own())
    with pytest.raises(NoSuchSession):
        live.ask(writer.session, {"ask": "truth"})
    writer.discard()


def test_a_peer_is_known_by_its_identity() -> None:
    one, two = socket.socketpair()
    with one, two:
        assert live.peer(one).identity == kernel.own()
        assert struct.calcsize("3i") == 12


# Control groups


def test_a_control_group_of_the_sessions_own(monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = "d" * 31 + f"{os.getpid() % 10}"
    name = cgroup.create(session_id)
    if name is None:
        pytest.skip("no control group may be made here")
    try:
        code = (
            "import sys, os; os.fork(); os.setsid() if os.getppid() == 1 else 0; sys.stdin.read()"
        )
        with running(python(code), stdin=subprocess.PIPE) as child:
            assert cgroup.join(name, session_id, child.pid)
            assert child.pid in cgroup.members(name, session_id)
            assert not cgroup.remove(name)
            below = Path(f"{cgroup.directory_of(name, session_id)}/below")
            below.mkdir()
            (below / "cgroup.procs").write_text(str(child.pid))
            monkeypatch.setattr(cgroup, "mount", lambda: pytest.fail("its place is known"))
            assert child.pid in cgroup.members(name, session_id), "a group below counts too"
            monkeypatch.undo()
        wait_for(lambda: not cgroup.members(name, session_id))
    finally:
        assert wait_for(lambda: cgroup.remove(name))
    assert cgroup.members(name, session_id) == frozenset()


def test_a_group_whose_mount_moved_is_found_in_the_same_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"/proctui-{'e' * 32}"
    for mount in ("old", "new"):
        (tmp_path / f"{mount}{name}").mkdir(parents=True)
        (tmp_path / f"{mount}{name}/cgroup.procs").write_text("0\n41\n42\n")
    monkeypatch.setattr(cgroup, "mount", lambda: str(tmp_path / "old"))
    assert cgroup.members(name, "e" * 32) == {41, 42}
    (tmp_path / f"old{name}/cgroup.procs").unlink()
    monkeypatch.setattr(cgroup, "mount", lambda: str(tmp_path / "new"))
    assert cgroup.members(name, "e" * 32) == {41, 42}
    (tmp_path / f"new{name}/cgroup.procs").unlink()
    assert cgroup.members(name, "e" * 32) == frozenset()


@pytest.mark.parametrize("name", ["/", "/user.slice", "/../proctui-" + "a" * 32, "proctui", None])
def test_a_group_of_others_is_never_the_sessions(name: str | None) -> None:
    assert cgroup.directory_of(name, "a" * 32) is None
    assert cgroup.members(name, "a" * 32) == frozenset()


def test_members_of_the_group_are_spawned_whatever_they_did() -> None:
    from tests.awareness.scene import Scene, is_certain

    scene = Scene()
    scene.world.add(730, 1, sid=730, pgid=730)
    verdicts = scene.classifier.update(scene.world.sample(), scene.others(), frozenset({730, 400}))
    assert is_certain(verdicts[730]) and verdicts[400].role is Role.BASELINE


# Views


def test_a_view_answers_about_a_tree_with_a_cycle() -> None:
    world = World()
    world.add(10, 1, pgid=10)
    world.add(11, 10)
    world.add(12, 11)
    world.add(20, 21, ticks=5)
    world.add(21, 20, ticks=5)
    view = Watch(world, own=world.procs[10].identity, live=False, history=0).look()
    assert view.descendants(10) == [11, 12] and view.ancestors(12) == [11, 10, 1]
    assert view.descendants(20) == [21] and view.ancestors(20) == [21]
    assert view.group(10) == [10, 11, 12]
    assert view.verdict(99999) is UNSEEN and view.parent(1) is None and view.info(10) is None


def test_a_replay_reads_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add(os.getpid(), 1)
    watch = Watch(world, own=identity(7), live=False, history=0)
    assert watch.tick().role(os.getpid()) is Role.UNKNOWN


def test_a_span_is_written_as_the_design_says() -> None:
    assert BaselineSpan(1.0, 2.0, 3, True, 0).document() == {
        "t0": 1.0, "t1": 2.0, "count": 3, "complete": True, "unreadable": 0
    }  # fmt: skip


def test_importing_it_costs_no_textual() -> None:
    code = "import sys, proctui.awareness.watch; print('textual' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
    assert Path(__file__).exists()
