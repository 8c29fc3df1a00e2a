"""A made-up ``/proc`` that a test fills, changes and breaks at will.

``FakeProc(tmp_path)`` writes the files that :class:`proctui.machine.sampler.ProcSource`
reads; pass ``str(fake.root)`` as its root.  Counters move with births and
deaths as the kernel's do, so skipped listings are tested too.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = "00000000-1111-2222-3333-444444444444"
IMAGE = (94703403196416, 94703403216297, 140734672345120)
"""Where code begins and ends and the stack begins, until an exec changes it."""


@dataclass
class FakeProcess:
    """The fields of one stat line; change them and call :meth:`FakeProc.write`."""

    pid: int
    ppid: int = 1
    name: bytes = b"idle"
    state: str = "S"
    pgid: int = 0
    sid: int = 0
    tty: int = 0
    flags: int = 0x400000
    utime: int = 0
    stime: int = 0
    threads: int = 1
    start: int = 1000
    vsize: int = 10_000_000
    rss: int = 100
    image: tuple[int, int, int] = IMAGE
    cmdline: bytes = b"idle\0--wait\0"

    def stat(self) -> bytes:
        before = f"{self.ppid} {self.pgid} {self.sid} {self.tty} -1 {self.flags} 0 0 0 0"
        times = f"{self.utime} {self.stime} 0 0 20 0 {self.threads} 0 {self.start}"
        image = " ".join(map(str, self.image))
        rest = "0 " * 23 + "0"
        return (
            f"{self.pid} (".encode()
            + self.name
            + f") {self.state} {before} {times} {self.vsize} {self.rss} 18446744073709551615"
            f" {image} {rest}\n".encode()
        )


class FakeProc:
    """A folder that looks like ``/proc`` to the sampler."""

    def __init__(self, folder: Path, *, first_pid: int = 100) -> None:
        self.root = folder / "proc"
        self.processes: dict[int, FakeProcess] = {}
        self.forks = 1000
        self.last_pid = first_pid
        self.busy_ticks = 0
        for name in ("sys/kernel/random", "pressure", "net"):
            (self.root / name).mkdir(parents=True)
        self.file("sys/kernel/random/boot_id", f"{BOOT_ID}\n")
        self.file(
            "meminfo",
            "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 600 kB\nBuffers: 1 kB\n"
            "Cached: 2 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n",
        )
        for name in ("cpu", "memory", "io"):
            self.pressure(name, 1.5)
        self.file("diskstats", " 8 0 sda 10 0 100 0 10 0 200 0\n 8 1 sda1 10 0 100 0 10 0 200 0\n")
        self.file("net/dev", "h\nh\n" + self._nic("lo", 9, 9) + self._nic("eth0", 1000, 500))
        self.counters()

    @staticmethod
    def _nic(name: str, received: int, sent: int) -> str:
        return f"{name:>6}: {received} 1 0 0 0 0 0 0 {sent} 1 0 0 0 0 0 0\n"

    def file(self, name: str, content: str | bytes) -> None:
        """Write a file below the root in place: held descriptors see the change."""
        data = content.encode() if isinstance(content, str) else content
        (self.root / name).write_bytes(data)

    def pressure(self, name: str, average: float) -> None:
        self.file(f"pressure/{name}", f"some avg10={average:.2f} avg60=0.00 avg300=0.00 total=1\n")

    def traffic(self, received: int, sent: int) -> None:
        """Set the counters of the one real interface."""
        self.file("net/dev", "h\nh\n" + self._nic("lo", 9, 9) + self._nic("eth0", received, sent))

    def counters(self) -> None:
        """Write forks, last pid and the number of tasks; called by all that change them."""
        tasks = sum(one.threads for one in self.processes.values())
        cores = "".join(f"cpu{core} {self.busy_ticks} 0 0 100 0 0 0 0 0 0\n" for core in (0, 1))
        total = f"cpu  {self.busy_ticks * 2} 0 0 200 0 0 0 0 0 0\n"
        self.file("stat", f"{total}{cores}intr 1\nctxt 1\nbtime 1\nprocesses {self.forks}\n")
        self.file("loadavg", f"0.10 0.20 0.30 1/{tasks} {self.last_pid}\n")

    def crowd(self, count: int) -> None:
        """Many idle processes at once."""
        for _ in range(count):
            self._add(self.last_pid + 1, {})
        self.counters()

    def spawn(self, pid: int | None = None, **fields: object) -> FakeProcess:
        """A new process under the next pid (or this one), counters moved."""
        process = self._add(self.last_pid + 1 if pid is None else pid, fields)
        self.counters()
        return process

    def _add(self, pid: int, fields: dict[str, object]) -> FakeProcess:
        self.last_pid = pid
        process = FakeProcess(pid, **fields)  # type: ignore[arg-type]
        self.processes[pid] = process
        self.forks += 1
        (self.root / str(pid)).mkdir()
        self.write(process)
        self.file(f"{pid}/cmdline", process.cmdline)
        self.io(pid, 0, 0)
        return process

    def write(self, process: FakeProcess) -> None:
        """Write its stat line anew."""
        self.file(f"{process.pid}/stat", process.stat())

    def io(self, pid: int, read: int, written: int) -> None:
        self.file(
            f"{pid}/io",
            f"rchar: 1\nwchar: 1\nsyscr: 1\nsyscw: 1\nread_bytes: {read}\nwrite_bytes: {written}\n"
            "cancelled_write_bytes: 0\n",
        )

    def change(self, pid: int, **fields: object) -> FakeProcess:
        """Set fields of a process and write them."""
        process = self.processes[pid]
        for name, value in fields.items():
            setattr(process, name, value)
        self.write(process)
        return process

    def end(self, pid: int) -> None:
        """It dies: a held descriptor reads nothing any more, the directory is gone."""
        del self.processes[pid]
        self.file(f"{pid}/stat", b"")
        shutil.rmtree(self.root / str(pid))
        self.counters()
