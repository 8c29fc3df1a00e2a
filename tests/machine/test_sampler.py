"""The sampler on a made-up ``/proc``: births, deaths, shares, and how little it reads."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from proctui.errors import NotSupported
from proctui.machine import limits
from proctui.machine.sampler import (
    LISTED_A_TICK,
    QUIET_TICKS,
    RELIST_TICKS,
    STRIDE,
    ProcSource,
    Syscalls,
)
from tests.machine.fakeproc import FakeProc

FILES_OF_THE_MACHINE = 8


class World:
    """A made-up ``/proc``, its clock, and every hot system call counted."""

    def __init__(self, folder: Path, count: int = 0, **options):
        self.fake = FakeProc(folder)
        self.pids = [self.fake.spawn().pid for _ in range(count)]
        self.calls: Counter[str] = Counter()
        self.now = 100.0
        self.source = ProcSource(
            str(self.fake.root),
            clock=lambda: self.now,
            calls=Syscalls(*map(self._counting, Syscalls._fields, Syscalls())),
            **options,
        )

    def _counting(self, name, call):
        def counted(*arguments):
            self.calls[name] += 1
            return call(*arguments)

        return counted

    def tick(self, job=frozenset(), seconds=1.0, **options):
        self.now += seconds
        self.calls.clear()
        return self.source.sample(frozenset(job), **options)

    def ticks(self, count, job=frozenset()):
        for _ in range(count):
            last = self.tick(job)
        return last


@pytest.fixture
def world(tmp_path):
    made = []

    def make(count=0, **options):
        made.append(World(tmp_path / str(len(made)), count, **options))
        return made[-1]

    yield make
    for one in made:
        one.source.close()


def test_rows_are_what_the_files_say(world):
    here = world()
    here.fake.spawn(
        ppid=7, name=b"a) b", state="D", utime=300, stime=50, threads=4, rss=10, tty=34816
    )
    row = here.tick().procs[101]
    assert (row.pid, row.ppid, row.name, row.state) == (101, 7, "a) b", "D")
    assert (row.user_time, row.system_time, row.threads, row.tty) == (3.0, 0.5, 4, 34816)
    assert row.rss == 10 * os.sysconf("SC_PAGE_SIZE")
    assert row.cpu is None
    assert row.identity.start_ticks == 1000
    assert row.identity.boot_id.startswith("00000000-1111")
    assert not row.kernel


def test_a_name_is_made_harmless_where_it_enters(world):
    here = world()
    here.fake.spawn(name=b"\x1b]0;x\x07\n\xff\xe2\x80\xae")
    name = here.tick().procs[101].name
    assert name.isprintable()
    assert "\n" not in name


def test_shares_are_of_one_core_over_the_time_between(world):
    here = world(1)
    here.tick()
    here.fake.change(101, utime=50, stime=25)
    assert here.tick(seconds=0.5).procs[101].cpu == pytest.approx(150.0)
    assert here.tick().procs[101].cpu == 0.0


def test_nothing_new_makes_no_new_objects(world):
    here = world(3)
    here.ticks(2)
    one, two = here.tick(), here.tick()
    assert two.procs is one.procs
    assert two.changed == frozenset()
    assert here.calls == {"pread": 3}


def test_births_and_deaths(world):
    here = world(3)
    first = here.tick()
    assert first.born == (101, 102, 103)
    here.fake.spawn(name=b"new")
    here.fake.end(102)
    here.fake.forks += 0
    second = here.tick()
    assert second.born == (104,)
    assert [row.pid for row in second.died] == [102]
    assert set(second.procs) == {101, 103, 104}
    assert 104 in second.changed
    assert set(first.procs) == {101, 102, 103}, "a snapshot never changes"


def test_a_reused_pid_is_another_process(world):
    here = world(1)
    before = here.tick().procs[101]
    here.fake.end(101)
    here.fake.spawn(101, start=2000, name=b"successor")
    after = here.tick()
    assert [row.identity for row in after.died] == [before.identity]
    assert after.born == (101,)
    assert not after.procs[101].identity.same(before.identity)
    assert after.procs[101].name == "successor"


def test_a_reused_pid_above_the_budget(world):
    here = world(1, descriptor_budget=0)
    before = here.tick().procs[101]
    here.fake.end(101)
    here.fake.spawn(101, start=2000, utime=9)
    after = here.tick()
    assert [row.identity for row in after.died] == [before.identity]
    assert after.procs[101].identity.start_ticks == 2000
    assert here.source.held == 0


def test_the_budget_is_kept(world):
    here = world(10, descriptor_budget=4)
    here.tick()
    assert here.source.held == 4
    here.fake.change(110, utime=10)
    assert here.tick().procs[110].cpu == pytest.approx(10.0)
    assert here.calls["open"] == 6
    assert here.calls["close"] == 6


def test_room_that_comes_free_is_taken(world):
    here = world(10, descriptor_budget=4)
    here.tick()
    here.fake.end(101)
    here.ticks(2)
    assert here.source.held == 4
    assert here.tick().procs.keys() == set(here.pids) - {101}
    assert here.calls["open"] == 5


def test_the_limit_is_raised_by_the_second_look_alone(world, monkeypatch):
    asked = []

    def budget(*, raised):
        asked.append(raised)
        return 100 if raised else 10

    monkeypatch.setattr(limits, "descriptor_budget", budget)
    here = world(40)
    here.tick()
    assert here.source.held == 10
    assert asked == [False]
    here.ticks(3)
    assert here.source.held == 40
    assert asked == [False, True]
    assert here.calls == {"pread": 40}


def test_running_out_of_descriptors_gives_some_up(world):
    here = world(80)
    here.tick()
    refuse = [True]

    def full(path, flags):
        if refuse and "181" in path:
            refuse.clear()
            raise OSError(24, "EMFILE")
        return os.open(path, flags)

    here.source._files._calls = here.source._files._calls._replace(open=full)
    here.fake.spawn()
    snapshot = here.tick()
    assert 181 in snapshot.procs
    assert len(snapshot.procs) == 81
    assert here.source.held < 80
    assert len(here.tick().procs) == 81


def test_no_listing_while_the_counters_stand_still(world):
    here = world(5)
    here.tick()
    for _ in range(RELIST_TICKS - 1):
        here.tick()
        assert here.calls["listdir"] == 0
    here.tick()
    assert here.calls["listdir"] == 1


def test_the_newborn_are_looked_for_where_they_must_be(world):
    here = world(40, probe=True)
    here.tick()
    here.fake.spawn()
    here.fake.spawn()
    assert here.tick().born == (141, 142)
    assert here.calls["listdir"] == 0


def test_who_lived_between_two_looks_explains_its_own_fork(world):
    here = world(40, probe=True)
    here.tick()
    here.fake.end(here.fake.spawn().pid)
    here.fake.spawn()
    assert here.tick().born == (142,)
    assert here.calls["listdir"] == 0


def test_a_listing_is_cheaper_than_many_probes(world):
    here = world(4, probe=True)
    here.tick()
    for _ in range(30):
        here.fake.spawn()
    assert len(here.tick().born) == 30
    assert here.calls["listdir"] == 1


def test_threads_that_come_and_go_cost_a_crowd_no_listing_at_each_tick(world):
    here = world(0, probe=True)
    here.fake.crowd(LISTED_A_TICK * 2 + 10)
    here.fake.change(101, threads=20)
    here.ticks(2)
    listings = 0
    for at in range(9):
        here.fake.forks += 1
        here.fake.last_pid += 1
        here.fake.change(101, threads=19 - at)
        here.fake.counters()
        here.tick()
        listings += here.calls["listdir"]
    assert listings == 3


def test_a_sleeper_that_died_beside_such_threads_is_found_by_its_turn(world):
    here = world(0, probe=True)
    here.fake.crowd(LISTED_A_TICK * 2 + 10)
    here.ticks(QUIET_TICKS + STRIDE)
    here.fake.end(105)
    gone = [row.pid for _ in range(STRIDE) for row in here.tick().died]
    assert gone == [105]


def test_long_sleepers_are_read_in_turns(world):
    here = world(80)
    here.ticks(QUIET_TICKS + STRIDE + 2)
    reads = []
    for _ in range(STRIDE):
        here.tick()
        reads.append(here.calls["pread"])
    assert sum(reads) == 80
    assert max(reads) == 10


def test_the_job_is_read_at_every_tick(world):
    here = world(80)
    job = frozenset({101, 102})
    here.ticks(40)
    here.fake.change(101, utime=30)
    assert here.tick(job).procs[101].cpu is not None
    here.fake.change(102, utime=100)
    assert here.tick(job).procs[102].cpu == pytest.approx(100.0)


def test_a_sleepers_share_is_over_the_time_it_was_not_read(world):
    here = world(1)
    here.ticks(40)
    here.fake.change(101, utime=80)
    for _ in range(STRIDE):
        snapshot = here.tick()
        if 101 in snapshot.changed:
            break
    assert snapshot.procs[101].cpu == pytest.approx(80 / STRIDE)
    assert snapshot.procs[101].seen == snapshot.tick
    here.fake.change(101, utime=180)
    assert here.tick().procs[101].cpu == pytest.approx(100.0), "awake again"


def test_a_sleepers_death_is_seen_at_once(world):
    here = world(80)
    here.ticks(40)
    here.fake.end(105)
    assert [row.pid for row in here.tick().died] == [105]


def test_a_sleepers_death_beside_a_birth_is_seen_at_once(world):
    here = world(80, probe=True)
    here.ticks(40)
    here.fake.end(105)
    here.fake.spawn()
    snapshot = here.tick()
    assert [row.pid for row in snapshot.died] == [105]
    assert snapshot.born == (181,)


def test_fresh_reads_everyone(world):
    here = world(80)
    here.ticks(40)
    here.fake.change(103, utime=1)
    here.fake.change(104, state="Z")
    snapshot = here.tick(fresh=True)
    assert snapshot.changed >= {103, 104}
    assert here.calls["pread"] == 80
    assert here.calls["listdir"] == 1


def test_the_jobs_io_with_rates(world):
    here = world(2)
    job = frozenset({101})
    assert here.tick(job).io[101] == (0, 0, None, None)
    here.fake.io(101, 1000, 500)
    assert here.tick(job, seconds=2.0).io[101] == (1000, 500, 500.0, 250.0)
    assert set(here.tick(job).io) == {101}
    (here.fake.root / "101/io").unlink()
    assert here.tick(frozenset({102})).io.keys() == {102}


def test_io_above_the_budget(world):
    here = world(8, descriptor_budget=8)
    before = len(os.listdir("/proc/self/fd"))
    job = frozenset(here.pids)
    here.tick(job)
    assert len(os.listdir("/proc/self/fd")) == before + 8 + 2 + FILES_OF_THE_MACHINE
    here.fake.io(108, 70, 0)
    assert here.tick(job).io[108] == (70, 0, 70.0, 0.0)


def test_unreadable_io_is_none(world):
    here = world(1)
    (here.fake.root / "101/io").unlink()
    assert here.tick(frozenset({101})).io[101] == (None, None, None, None)


def test_info_is_read_once_and_again_after_an_exec(world):
    here = world(1)
    row = here.tick().procs[101]
    assert here.source.info(row.identity).cmdline == ("idle", "--wait")
    here.fake.file("101/cmdline", b"other\0")
    assert here.source.info(row.identity).cmdline == ("idle", "--wait")
    here.fake.change(101, name=b"other")
    here.tick()
    assert here.source.info(row.identity).cmdline == ("other",)
    here.fake.file("101/cmdline", b"third\0")
    here.fake.change(101, image=(1, 2, 3))
    here.tick()
    assert here.source.info(row.identity).cmdline == ("third",)
    assert here.source.info(row.identity._replace(start_ticks=5)) is None


def test_the_jobs_argv_is_read_again(world):
    here = world(1)
    job = frozenset({101})
    row = here.tick(job).procs[101]
    assert here.source.info(row.identity).cmdline == ("idle", "--wait")
    here.fake.file("101/cmdline", b"renamed: busy\0\0\0")
    seen = set()
    for _ in range(5):
        seen |= here.tick(job).changed
    assert 101 in seen
    assert here.source.info(row.identity).cmdline == ("renamed: busy",)


def test_secrets_in_arguments_never_come_in(world):
    here = world()
    here.fake.spawn(cmdline=b"psql\0--password=hunter2\0\x1b[31mx\0")
    info = here.source.info(here.tick().procs[101].identity)
    assert "hunter2" not in " ".join(info.cmdline)
    assert info.cmdline[2].isprintable()


def test_hidden_processes_are_told(world, monkeypatch):
    here = world(3)

    def denied(path, flags):
        if "/102/" in path:
            raise PermissionError(13, "hidepid")
        return os.open(path, flags)

    here.source._files._calls = here.source._files._calls._replace(open=denied)
    snapshot = here.tick()
    assert set(snapshot.procs) == {101, 103}
    assert any("hidden" in warning for warning in snapshot.warnings)


def test_vanishing_while_being_met(world):
    here = world(3)

    def vanished(path, flags):
        if "/102/" in path:
            raise FileNotFoundError(2, "gone")
        return os.open(path, flags)

    here.source._files._calls = here.source._files._calls._replace(open=vanished)
    assert set(here.tick().procs) == {101, 103}


def test_memory_stays_flat_over_churn(world):
    here = world(20)
    here.ticks(30)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(60):
        pid = here.fake.spawn().pid
        here.tick()
        here.fake.end(pid)
        here.tick()
    assert len(here.source._entries) == 20
    assert len(here.source._names) == 20
    assert len(here.source._turns) == 20
    assert len(os.listdir("/proc/self/fd")) == before


def test_close_closes_everything(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    here = World(tmp_path, 10)
    here.tick(frozenset({101}))
    here.source.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_proc_is_said_plainly(tmp_path):
    with pytest.raises(NotSupported):
        ProcSource(str(tmp_path / "none"))
