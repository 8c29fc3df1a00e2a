"""What every benchmark says about where it ran, and figures of running processes."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from proctui.jobs import family

KERNEL_KB_PER_DESCRIPTOR = 4.4
"""Kernel memory of one held ``/proc/PID/stat`` (slab growth over 10,000 of them)."""


def describe() -> dict[str, Any]:
    """Cores, kernel, Python and load of this machine."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def headline(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']},"
        f" load {machine['load']}"
    )


def versions(programs: tuple[str, ...]) -> dict[str, str]:
    """First line of ``--version`` (``-V`` where that is all there is) by program."""
    found = {}
    for program in programs:
        if shutil.which(program) is None:
            continue
        for flag in ("--version", "-V"):
            done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip():
                found[program] = done.stdout.strip().splitlines()[0]
                break
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system seconds of living processes and of the children they waited for.

    Their own by the process's CPU clock (clock_getcpuclockid(3), as Linux makes
    its number: what /proc/PID/stat tells is counted in ticks of 10 ms), their
    children's by cutime and cstime of /proc/PID/stat (proc_pid_stat(5)).
    """
    seconds = 0.0
    for pid in pids:
        try:
            raw = Path(f"/proc/{pid}/stat").read_bytes()
            seconds += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue
        children = sum(map(int, raw[raw.rindex(b")") + 2 :].split()[13:15]))
        seconds += children / os.sysconf("SC_CLK_TCK")
    return seconds


def rss_mb(pid: int) -> float:
    """VmRSS in MB of 10**6 bytes (proc_pid_status(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def held_stats(pid: int) -> int:
    """How many of a process's descriptors are held ``stat`` files of processes."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        count += target.startswith("/proc/") and target.endswith("/stat")
    return count


def own_tree(root: int) -> list[int]:
    """A dashboard's own processes: ``root`` and what of its descendants is proctui too."""
    return [root, *(one.pid for one in family.walk(root) if one.name.startswith("proctui"))]


def write_json(path: str | None, document: dict[str, Any]) -> None:
    if path:
        Path(path).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def favour(pid: int) -> None:
    """Have a process (and its session's scheduling group) served first, as far as we may.

    On a machine at other work a figure is then about the program rather than
    about its place in the queue.  sched(7), "The autogroup feature".
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, -15)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-15")
