"""Which source is opened, and what both promise alike."""

from __future__ import annotations

import pytest

from proctui.errors import BadArgument
from proctui.machine.psutil_source import PsutilSource
from proctui.machine.sampler import ProcSource
from proctui.machine.source import open_source
from proctui.model import Identity


def test_names():
    for name, kind in (("auto", ProcSource), ("proc", ProcSource), ("psutil", PsutilSource)):
        source = open_source(name)
        assert isinstance(source, kind)
        source.close()
    with pytest.raises(BadArgument):
        open_source("ebpf\x1b")


@pytest.mark.parametrize("name", ["proc", "psutil"])
def test_nothing_is_told_of_somebody_else(name):
    source = open_source(name)
    try:
        snapshot = source.sample()
        own = snapshot.procs[min(snapshot.procs)].identity
        assert source.info(Identity(own.boot_id, own.pid, 1, own.pidns, 1)) is None
        assert source.info(own._replace(pid=4194303)) is None
        assert snapshot.tick == 1
        assert snapshot.interval is None
        assert all(row.cpu is None for row in snapshot.procs.values())
        later = source.sample()
        assert later.interval > 0
        assert all(row.cpu is not None for pid, row in later.procs.items() if pid not in later.born)
    finally:
        source.close()
        source.close()
