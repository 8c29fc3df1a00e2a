"""A single look shows the very rows that the sampler does, for fewer calls."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from proctui.errors import NotSupported
from proctui.machine import identity
from proctui.machine.facts import command_lines
from proctui.machine.once import OnceSource
from proctui.machine.sampler import ProcSource
from proctui.model import Snapshot
from tests.support import python, running

pytestmark = pytest.mark.skipif(not OnceSource.works(), reason="needs pidfds")

STILL = ("identity", "ppid", "pgid", "sid", "tty", "name", "uid", "kernel", "threads", "started")
"""What of a process that sleeps is the same in two looks."""


def look(source: Any) -> Snapshot:
    try:
        snapshot: Snapshot = source.sample(fresh=True)
    finally:
        source.close()
    return snapshot


@pytest.fixture
def sleeper() -> Iterator[int]:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\nprint(flush=True)\ntime.sleep(600)"
    with running(python(code), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        yield child.pid


def test_rows_are_the_samplers(sleeper: int) -> None:
    with running(python("pass")) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        once, full = look(OnceSource()), look(ProcSource())
    for pid in (sleeper, zombie.pid, os.getpid(), 1, 2):
        one, other = once.procs.get(pid), full.procs.get(pid)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            for name in STILL if pid != os.getpid() else STILL[:-2]:
                mine, theirs = getattr(one, name), getattr(other, name)
                assert mine == (pytest.approx(theirs, abs=0.1) if name == "started" else theirs), (
                    name
                )
    assert once.procs[sleeper].rss == pytest.approx(full.procs[sleeper].rss, rel=0.1)
    assert once.procs[zombie.pid].state == "Z"
    assert set(once.born) == once.changed == once.procs.keys()
    assert len(once.procs.keys() ^ full.procs.keys()) < len(full.procs) / 2


def test_without_owners_no_uid_is_read(sleeper: int) -> None:
    assert look(OnceSource(owners=False)).procs[sleeper].uid is None
    assert look(OnceSource()).procs[sleeper].uid == os.geteuid()


def test_what_a_process_costs(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return real(*arguments, **options)

        return call

    for name in ("open", "pread", "close", "fstat", "stat", "pidfd_open", "read", "readlink"):
        monkeypatch.setattr(os, name, counted(name))
    source = OnceSource(owners=False)
    before = Counter(calls)
    rows = len(source.sample().procs)
    spent = calls - before
    assert rows <= spent["pidfd_open"] <= spent["open"]
    assert sum(spent.values()) < 6.5 * rows + 100, spent


def test_a_threads_id_and_a_missing_one_are_not_shown(sleeper: int) -> None:
    tid = next(int(name) for name in os.listdir(f"/proc/{sleeper}/task") if int(name) != sleeper)
    assert tid not in look(OnceSource(tid)).procs
    assert 4_000_000 not in look(OnceSource(4_000_000)).procs


def test_facts_are_proved_and_command_lines_read(sleeper: int) -> None:
    source = OnceSource()
    row = source.sample().procs[sleeper]
    info = source.info(row.identity)
    assert info is not None and info.cmdline and info.user and info.exe
    assert source.info(row.identity) is info
    assert source.info(row.identity._replace(inode=1, start_ticks=1)) is None
    with command_lines() as words_of:
        assert words_of(row) == info.cmdline
        assert words_of(row._replace(pid=4_000_000)) is None


def test_the_dead_have_no_facts() -> None:
    with running(["sleep", "600"]) as child:
        source = OnceSource(child.pid)
        row = source.sample().procs[child.pid]
    assert source.info(row.identity) is None


def test_a_root_with_most_of_all_below_it_shows_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(["sleep", "600"]) as child:
        source = OnceSource(os.getpid(), tree=True)
        monkeypatch.setattr("proctui.machine.once._MOST", 1 << 22)
        procs = look(source).procs
    assert child.pid in procs and 1 in procs
    assert len(procs) > len(look(OnceSource(os.getpid())).procs)


def test_without_descriptors_nothing_is_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(pid: int, flags: int = 0) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    source = OnceSource()
    monkeypatch.setattr(os, "pidfd_open", full)
    with pytest.raises(NotSupported):
        source.sample()


def test_identities_are_the_kernels() -> None:
    assert look(OnceSource(os.getpid())).procs[os.getpid()].identity == identity.own()
