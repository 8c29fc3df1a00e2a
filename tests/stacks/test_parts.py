"""Pure parts: merging, comparing, locks by source, native parsers, the graph's closed sets."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from proctui import stacks
from proctui.errors import AccessDenied, ToolMissing
from proctui.stacks import locks, merging, native, pyspy
from proctui.stacks.graph import Node, WaitGraph
from proctui.stacks.kernel import Call, ThreadLook
from proctui.stacks.tooling import Outcome
from proctui.stacks.trace import StackTrace, joined_warnings, source_line
from proctui.stacks.wording import Wait
from proctui.stacks.world import World
from tests.support import python, running, wait_for


def frame(function: str, file: str = "/srv/app.py", line: int = 1, **more: Any) -> dict[str, Any]:
    return {"function": function, "file": file, "line": line, "kind": "python", **more}


def thread(tid: int, *frames: dict[str, Any], wait: str | None = "sleeping") -> dict[str, Any]:
    return {
        "tid": tid, "name": f"t{tid}", "state": "S", "active": False, "holds_gil": False,
        "wait": wait, "waits_for": "x", "frames": list(frames),
    }  # fmt: skip


def trace(pid: int, *threads: dict[str, Any]) -> StackTrace:
    return StackTrace(pid=pid, threads=list(threads), text="")


# merging and comparing


def test_identical_stacks_fold_into_one() -> None:
    worker = [frame("get", "/usr/lib/python3.11/queue.py"), frame("work")]
    traces = [
        trace(1, thread(1, frame("main")), *(thread(10 + i, *worker) for i in range(6))),
        trace(2, *(thread(20 + i, *worker) for i in range(8))),
    ]
    groups = merging.merge(traces)
    assert [group["count"] for group in groups] == [14, 1]
    assert groups[0]["processes"] == [1, 2]
    assert groups[0]["where"] == "work (srv/app.py:1)"
    title, wait, *_ = merging.merged_text(groups).splitlines()
    assert title == "14 threads in 2 processes (1, 2): work (srv/app.py:1)"
    assert wait.strip() == "sleeping"


@pytest.mark.parametrize(
    ("waits", "common"),
    [
        (["sleeping, at most 0.2s more", "sleeping, at most 3m20s more"], "sleeping"),
        (["sleeping, about to wake", "sleeping, at most 4s more"], "sleeping"),
        (["writing to pipe:[7], which is full", "writing to pipe:[81], which is full"], "writing to pipe:[…], which is full"),
        (["waiting for a lock", "waiting for a lock"], "waiting for a lock"),
        ([None, None], None),
    ],
)  # fmt: skip
def test_a_group_waits_for_what_all_of_it_waits_for(
    waits: list[str | None], common: str | None
) -> None:
    traces = [trace(pid, thread(pid, frame("f"), wait=wait)) for pid, wait in enumerate(waits)]
    (group,) = merging.merge(traces)
    assert group["wait"] == common


def test_a_worker_that_just_wakes_stands_with_those_that_sleep() -> None:
    traces = [trace(pid, thread(pid, frame("f"))) for pid in (1, 2, 3)]
    traces[1]["threads"][0].update(active=True, wait=None, waits_for="running", holds_gil=True)
    (group,) = merging.merge(traces)
    assert group["count"] == 3 and group["holds_gil"]
    assert group["wait"] == "sleeping; 1 of them running"
    traces[2]["threads"][0].update(wait="reading pipe:[7]", waits_for="pipe")
    assert [one["count"] for one in merging.merge(traces)] == [1, 1, 1]


def test_of_a_program_installed_as_a_package_its_own_frames_stand_out() -> None:
    site = "/venv/lib/python3.11/site-packages/"
    frames = [
        frame("Condition.wait", "/usr/lib/python3.11/threading.py"),
        frame("take", site + "shop/orders.py", 7),
        frame("invoke", site + "click/core.py"),
        frame("main", site + "shop/__main__.py"),
    ]
    (group,) = merging.merge([trace(1, thread(1, *frames))])
    assert group["where"] == "take (shop/orders.py:7)"
    assert [row["library"] for row in group["folded"]] == [True, False, True, False]


def test_library_frames_fold_and_the_programs_own_stay() -> None:
    rows = merging.fold_frames(
        [
            frame("a", "/usr/lib/python3.11/queue.py"),
            frame("b", "/usr/lib/python3.11/threading.py"),
            frame("mine"),
            frame("run", "/usr/lib/python3.11/threading.py"),
        ]
    )
    assert [row["library"] for row in rows] == [True, False, True]
    assert rows[0]["text"] == "a (queue.py:1) and 1 more of libraries"
    assert len(rows[0]["frames"]) == 2


def test_compare_tells_same_moving_gone_and_new() -> None:
    first = [trace(1, thread(1, frame("f")), thread(2, frame("g")), thread(3, frame("h")))]
    last = [trace(1, thread(1, frame("f")), thread(2, frame("g", line=2)), thread(4, frame("h")))]
    changes = {row["tid"]: row["change"] for row in merging.compare([first, last])}
    assert changes == {1: "same", 2: "moving", 3: "gone", 4: "new"}
    assert merging.compare([]) == []


# locks by source


def hold(source: str, line: int, path: Path, *, waits: bool, **addresses: int) -> locks.Holding:
    path.write_text(textwrap.dedent(source))
    found = frame("f", str(path), line, addresses=addresses)
    return locks.holding(os.getpid(), 7, [found], waits=waits)


def test_a_frame_inside_with_holds_and_the_with_itself_waits(tmp_path: Path) -> None:
    source = """\
    def f(first, second):
        with first:
            with second:
                work()
    """
    found = hold(source, 3, tmp_path / "a.py", waits=True, first=100, second=200)
    assert [held.text for held in found.holds] == ["first"]
    assert found.wants is not None and found.wants.key == (200, ())
    inside = hold(source, 4, tmp_path / "a.py", waits=False, first=100, second=200)
    assert [held.text for held in inside.holds] == ["first", "second"]
    assert inside.wants is None


def test_acquire_without_release_holds(tmp_path: Path) -> None:
    source = """\
    def f(self):
        self.a.acquire()
        self.b.acquire()
        self.b.release()
        self.c.acquire()
    """
    found = hold(source, 5, tmp_path / "a.py", waits=True, self=1)
    assert [held.text for held in found.holds] == ["self.a"]
    assert found.wants is not None and found.wants.key == (1, ("c",))


def test_of_several_on_one_line_the_last_is_waited_for(tmp_path: Path) -> None:
    found = hold("def f():\n    a.acquire(); b.acquire()\n", 2, tmp_path / "a.py", waits=True)
    assert [held.text for held in found.holds] == ["a"]
    assert found.wants is not None and found.wants.text == "b"
    found = hold("def f():\n    with a, b:\n        x()\n", 2, tmp_path / "a.py", waits=True)
    assert [held.text for held in found.holds] == ["a"]
    assert found.wants is not None and found.wants.text == "b"


def test_functions_inside_and_open_files_hold_nothing(tmp_path: Path) -> None:
    source = """\
    def f():
        def inner():
            with a:
                pass
        with open("x") as file:
            work()
    """
    assert hold(source, 6, tmp_path / "a.py", waits=False).holds == ()


def test_source_that_is_no_python_or_gone_tells_nothing(tmp_path: Path) -> None:
    assert hold("with with", 1, tmp_path / "a.py", waits=True) == locks.Holding(7, (), None)
    gone = locks.holding(1, 7, [frame("f", str(tmp_path / "gone.py"), 1)], waits=True)
    assert gone == locks.Holding(7, (), None)


def test_cycles_of_holders() -> None:
    def one(tid: int, holds: Iterable[str], wants: str | None) -> locks.Holding:
        held = tuple(locks.Held(key, key, 1) for key in holds)
        return locks.Holding(tid, held, locks.Held(wants, wants, 1) if wants else None)

    ring = [one(1, "a", "b"), one(2, "b", "c"), one(3, "c", "a"), one(4, "", "a")]
    assert [{held.tid for held in chain} for chain in locks.cycles(ring)] == [{1, 2, 3}]
    assert locks.cycles([one(1, "a", "a")]) == [[one(1, "a", "a")]]
    chain = [one(1, "a", None), one(2, "b", "a"), one(3, "", "b")]
    assert locks.cycles(chain) == []
    wanted = locks.Held("a", "a", 1)
    assert locks.owner_of(wanted, chain) == chain[0]


# source lines


def test_source_lines_of_files_and_of_code_given_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("one\ntwo \x1b[31m\n")
    assert source_line(1, str(file), 2) == "two ␛[31m"
    assert source_line(1, str(file), 3) is None
    os.mkfifo(tmp_path / "fifo")
    assert source_line(1, str(tmp_path / "fifo"), 1) is None
    assert source_line(1, "/dev/zero", 1) is None
    with running(python("import time\ntime.sleep(99)")) as child:
        assert wait_for(lambda: source_line(child.pid, "<string>", 2)) == "time.sleep(99)"


# native tools


def test_eu_stack_is_parsed() -> None:
    text = (
        "PID 5 - process\nTID 5:\n"
        "#0  0x00007fdf620ed503     clock_nanosleep@GLIBC_2.2.5 - /usr/lib/libc.so.6\n"
        "#1  0x00005585fb778081     main - /srv/prog\n    /srv/prog.c:12:3\n"
        "TID 6:\n#0  0x1 - read - /usr/lib/libc.so.6\n"
    )
    found = native.parse_eu_stack(text)
    assert [row["function"] for row in found[5]] == ["clock_nanosleep", "main"]
    assert (found[5][1]["file"], found[5][1]["line"]) == ("/srv/prog.c", 12)
    assert found[6][0]["file"] == "/usr/lib/libc.so.6"


def test_gdb_is_parsed() -> None:
    text = (
        'Thread 2 (Thread 0x7f (LWP 71) "x"):\n'
        "#0  0x00007f in poll () from /lib/libc.so.6\n#1  work (a=...) at src/work.c:44\n"
        "\nThread 1 (Thread 0x7f (LWP 70)):\n#0  main () at main.c:1\n"
    )
    found = native.parse_gdb(text)
    assert [row["function"] for row in found[71]] == ["poll", "work"]
    assert found[71][1] == {"function": "work", "file": "src/work.c", "line": 44, "kind": "native"}
    assert found[70][0]["function"] == "main"


# what py-spy's failures mean


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("Permission Denied: Try running again with elevated permissions", AccessDenied),
        ("Error: Failed to open process, SYS_PTRACE", AccessDenied),
        ("Error: This program requires root on OSX.", AccessDenied),
        ("", ToolMissing),
    ],
)
def test_failures_of_py_spy(err: str, kind: type[Exception]) -> None:
    found = pyspy.read_dump(os.getpid(), Outcome(127 if not err else 1, b"", err, 0.0))
    assert isinstance(found.error, kind)


def test_no_python_is_no_error_and_other_trouble_may_pass() -> None:
    found = pyspy.read_dump(
        1, Outcome(1, b"", "Error: Failed to find python version from target", 0.0)
    )
    assert found.python is False and found.error is None and not found.transient
    found = pyspy.read_dump(1, Outcome(1, b"", "Error: bad \x1b[31m pointer", 0.0))
    assert found.transient and found.note == "py-spy: Error: bad ␛[31m pointer"
    assert pyspy.read_dump(1, Outcome(0, b"{", "", 0.0)).transient
    assert (
        pyspy.read_dump(1, Outcome(None, b"", "", 0.0)).note == "py-spy took too long and was ended"
    )


def test_hints_fit_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pyspy, "_may_trace", lambda: False)
    assert pyspy.denied(os.getpid()).hint == "start the container with --cap-add=SYS_PTRACE"
    owner = os.stat(f"/proc/{os.getpid()}").st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner or 0)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    hint = pyspy.denied(os.getpid()).hint or ""
    assert hint == f"sudo {sys.executable} -m proctui stack {os.getpid()}"
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    if owner:
        monkeypatch.setattr("proctui.stacks.remote.yama", lambda: 1)
        assert "Yama lets only ancestors" in pyspy.denied(os.getpid()).message


# closed sets


def graph_of(**waits: tuple[list[int], list[str], bool]) -> WaitGraph:
    """Threads ``t1=(wakers, outside, timed)``."""
    graph = WaitGraph(World(), [])
    for name, (wakers, outside, timed) in waits.items():
        tid = int(name[1:])
        look = ThreadLook(tid, tid, name, "S", 0, None, Call(0, ()), False, False)
        wait = Wait("read", "reading", timed)
        graph.nodes[tid] = Node(look, wait, frozenset(wakers), tuple(outside), (), ())
    return graph


def test_the_greatest_closed_set() -> None:
    graph = graph_of(
        t1=([2], [], False),
        t2=([1], [], False),
        t3=([1, 4], [], False),
        t4=([], [], True),
        t5=([6], [], False),
        t6=([5], ["the terminal"], False),
        t7=([], [], False),
        t8=([99], [], False),
    )
    assert graph.closed() == {1, 2, 7}
    assert graph.closed(frozenset({2})) == {7}
    assert graph.reach(3) == {3, 1, 2, 4}


def test_a_process_waits_on_its_own_pipe() -> None:
    """It holds both ends: nobody but itself could write."""
    code = "import os; r, w = os.pipe(); print('ready', flush=True); os.read(r, 1)"
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        wait_for(lambda: child.pid in WaitGraph(World(), [child.pid]).closed())


def test_descriptors_in_flight_are_noticed() -> None:
    import socket

    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    with ours, theirs:
        world = World()
        if world.descriptors_in_flight():
            pytest.skip("another program sends descriptors just now")
        socket.send_fds(ours, [b"x"], [read])
        assert World().descriptors_in_flight()
        for fd in socket.recv_fds(theirs, 1, 1)[1]:
            os.close(fd)
    os.close(read)
    os.close(write)


def test_a_runaway_thread_is_no_member() -> None:
    stop = threading.Event()
    spinner = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
    spinner.start()
    try:
        assert os.getpid() not in WaitGraph(World(), [os.getpid()]).closed()
    finally:
        stop.set()
        spinner.join()


def test_of_many_that_may_not_be_read_it_is_told_once() -> None:
    def refused(pid: int, *more: str) -> dict[str, Any]:
        error = {
            "kind": "permission-denied",
            "message": f"the stack of process {pid} may not be read",
            "hint": f"sudo proctui stack {pid}",
        }
        told = f"{error['message']}; {error['hint']}"
        return {"pid": pid, "warnings": [told, *more], "error": error}

    one = joined_warnings([refused(11), {"pid": 7, "warnings": ["it is stopped"]}, refused(11)])
    assert one == [
        "the stack of process 11 may not be read; sudo proctui stack 11",
        "it is stopped",
    ]
    many = joined_warnings([refused(pid, "so") for pid in range(11, 17)])
    who = "the stacks of 6 processes (11, 12, 13, 14 and 2 more)"
    assert many == [f"{who} may not be read; sudo proctui stack PID", "so"]


def test_the_text_of_a_big_job_dwells_on_those_that_hang() -> None:
    def row(pid: int, verdict: str) -> dict[str, Any]:
        return {
            "pid": pid, "name": "x", "label": None, "verdict": verdict, "cycle": None,
            "evidence": [],
        }  # fmt: skip

    edges = [
        {"from": one, "to": 1, "why": f"waits, {one}", "from_pid": one, "to_pid": to}
        for one, to in ((7, 8), (30, 31), (32, 7))
    ]
    rows = [row(pid, "idle") for pid in range(30, 50)]
    found = {"verdicts": [*rows, row(7, "suspected")], "graph": edges, "warnings": []}
    text = stacks.hang_text(found).splitlines()
    assert text[0] == "7 x: suspected" and "… and 12 more that don't hang" in text
    assert [line for line in text if "waits, " in line] == ["    7 waits, 7", "    32 waits, 32"]
    found["verdicts"] = rows
    assert len(stacks.hang_text(found).splitlines()) == 20 + 2 + 3
