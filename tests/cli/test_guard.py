"""kill, strays and adopt as a person and a script meet them, on real jobs."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from proctui.awareness.writer import create_session
from proctui.machine.identity import own
from tests.contract.outside import PROCTUI, document, failure, proctui
from tests.support import alive, running, wait_for


@contextmanager
def job(command: str, *options: str) -> Iterator[dict[str, Any]]:
    """A session around a shell line; whatever is left of it ends with the block."""
    argv = [*PROCTUI, "run", "--no-tui", "--name", "guarded", *options, "--", "sh", "-c", command]
    with running(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as front:
        session = wait_for(_the_session)
        pid = session["leader"]["pid"]
        try:
            yield session
        finally:
            proctui("strays", "--end", "--yes", "--session", session["id"])
            proctui("kill", pid, "--tree", "--yes", "--session", session["id"])
            if alive(pid):
                # What we test failed, and the group is ours: the job's leader made it.
                os.killpg(pid, signal.SIGKILL)
            front.wait(20)


def _the_session() -> dict[str, Any] | None:
    rows = document("sessions")["sessions"]
    return next((one for one in rows if one["state"] == "live" and one["leader"]), None)


def below(pid: int, name: str) -> int | None:
    """The pid of a process called ``name`` in the tree of ``pid``."""
    queue = [document("tree", pid)["root"]]
    for node in queue:
        if node["name"] == name:
            return int(node["pid"])
        queue.extend(node["children"])
    return None


class Person:
    """Somebody at a terminal of their own."""

    def __init__(self, *argv: object) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [*PROCTUI, *map(str, argv)])
        self.seen = ""

    def sees(self, text: str, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        assert text in self.seen, self.seen

    def types(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def leaves(self) -> int:
        while True:
            try:
                chunk = os.read(self.fd, 65536)
            except OSError:
                break
            if not chunk:
                break
            self.seen += chunk.decode("utf-8", "replace")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_kill_plans_signals_and_reports() -> None:
    with job("sleep 600 & sleep 601 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        dry = document("kill", pid, "--dry-run")
        assert [one["pid"] for one in dry["plan"]["targets"]] == [pid] and dry["results"] == []
        assert alive(pid)
        identity = dry["plan"]["targets"][0]["identity"]
        done = document("kill", identity, "--yes")
        (result,) = done["results"]
        assert result["identity"] == identity and result["outcome"] in ("exited", "zombie")
        assert result["signal_sent"] == "TERM" and result["errno"] is None
        failure("kill", identity, "--yes", kind="no-such-process", status=3)


def test_a_tree_goes_as_a_whole_and_the_job_tells_its_status() -> None:
    with job("sleep 600 & sleep 601 & wait") as session:
        leader = session["leader"]["pid"]
        wait_for(lambda: below(leader, "sleep"))
        done = document("kill", leader, "--tree", "--yes", "--signal", "KILL")
        assert len(done["results"]) == 3
        assert {one["outcome"] for one in done["results"]} <= {"exited", "zombie", "gone"}
        assert not alive(leader)


def test_kill_in_words_shows_plan_and_results() -> None:
    with job("sleep 600 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        done = proctui("kill", pid, "--yes", status=0)
        for word in ("plan", "targets", "results", "spawned", "TERM"):
            assert word in done.stdout
        assert done.stderr == ""


def test_one_refused_target_stops_the_whole_plan() -> None:
    with job("sleep 600 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        result = failure("kill", pid, os.getpid(), "--yes", kind="refused", status=1)
        assert result["plan"]["targets"] == [] and result["results"] == []
        assert {one["pid"] for one in result["plan"]["refused"]} == {pid, os.getpid()}
        assert alive(pid)


def test_tree_and_group_together_are_no_usage() -> None:
    failure("kill", os.getpid(), "--tree", "--group", "--yes", kind="bad-argument", status=2)


def test_without_a_terminal_it_refuses_but_shows_the_plan() -> None:
    with job("sleep 600 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        result = failure("kill", pid, kind="refused", status=1)
        assert [one["pid"] for one in result["plan"]["targets"]] == [pid]
        assert result["results"] == [] and "--yes" in result["error"]["hint"]
        assert alive(pid)


def test_a_person_is_asked_and_may_say_no() -> None:
    with job("sleep 600 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        person = Person("kill", pid)
        person.sees("yes to go on")
        person.types("no\n")
        assert person.leaves() == 1
        assert alive(pid)
        person = Person("kill", pid)
        person.sees("yes to go on")
        person.types("yes\n")
        assert person.leaves() == 0, person.seen
        assert not alive(pid)


def test_an_interrupted_question_is_130() -> None:
    with job("sleep 600 & wait") as session:
        pid = wait_for(lambda: below(session["leader"]["pid"], "sleep"))
        person = Person("kill", pid)
        person.sees("yes to go on")
        person.types("\x03")
        assert person.leaves() == 130
        assert "Traceback" not in person.seen
        assert alive(pid)


def test_strays_are_listed_and_ended() -> None:
    with job("(setsid sleep 600 &) ; sleep 601") as session:
        rows = wait_for(lambda: document("strays")["strays"])
        (stray,) = rows
        assert stray["name"] == "sleep" and stray["evidence"] and stray["certainty"] == "certain"
        assert next(
            one["strays"] for one in document("sessions")["sessions"] if one["id"] == session["id"]
        )
        dry = document("strays", "--end", "--dry-run", "--yes")
        assert [one["pid"] for one in dry["plan"]["targets"]] == [stray["pid"]]
        done = document("strays", "--end", "--yes")
        assert done["results"][0]["outcome"] in ("exited", "zombie")
        assert not alive(stray["pid"]) and alive(session["leader"]["pid"])
        none = document("strays", "--end", "--yes")
        assert none["plan"]["targets"] == [] and none["results"] == []


def test_adopting_asks_for_the_pid_once_more() -> None:
    with running(["sleep", "602"]) as stranger, job("sleep 601") as session:
        person = Person("adopt", stranger.pid, "--session", session["id"])
        person.sees("Type its pid")
        person.types("1\n")
        assert person.leaves() == 1
        failure("kill", stranger.pid, "--yes", kind="refused", status=1)
        person = Person("adopt", stranger.pid, "--session", session["id"])
        person.sees("Type its pid")
        person.types(f"{stranger.pid}\n")
        assert person.leaves() == 0, person.seen
        inspected = document("inspect", stranger.pid, "--session", session["id"])
        assert inspected["role"] == "spawned"
        assert any("adopted by" in one for one in inspected["evidence"])
        done = document("kill", stranger.pid, "--yes", "--session", session["id"])
        assert done["results"][0]["outcome"] in ("exited", "zombie")
        assert stranger.wait(10) == -signal.SIGTERM


def test_adopting_without_a_terminal_and_of_the_wrong_kind() -> None:
    with running(["sleep", "600"]) as stranger, job("sleep 601") as session:
        failure("adopt", stranger.pid, kind="refused", status=1)
        person = Person("adopt", os.getpid(), "--session", session["id"])
        assert person.leaves() == 1
        assert "can't be adopted" in person.seen
        failure("adopt", 1, kind="bad-argument", status=2)


@pytest.mark.parametrize("command", ["tree", "strays", "kill", "inspect", "hangs", "adopt"])
def test_a_session_nobody_has(command: str) -> None:
    argv: list[object] = [command, "--session", "f" * 32]
    if command in ("kill", "inspect"):
        argv.append(os.getpid())
    if command == "adopt":
        person = Person("adopt", os.getpid(), "--session", "f" * 32)
        assert person.leaves() == 3
        return
    failure(*argv, kind="no-such-session", status=3)


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [("4194304", 3, "no-such-process"), ("1", 2, "bad-argument"), ("x", 2, "bad-argument")],
)
def test_a_kill_always_prints_plan_and_results(target: str, status: int, kind: str) -> None:
    found = failure("kill", target, "--yes", kind=kind, status=status)
    assert found["plan"] == {"id": None, "targets": [], "refused": []} and found["results"] == []
    found = failure("strays", "--end", "--session", "ffff", kind="no-such-session", status=3)
    assert found["plan"]["targets"] == found["results"] == []


def test_people_are_shown_the_last_sessions_that_ended() -> None:
    for number in range(13):
        create_session(f"job {number}", kind="run", leader=own()).end(0)
    assert len(document("sessions")["sessions"]) == 13
    lines = proctui("sessions", status=0).stdout.splitlines()
    assert [line.split()[-1] for line in lines[1:-1]] == [str(n) for n in range(12, 2, -1)]
    assert lines[-1].startswith("and 3 more that ended")


def test_several_sessions_are_named_where_it_matters() -> None:
    with job("sleep 600") as first:
        second = subprocess.Popen(
            [*PROCTUI, "run", "--no-tui", "--name", "other", "--", "sleep", "603"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        with second:
            rows = wait_for(
                lambda: [one for one in document("sessions")["sessions"] if one["label"] == "other"]
            )
            wait_for(lambda: _leader_of("other"))
            pid = _leader_of("other")
            result = failure("kill", pid, "--yes", kind="refused", status=1)
            assert first["id"][:12] in result["error"]["message"]
            assert rows[0]["id"][:12] in result["error"]["message"]
            document("kill", pid, "--yes", "--session", rows[0]["id"])
            assert second.wait(20) == 128 + signal.SIGTERM


def _leader_of(label: str) -> int | None:
    for one in document("sessions")["sessions"]:
        if one["label"] == label and one["leader"]:
            return int(one["leader"]["pid"])
    return None


def test_json_results_are_one_document_each() -> None:
    with job("sleep 600") as session:
        pid = session["leader"]["pid"]
        for argv in (
            ["tree"],
            ["inspect", pid],
            ["memory", pid],
            ["cpu", pid, "--duration", "0.2"],
            ["system", "memory"],
            ["stack", pid],
            ["hangs", "--for", "0.5"],
            ["sessions"],
            ["strays"],
            ["call", "inspect_process", json.dumps({"pid": pid})],
            ["tools"],
        ):
            done = proctui(*argv, "--json", status=0)
            json.loads(done.stdout)
            assert done.stderr == "", argv
