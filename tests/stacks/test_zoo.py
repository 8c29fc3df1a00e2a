"""Every program of the zoo gets its verdict, with its evidence, and is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from proctui import stacks
from tests.stacks.stage import Actor, cast, condition_of

HANG = frozenset({"suspected", "deadlock-proven"})


class Expected(NamedTuple):
    """The verdict of the started process, words of its evidence, and whom the cycle holds."""

    verdict: str
    evidence: tuple[str, ...] = ()
    cycle: str | None = None
    child: str | None = None


EXPECTED = {
    "lock_inversion": Expected("deadlock-proven", ("waiting for a lock", "left", "right"), "2 threads"),
    "lock_inversion_watched": Expected(
        "suspected", ("waits for the lock b, which", "took at line", "unless"), "2 threads"
    ),
    "three_way": Expected("deadlock-proven", ("philosopher-0", "philosopher-2"), "3 threads"),
    "self_deadlock": Expected("deadlock-proven", ("self_deadlock (zoo/hangs.py", "a lock"), "1 threads"),
    "mp_queue_join": Expected(
        "deadlock-proven",
        ("waits for the exit of", "QueueFeederThread", "writes a full pipe"),
        "2 processes",
        "deadlock-proven",
    ),
    "fork_with_lock": Expected(
        "deadlock-proven", ("waits for the exit of", "waiting for a lock"), "1 processes", "deadlock-proven"
    ),
    "pipe_full": Expected(
        "deadlock-proven",
        ("waits for the exit of", "writes a full pipe that only"),
        "2 processes",
        "deadlock-proven",
    ),
    "pipe_full_with_timer": Expected(
        "suspected", ("unless a timer sends", "SIGALRM"), "2 processes", "suspected"
    ),
    "native_mutex": Expected("deadlock-proven", ("waits for a mutex that thread",), "2 threads"),
    "lock_chain": Expected("waiting", ("waiting for a lock",)),
    "gil_sleep": Expected("suspected", ("holding the GIL", "1 thread waits for the GIL")),
    "vfork_d_state": Expected("waiting", ("uninterruptible sleep in vfork",), None, "waiting"),
    "busy_loop": Expected("running", ("of a core", "busy_loop")),
    "tty_input": Expected("waiting", ("reading the terminal /dev/pts/",)),
    "socket_receive": Expected("waiting", ("waits for data of a tcp socket whose other end", "127.0.0.1:"), None, "idle"),
    "pool_worker_killed": Expected("deadlock-proven", ("waiting for a result of its pool",), None, "idle"),
    "idle_pool": Expected("idle", ("sleeping",), None, "idle"),
    "idle_process_pool": Expected("idle", ("sleeping",), None, "idle"),
    "idle_executor": Expected("waiting", ("waiting for an event",)),
    "idle_queue_workers": Expected("waiting", ("waiting for a signal",)),
    "idle_server": Expected("idle", ("waiting for a request",)),
    "idle_asyncio_server": Expected("idle", ("anyone who connects to 127.0.0.1",)),
    "asyncio_future": Expected("suspected", ("its event loop", "unless a signal handler")),
    "future_of_itself": Expected("deadlock-proven", ("waiting for a future's result",), "2 threads"),
    "periodic_worker": Expected("idle", ("sleeping",)),
    "back_pressure": Expected("idle", ("sleeping",), None, "waiting"),
    "stopped": Expected("waiting", ("stopped by a signal",)),
    "zombie": Expected("idle", ("sleeping",), None, "waiting"),
    "shell": Expected("waiting", ("waits for the exit of its only child",), None, "idle"),
    "mixed_tree": Expected("deadlock-proven", ("waiting for a lock",), "1 threads", "idle"),
    "file_locks": Expected("deadlock-proven", ("waits for a file lock of",), "2 processes", "deadlock-proven"),
    "semaphores_between_processes": Expected(
        "deadlock-proven", ("waits for a lock or semaphore that",), "2 processes", "deadlock-proven"
    ),
    "contended_between_processes": Expected("waiting", ("waiting for a lock between",), None, "idle"),
    "lock_as_a_signal": Expected("waiting", ("waiting for a lock",)),
    "joined_server": Expected("waiting", ("waiting for a thread to end",)),
    "lock_below_a_watchdog": Expected("suspected", ("waiting for a lock", "unless")),
    "rlock_inversion": Expected("deadlock-proven", ("left", "waits for an RLock that thread"), "2 threads"),
    "rlock_chain": Expected("waiting", ("waiting for a lock",)),
    "rlock_of_the_dead": Expected("deadlock-proven", ("rlock_of_the_dead (zoo/hangs.py",), "1 threads"),
    "socket_protocol": Expected(
        "suspected", ("unix socket whose other end", "SO_RCVTIMEO"), "2 processes", "suspected"
    ),
    "join_a_getter": Expected("deadlock-proven", ("waiting for a thread to end",)),
    "sleeper": Expected("idle", ("sleeping, at most",)),
    "signal_waiter": Expected("waiting", ("waiting for a signal",)),
}  # fmt: skip


class Seen(NamedTuple):
    actors: dict[str, Actor]
    before: dict[int, dict[str, Any]]
    found: dict[str, Any]
    looks: list[dict[str, Any]]

    def verdict(self, pid: int) -> dict[str, Any]:
        return next(row for row in self.found["verdicts"] if row["pid"] == pid)


def _matches(found: dict[str, Any], actors: dict[str, Actor]) -> bool:
    verdicts = {row["pid"]: row["verdict"] for row in found["verdicts"]}
    return all(
        verdicts.get(actors[name].pid) == expected.verdict for name, expected in EXPECTED.items()
    )


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """One look at all of them; looked at again while a program has not come to its end position."""
    with cast(*EXPECTED) as actors:
        before = {pid: condition_of(pid) for actor in actors.values() for pid in actor.family()}
        looks: list[dict[str, Any]] = []
        for _ in range(6):
            looks.append(stacks.find_hangs([actor.pid for actor in actors.values()], 1.0))
            if _matches(looks[-1], actors):
                break
        yield Seen(actors, before, looks[-1], looks)


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict(seen: Seen, name: str) -> None:
    expected, actor = EXPECTED[name], seen.actors[name]
    row = seen.verdict(actor.pid)
    said = "\n".join(row["evidence"])
    assert row["verdict"] == expected.verdict, said
    for words in expected.evidence:
        assert words in said
    if expected.cycle is None:
        assert expected.verdict in HANG or row["cycle"] is None
        return
    count, _, kind = expected.cycle.partition(" ")
    assert row["cycle"] is not None and len(row["cycle"]) == int(count)
    if kind == "processes":
        assert set(row["cycle"]) <= set(actor.family())
    else:
        tids = {
            thread["tid"]
            for trace in seen.found["stacks"]
            if trace["pid"] == actor.pid
            for thread in trace["threads"]
        }
        assert set(row["cycle"]) <= tids


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if expected.child])
def test_verdict_of_the_children(seen: Seen, name: str) -> None:
    children = seen.actors[name].family()[1:]
    assert children
    assert {seen.verdict(pid)["verdict"] for pid in children} == {EXPECTED[name].child}


@pytest.mark.parametrize(
    "name", [name for name, expected in EXPECTED.items() if expected.verdict not in HANG]
)
def test_no_look_ever_raised_a_false_alarm(seen: Seen, name: str) -> None:
    pids = set(seen.actors[name].family())
    for look in seen.looks:
        assert not [
            row for row in look["verdicts"] if row["pid"] in pids and row["verdict"] in HANG
        ]


@pytest.mark.parametrize("name", EXPECTED)
def test_target_is_unchanged(seen: Seen, name: str) -> None:
    for pid in seen.actors[name].family():
        if pid in seen.before:
            assert condition_of(pid) == seen.before[pid]
        else:
            assert condition_of(pid)["tracer"] == 0


def test_graph_says_who_waits_for_whom(seen: Seen) -> None:
    parent = seen.actors["pipe_full"].pid
    child = seen.actors["pipe_full"].family()[1]
    edges = {(edge["from"], edge["to"]): edge["why"] for edge in seen.found["graph"]}
    assert edges[parent, child] == f"waits for the exit of {child}"
    assert edges[child, parent].startswith(f"writes a full pipe that only {parent} reads")


def test_verdicts_carry_identities_and_the_text_tells_the_worst_first(seen: Seen) -> None:
    for row in seen.found["verdicts"]:
        assert row["identity"].startswith((f"{row['pid']}:", f"{row['pid']}@"))
    text = stacks.hang_text(seen.found)
    assert "deadlock-proven" in text.splitlines()[0]
    assert " → " in text
