"""Rings, series, columns, and what the history remembers of everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctui.machine import history as module
from proctui.machine.history import History
from proctui.machine.sampler import ProcSource
from proctui.machine.series import Bucket, Ring, Series, columns, downsample
from tests.machine.fakeproc import FakeProc

figures = st.lists(st.one_of(st.none(), st.integers(0, 50).map(float)), max_size=60)


@given(figures, st.integers(1, 20))
def test_a_ring_keeps_the_newest(values, capacity):
    ring = Ring(capacity)
    for value in values:
        ring.append(value)
    kept = values[-capacity:]
    assert len(ring) == len(kept)
    assert ring.window(ring.first, ring.count - 1) == kept
    assert ring.last == (values[-1] if values else None)
    assert ring.at(ring.count) is None
    assert ring.at(ring.first - 1) is None
    for first in range(ring.first - 3, ring.count + 3):
        for last in range(first - 1, ring.count + 3):
            assert ring.window(first, last) == [ring.at(at) for at in range(first, last + 1)]


@given(figures)
def test_a_series_answers_as_the_full_list_would(values):
    series = Series()
    for index, value in enumerate(values):
        series.add(index, value)
    assert series.window(0, len(values) - 1) == values
    assert [series.at(index) for index in range(len(values))] == values
    changes = sum(one != two for one, two in zip([object(), *values], values, strict=False))
    assert len(series) == changes


@given(st.dictionaries(st.integers(3, 30), st.one_of(st.none(), st.integers(0, 3).map(float))))
def test_a_window_of_a_series_is_what_held_at_each_index(values):
    series = Series()
    for index in sorted(values):
        series.add(index, values[index])
    for first in range(33):
        for last in range(first - 1, 33):
            assert series.window(first, last) == [series.at(at) for at in range(first, last + 1)]


def test_a_trimmed_series_forgets_the_oldest_only():
    series = Series()
    for index in range(1000):
        series.add(index, float(index))
        series.trim(100)
    assert len(series) <= 125
    assert series.window(950, 999) == [float(index) for index in range(950, 1000)]
    assert series.at(0) is None


def test_columns_show_low_mean_and_high():
    assert downsample([1.0, 3.0, None, None, 5.0], 2) == [Bucket(1, 2, 3), None, Bucket(5, 5, 5)]


@given(st.integers(1, 7), st.integers(1, 12), st.integers(0, 80))
def test_a_complete_column_keeps_its_figures(zoom, width, last):
    ring = Ring(1000)
    for index in range(200):
        ring.append(float(index))
    now, later = (columns(ring, last=at, width=width, zoom=zoom) for at in (last, last + zoom))
    assert len(now) == len(later) == width
    assert later[:-2] == now[1:-1]
    assert now[-1].high == last


@pytest.fixture
def world(tmp_path):
    fake = FakeProc(tmp_path)
    clock = [100.0]

    def now():
        clock[0] += 1
        return clock[0]

    source = ProcSource(str(fake.root), clock=now)
    yield fake, source
    source.close()


def test_the_jobs_sum_and_the_machine(world):
    fake, source = world
    one, two, other = (fake.spawn().pid for _ in range(3))
    history = History(10)
    job = frozenset({one, two})
    history.record(source.sample(job), job)
    fake.change(one, utime=50, rss=200)
    fake.change(two, stime=25)
    fake.change(other, utime=100)
    history.record(source.sample(job), job)
    assert history.job["cpu"].last == pytest.approx(75)
    assert history.job["processes"].last == 2
    assert history.job["rss"].last == 300 * 4096
    assert history.machine["processes"].last == 3
    assert history.machine["memory"].last == 400 * 1024
    assert history.machine["cpu_pressure"].last == 1.5
    assert history.job["read"].window(0, 1) == [None, 0.0]


def test_a_process_is_remembered_after_its_death(world):
    fake, source = world
    pid = fake.spawn(name=b"worker").pid
    history = History(100)
    who = source.sample().procs[pid].identity
    for used in (0, 10, 30, 30):
        fake.change(pid, utime=used)
        history.record(source.sample())
    fake.end(pid)
    history.record(source.sample())
    assert [row.row.name for row in history.tombs()] == ["worker"]
    shares = history.process(who).cpu.window(0, 3)
    assert shares == [0.0, pytest.approx(10), pytest.approx(20), 0.0]
    assert pid in history.moment(3).procs
    assert pid not in history.moment(4).procs


def test_the_time_cursor_shows_what_was(world):
    fake, source = world
    old = fake.spawn().pid
    history = History(100)
    for _ in range(3):
        history.record(source.sample())
    young = fake.spawn(rss=5).pid
    history.record(source.sample())
    fake.change(young, rss=50, state="R")
    fake.end(old)
    history.record(source.sample())
    assert set(history.moment(2).procs) == {old}
    assert set(history.moment(3).procs) == {old, young}
    then, now = history.moment(3).procs[young], history.moment(4).procs[young]
    assert (then.rss, then.state) == (5 * 4096, "S")
    assert (now.rss, now.state) == (50 * 4096, "R")
    assert set(history.moment(4).procs) == {young}
    assert history.moment(-5).index == 0
    assert history.moment(99).index == 4


def test_looks_that_were_not_recorded_are_caught_up(world):
    fake, source = world
    pid = fake.spawn().pid
    gone = fake.spawn().pid
    history = History(100)
    history.record(source.sample())
    fake.change(pid, rss=7)
    fake.end(gone)
    source.sample()
    history.record(source.sample())
    assert history.moment(1).procs[pid].rss == 7 * 4096
    assert [record.row.pid for record in history.tombs()] == [gone]


def test_idle_processes_cost_no_records(world):
    fake, source = world
    for _ in range(50):
        fake.spawn()
    history = History(100)
    source.sample()
    for _ in range(20):
        history.record(source.sample())
    assert len(history._live) <= 50
    assert sum(record.points() for record in history._live.values()) <= 50 * 5


def test_the_dead_and_the_points_are_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "DEAD_KEPT", 20)
    monkeypatch.setattr(module, "POINTS", 500)
    monkeypatch.setattr(module, "FEWEST_POINTS", 10)
    fake, source = world
    busy = fake.spawn().pid
    history = History(10_000)
    job = frozenset({busy})
    for number in range(400):
        pid = fake.spawn().pid
        fake.change(busy, utime=number * number % 97 + number * 100, rss=number)
        history.record(source.sample(job), job)
        fake.end(pid)
    assert len(history.tombs()) <= 20 + module._TRIM_EVERY
    records = [*history._live.values(), *history.tombs()]
    assert sum(record.points() for record in records) < 500 + 4 * module._TRIM_EVERY * 8
    assert history.moment(history.last).procs[busy].rss == 399 * 4096


def test_a_storm_of_births_is_bounded_at_every_look(world, monkeypatch):
    monkeypatch.setattr(module, "DEAD_KEPT", 20)
    fake, source = world
    history = History(10_000)
    mine = fake.spawn().pid
    job = frozenset({mine})
    history.record(source.sample(job), job)
    fake.end(mine)
    for _ in range(12):
        born = [fake.spawn().pid for _ in range(30)]
        history.record(source.sample())
        for pid in born:
            fake.end(pid)
        assert len(history.tombs()) <= 2 * 20 + 30
    assert mine in {record.row.pid for record in history.tombs()}


def test_a_full_ring_moves_on(world):
    _, source = world
    history = History(5)
    for _ in range(12):
        history.record(source.sample())
    assert (history.first, history.last) == (7, 11)
    assert history.moment(0).index == 7
