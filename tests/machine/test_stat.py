"""Stat lines: whatever a process calls itself, the fields are those after the last parenthesis."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctui.machine import stat
from tests.machine.fakeproc import FakeProcess


def test_our_own_line():
    line = stat.parse(Path("/proc/self/stat").read_bytes())
    assert line.state == "R"
    assert line.threads >= 1
    assert line.start > 0
    assert not line.flags & stat.PF_KTHREAD


@given(name=st.binary(max_size=64).filter(lambda raw: b"\0" not in raw))
def test_a_name_can_not_shift_the_fields(name):
    process = FakeProcess(7, ppid=3, name=name, state="D", utime=5, stime=6, threads=9, rss=11)
    line = stat.parse(process.stat())
    assert line.name == name
    assert (line.state, line.ppid, line.utime, line.stime) == ("D", 3, 5, 6)
    assert (line.threads, line.rss, line.start) == (9, 11, 1000)
    assert stat.start_ticks(process.stat()) == 1000


def test_the_famous_name():
    assert stat.parse(FakeProcess(7, ppid=3, name=b") Z 1 1 (").stat()).state == "S"


@pytest.mark.parametrize("raw", [b"", b"7 (x", b"7 (x) S 1 2"])
def test_what_is_no_line(raw):
    with pytest.raises(ValueError):
        stat.parse(raw)
