"""The machine's figures: rates and shares from counters, and against psutil."""

from __future__ import annotations

import json
import threading

import psutil
import pytest

from proctui.machine import system, system_portable
from proctui.machine.meters import SystemMeter, parse_pressure, physical_disks
from proctui.machine.threads import ThreadUse
from tests.machine.fakeproc import FakeProc
from tests.support import python, running, wait_for


@pytest.fixture
def fake(tmp_path):
    return FakeProc(tmp_path)


@pytest.fixture
def meter(fake):
    made = SystemMeter(str(fake.root))
    yield made
    made.close()


def read(meter, now):
    meter.counters()
    return meter.read(now)


def test_memory_load_and_pressure(meter):
    seen = read(meter, 1.0)
    assert seen.memory == (1000 * 1024, 600 * 1024, 400 * 1024, 50 * 1024, 30 * 1024)
    assert seen.load == (0.1, 0.2, 0.3)
    assert seen.pressure == (1.5, 1.5, 1.5)
    assert seen.cores == 2


def test_no_rate_at_first_sight(meter):
    seen = read(meter, 1.0)
    assert seen.cpu.usage is None
    assert seen.disk == seen.net == (None, None)


def test_rates_and_shares_between_two_looks(fake, meter):
    read(meter, 1.0)
    fake.busy_ticks = 100
    fake.counters()
    fake.traffic(3000, 1500)
    fake.file("diskstats", " 8 0 sda 10 0 300 0 10 0 600 0\n 8 1 sda1 10 0 300 0 10 0 600 0\n")
    seen = read(meter, 3.0)
    assert seen.cpu.usage == pytest.approx(100.0)
    assert seen.cpu.per_core == (pytest.approx(100.0), pytest.approx(100.0))
    assert seen.net == (500.0, 1000.0)
    assert seen.disk == (200 * 512 / 2, 400 * 512 / 2)


def test_counters_that_step_back_give_no_rate(fake, meter):
    read(meter, 1.0)
    fake.traffic(1, 1)
    assert read(meter, 2.0).net == (None, None)


def test_two_looks_within_one_clock_tick_keep_the_share(fake, meter):
    read(meter, 1.0)
    fake.busy_ticks = 50
    fake.counters()
    first = read(meter, 2.0).cpu
    assert read(meter, 2.001).cpu == first
    assert first.usage is not None


def test_what_is_missing_is_none(tmp_path):
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8\n")
    meter = SystemMeter(str(tmp_path))
    seen = read(meter, 1.0)
    assert meter.counters().last_pid is None
    assert seen.pressure is None
    assert seen.load is None
    assert seen.memory == (None, None, None, None, None)
    assert read(meter, 2.0).disk == (None, None)
    meter.close()


def test_the_counters_that_tell_of_births(fake, meter):
    fake.spawn(threads=3)
    assert meter.counters() == (1001, 101, 3)


def test_each_byte_of_a_disk_counts_once():
    names = ["sda", "sda1", "nvme0n1", "nvme0n1p1", "loop0", "dm-0", "md127", "vda", "zram0", "mmcblk0",
             "mmcblk0p2", "sr0", "xvda1"]  # fmt: skip
    assert physical_disks(names) == {"sda", "nvme0n1", "vda", "mmcblk0", "xvda1"}


def test_pressure_lines():
    assert parse_pressure(b"some avg10=12.34 avg60=0.00 avg300=0.00 total=5\n") == 12.34
    assert parse_pressure(b"") is None
    assert parse_pressure(None) is None


def test_system_resources_agree_with_psutil():
    seen = system.read(seconds=0.05)
    json.dumps(seen)
    assert seen["cpu"]["cores"] == len(seen["cpu"]["per_core"]) == psutil.cpu_count()
    assert seen["memory"]["total"] == psutil.virtual_memory().total
    assert seen["memory"]["used"] + seen["memory"]["available"] == seen["memory"]["total"]
    mounts = {row["mount"]: row for row in seen["disk"]}
    for part in psutil.disk_partitions(all=False):
        if part.mountpoint in mounts:
            usage = psutil.disk_usage(part.mountpoint)
            assert mounts[part.mountpoint]["total"] == usage.total
            assert abs(mounts[part.mountpoint]["percent"] - usage.percent) < 1
    nics = {row["nic"]: row for row in seen["network"]}
    for nic, counters in psutil.net_io_counters(pernic=True).items():
        assert 0 <= counters.bytes_sent - nics[nic]["bytes_sent"] < 1 << 24
    assert seen["disk_io"] is None or seen["disk_io"]["read_bytes"] >= 0


def test_only_what_was_asked_for():
    assert set(system.read(["memory"])) == {"memory", "denied"}
    assert set(system.read(["disk"], seconds=0.0)) == {"disk", "disk_io", "denied"}


def test_a_file_system_that_does_not_answer(monkeypatch):
    stuck = threading.Event()
    monkeypatch.setattr(system, "_PATIENCE", 0.01)
    try:
        assert system._patiently(stuck.wait) is None
    finally:
        stuck.set()


def test_the_portable_figures_have_the_same_keys():
    ours, theirs = system.read(seconds=0.01), system_portable.read(system.METRICS, seconds=0.01)
    assert ours.keys() == theirs.keys()
    assert set(theirs["cpu"]) <= set(ours["cpu"])
    assert set(theirs["memory"]) == set(ours["memory"])
    for section in ("disk", "network"):
        for row in theirs[section]:
            assert set(row) <= set(ours[section][0])


def test_threads_with_their_share():
    code = (
        "import threading, time\n"
        "def burn():\n    while True: pass\n"
        "threading.Thread(target=burn, name='burner').start()\n"
        "time.sleep(600)"
    )
    with running(python(code)) as child:
        from proctui.machine import identity

        wait_for(lambda: psutil.Process(child.pid).num_threads() == 2)
        use = ThreadUse(identity.identify(child.pid))

        def burning():
            found = use.rows()
            busiest = found[0]
            return (busiest["usage"] or 0) > 0 and busiest["tid"] != child.pid and found

        rows = wait_for(burning, what="the burner above the main thread, which still starts")
        assert rows[1]["tid"] == child.pid
    assert use.rows() is None
