"""What a look at every process costs: ``python -m tests.benchmarks.sampling``.

Compares a tick of proctui's sampler with a bare loop of ``os.pread`` over the
same held descriptors (the least that reading everyone can cost) and with
``psutil.process_iter`` asking for the same fields.  Everything runs in this
process, one after another, on the same crowd of idle processes that this
program starts and ends itself.  CPU time, not wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proctui.machine import limits
from proctui.machine.sampler import QUIET_TICKS, STRIDE, ProcSource, Syscalls
from tests.benchmarks import crowd
from tests.machine.fakeproc import FakeProc

FIELDS = [
    "pid", "ppid", "name", "status", "cpu_times", "memory_info", "num_threads", "create_time",
    "uids", "terminal",
]  # fmt: skip


def cost(act: Callable[[], Any], rounds: int) -> float:
    """Median CPU milliseconds of one call."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        act()
        spent.append((time.process_time() - began) * 1e3)
    return statistics.median(spent)


def bare_loop(rounds: int) -> tuple[float, int]:
    """One ``os.pread`` for each process over descriptors held for this alone."""
    limits.raise_descriptor_limit()
    held = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                held.append(os.open(f"/proc/{name}/stat", os.O_RDONLY))
            except FileNotFoundError:
                continue

    def look() -> None:
        pread = os.pread
        for fd in held:
            try:
                pread(fd, 1024, 0)
            except ProcessLookupError:
                pass

    look()
    try:
        return cost(look, rounds), len(held)
    finally:
        for fd in held:
            os.close(fd)


def psutil_loop(rounds: int) -> float:
    import psutil

    def look() -> None:
        for process in psutil.process_iter(FIELDS):
            _ = process.info

    look()
    return cost(look, rounds)


def one_crowd(count: int, rounds: int) -> dict[str, Any]:
    """All figures beside ``count`` idle processes."""
    result: dict[str, Any] = {"asked": count}
    with crowd.idle(count):
        result["bare"], result["processes"] = bare_loop(rounds)
        calls = Counted()
        source = ProcSource(calls=calls.table)
        try:
            began = time.process_time()
            source.sample()
            result["first"] = (time.process_time() - began) * 1e3
            source.sample()
            result["awake"] = cost(source.sample, min(rounds, QUIET_TICKS - 2))
            for _ in range(QUIET_TICKS + STRIDE):
                source.sample()
            calls.reset()
            result["asleep"] = cost(source.sample, STRIDE * max(1, rounds // STRIDE))
            result["preads"] = calls.preads / (STRIDE * max(1, rounds // STRIDE))
            result["held"] = source.held
            result["kernel_mb"] = source.held * 4.4 / 1024

            def each_second() -> float:
                """Milliseconds a tick at 1 Hz, caches cold as in real use."""
                spent = []
                for _ in range(STRIDE):
                    time.sleep(1)
                    began = time.process_time()
                    source.sample()
                    spent.append((time.process_time() - began) * 1e3)
                return statistics.mean(spent)

            result["calm"] = each_second()
            with crowd.churn(200):
                source.sample()
                result["churn"] = each_second()
        finally:
            source.close()
        source = ProcSource(descriptor_budget=0)
        try:
            source.sample()
            source.sample()
            result["unheld"] = cost(source.sample, 5)
        finally:
            source.close()
        result["psutil"] = psutil_loop(3)
    return result


class Counted:
    """System calls of the hot path, counted."""

    def __init__(self) -> None:
        self.preads = 0
        self.table = Syscalls(pread=self._pread)

    def _pread(self, fd: int, size: int, offset: int) -> bytes:
        self.preads += 1
        return os.pread(fd, size, offset)

    def reset(self) -> None:
        self.preads = 0


def fake_crowd(count: int, rounds: int) -> dict[str, Any]:
    """A made-up ``/proc`` of any size: whether the cost grows linearly."""
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeProc(Path(folder))
        fake.crowd(count)
        source = ProcSource(str(fake.root), descriptor_budget=count)
        try:
            source.sample()
            source.sample()
            awake = cost(source.sample, min(rounds, 10))
            for _ in range(QUIET_TICKS + STRIDE):
                source.sample()
            asleep = cost(source.sample, STRIDE * 2)
            return {"processes": count, "held": source.held, "awake": awake, "asleep": asleep}
        finally:
            source.close()


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'processes':>9} {'bare pread':>10} {'tick, awake':>11} {'asleep':>8} {'1 Hz':>8} {'churn 200/s':>11}"
        f" {'unheld':>8} {'first':>8} {'psutil':>9}   ratios: awake/bare asleep/bare churn/1 Hz"
        " awake/psutil"
    ]
    for row in rows:
        lines.append(
            f"{row['processes']:>9} {row['bare']:>8.2f}ms {row['awake']:>9.2f}ms"
            f" {row['asleep']:>6.2f}ms {row['calm']:>6.2f}ms {row['churn']:>9.2f}ms {row['unheld']:>6.1f}ms"
            f" {row['first']:>6.1f}ms {row['psutil']:>7.1f}ms           "
            f" {row['awake'] / row['bare']:>8.2f} {row['asleep'] / row['bare']:>11.2f}"
            f" {row['churn'] / row['calm']:>12.2f} {row['awake'] / row['psutil']:>11.3f}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sampling", description=__doc__
    )
    parser.add_argument(
        "counts", nargs="*", type=int, help="idle processes to start (300 2000 10000)"
    )
    parser.add_argument(
        "--fake", nargs="+", type=int, default=[], help="only this: sizes of a made-up /proc"
    )
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    counts = options.counts or ([] if options.fake else [300, 2000, 10000])
    rows = [one_crowd(count, options.rounds) for count in counts]
    if rows:
        print(table(rows))
    fakes = [fake_crowd(count, options.rounds) for count in options.fake]
    for row in fakes:
        print(
            f"made-up /proc of {row['processes']}: awake {row['awake']:.1f} ms"
            f" ({row['awake'] * 1e3 / row['processes']:.2f} µs each), asleep {row['asleep']:.1f} ms,"
            f" {row['held']} held"
        )
    if options.json:
        document = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "real": rows,
            "fake": fakes,
        }
        Path(options.json).write_text(json.dumps(document, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
