"""Every program of the zoo gets its verdict, with its evidence, and is left as it was."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from proctui import stacks
from tests.stacks.expected import BLIND, BUSY, EXPECTED, HANG, MOVING, MUTE, Expected
from tests.stacks.stage import (
    Actor,
    as_nobody,
    cast,
    condition_of,
    drained,
    look,
    look_as_nobody,
    runs_of,
    traffic_of,
)
from tests.support import wait_for


class Picture(NamedTuple):
    """What a look must leave as it was."""

    condition: dict[str, Any]
    traffic: dict[str, int] | None
    runs: dict[int, int | None] | None


def picture_of(name: str, pid: int) -> Picture:
    condition = condition_of(pid)
    if condition["zombie"]:
        return Picture(condition, None, None)
    return Picture(
        condition,
        None if name in MOVING or name == "mixed_tree" else traffic_of(pid),
        None if name in BUSY else runs_of(pid),
    )


class Seen(NamedTuple):
    """``before`` and ``after`` are pictures by play and pid around one more look at all of them."""

    actors: dict[str, Actor]
    found: dict[str, Any]
    looks: list[dict[str, Any]]
    before: dict[str, dict[int, Picture]]
    after: dict[str, dict[int, Picture]]
    expected: dict[str, Expected]

    def verdict(self, pid: int) -> dict[str, Any]:
        return next(row for row in self.found["verdicts"] if row["pid"] == pid)


def expected_of_nobody() -> dict[str, Expected]:
    """Without a view of the others' descriptors what hangs on them is suspected, no more."""
    changed = {}
    for name in BLIND:
        one = EXPECTED[name]
        changed[name] = one._replace(
            verdict="suspected",
            evidence=(*one.evidence, "descriptors may not be read"),
            child="suspected" if one.child in HANG else one.child,
        )
    return {**EXPECTED, **changed}


@pytest.fixture(scope="module", params=["as we are", "as an ordinary user"])
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Looks at all of them until each has come to its end position, then one more."""
    look_at, argv, expected = look, [sys.executable], EXPECTED
    if request.param != "as we are":
        prefix = as_nobody()
        if prefix is None:
            pytest.skip("needs root, setpriv and a Python for everybody")
        look_at, argv, expected = look_as_nobody, prefix, expected_of_nobody()
    with cast(*EXPECTED, argv=argv) as actors:
        pids = [actor.pid for actor in actors.values()]
        looks: list[dict[str, Any]] = []
        for _ in range(6):
            looks.append(look_at(pids))
            if _matches(looks[-1], actors, expected):
                break

        def pictures() -> dict[str, dict[int, Picture]]:
            return {
                name: {pid: picture_of(name, pid) for pid in actor.family()}
                for name, actor in actors.items()
            }

        before = pictures()
        found = looks[-1]
        looks.append(look_at(pids, every=True))
        yield Seen(actors, found, looks, before, pictures(), expected)


def _matches(
    found: dict[str, Any], actors: dict[str, Actor], expected: dict[str, Expected]
) -> bool:
    verdicts = {row["pid"]: row["verdict"] for row in found["verdicts"]}
    return all(verdicts.get(actors[name].pid) == one.verdict for name, one in expected.items())


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict(seen: Seen, name: str) -> None:
    expected, actor = seen.expected[name], seen.actors[name]
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
    assert {seen.verdict(pid)["verdict"] for pid in children} == {seen.expected[name].child}


@pytest.mark.parametrize(
    "name", [name for name, one in EXPECTED.items() if not {one.verdict, one.child} & HANG]
)
def test_no_look_ever_raised_a_false_alarm(seen: Seen, name: str) -> None:
    pids = set(seen.actors[name].family())
    for found in seen.looks:
        assert not [
            row for row in found["verdicts"] if row["pid"] in pids and row["verdict"] in HANG
        ]


@pytest.mark.parametrize("name", EXPECTED)
def test_target_is_unchanged(seen: Seen, name: str) -> None:
    """State, tracer, pending signals; no byte moved, no thread ran that was not to."""
    assert seen.before[name] == seen.after[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_its_stream_is_whole(seen: Seen, name: str) -> None:
    """Nothing was said that a look provoked, and what was going on goes on."""
    actor = seen.actors[name]
    if name in MUTE:
        assert actor.lines() == ["ready"]
        return
    heard = len(actor.beats())
    if name not in MOVING:
        actor.child.send_signal(signal.SIGINT)
    wait_for(lambda: len(actor.beats()) > heard, timeout=60, what=f"{name}: its next beat")
    for pid in actor.family():
        numbers = actor.beats(pid)
        assert numbers == list(range(len(numbers)))
    others = [line for line in actor.lines() if not line.startswith("beat ")]
    assert others == ["ready"] * (2 if name == "mixed_tree" else 1)


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


# What they were blocked in, brought to its end: the last tests, for they change the plays.


@pytest.mark.parametrize(("name", "status"), [("pipe_full", 0), ("pipe_full_with_timer", 0)])
def test_a_blocked_write_loses_no_byte(seen: Seen, name: str, status: int) -> None:
    assert drained(seen.actors[name]) == b"x" * 1_000_000
    seen.actors[name].waits_to_hear(f"ended {status}")


def test_what_a_queue_could_not_take_arrives_whole(seen: Seen) -> None:
    taken = drained(seen.actors["mp_queue_join"])
    assert struct.unpack("!i", taken[:4]) == (len(taken) - 4,)
    assert pickle.loads(taken[4:]) == b"x" * 1_000_000
    seen.actors["mp_queue_join"].waits_to_hear("ended 0")


@pytest.mark.parametrize("name", ["socket_receive", "socket_protocol"])
def test_a_blocked_receive_gets_its_byte(seen: Seen, name: str) -> None:
    os.kill(seen.actors[name].family()[1], signal.SIGINT)
    seen.actors[name].waits_to_hear("received x")


def test_a_line_typed_after_the_look_is_read(seen: Seen) -> None:
    actor = seen.actors["tty_input"]
    assert actor.terminal is not None
    os.write(actor.terminal, b"hello\n")
    actor.waits_to_hear("read hello")


def test_what_was_stopped_goes_on(seen: Seen) -> None:
    seen.actors["stopped"].child.send_signal(signal.SIGCONT)
    seen.actors["stopped"].waits_to_hear("went on")
