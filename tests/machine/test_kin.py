"""Children and parents by the cheap ways are those that ``stat`` tells."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from proctui.machine import kin
from proctui.machine.once import OnceSource
from tests.support import python, running

FAMILY = """
import os, subprocess, threading, time
kids, grandkids = [], []
for _ in range(3):
    shell = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
    kids.append(shell.pid)
    grandkids.append(int(shell.stdout.readline()))
started = threading.Event()
def start():
    child = subprocess.Popen(["sleep", "600"])
    kids.append(child.pid)
    started.set()
    child.wait()
threading.Thread(target=start, daemon=True).start()
started.wait()
zombie = os.fork()
if zombie == 0:
    os._exit(0)
kids.append(zombie)
print(sorted(kids), "|", sorted(grandkids), flush=True)
time.sleep(600)
"""


class Family(NamedTuple):
    pid: int
    kids: list[int]
    grandkids: list[int]


@pytest.fixture
def family() -> Iterator[Family]:
    with running(python(FAMILY), stdout=subprocess.PIPE, text=True) as head:
        assert head.stdout is not None
        kids, grandkids = head.stdout.readline().split("|")
        yield Family(head.pid, json.loads(kids), json.loads(grandkids))


def test_children_of_all_threads_and_zombies_are_found(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kin.children(family.pid) == family.kids
    monkeypatch.setattr(kin, "_listed", lambda pid: None)
    assert kin.children(family.pid) == family.kids
    monkeypatch.setattr(kin, "_asked", lambda pids: None)
    assert kin.children(family.pid) == family.kids


def test_a_reading_that_another_contradicts_is_not_believed(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = itertools.cycle([[1], [2]])
    monkeypatch.setattr(kin, "_listed", lambda pid: next(readings))
    assert kin.children(family.pid) == family.kids


def test_parents_are_those_of_stat(family: Family) -> None:
    tree = kin.parents()
    assert {tree[one] for one in family.kids} == {family.pid}
    assert sorted(kin.below(tree, family.pid)) == sorted(family.kids + family.grandkids)
    assert tree[family.pid] == os.getpid()
    assert kin.below({1: 2, 2: 1, 3: 1}, 1) == [2, 3]


@pytest.mark.parametrize("tree", [False, True])
def test_a_look_at_one_shows_the_family_and_its_ancestors_alone(family: Family, tree: bool) -> None:
    with running(["sleep", "600"]) as stranger:
        source = OnceSource(family.pid, tree=tree)
        try:
            procs = source.sample(fresh=True).procs
        finally:
            source.close()
        assert procs.keys() >= {family.pid, os.getpid(), *family.kids}
        assert (procs.keys() >= set(family.grandkids)) is tree
        assert stranger.pid not in procs
        assert all(row.ppid in procs or row.ppid == 0 for row in procs.values())
