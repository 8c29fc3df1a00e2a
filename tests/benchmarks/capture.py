"""What ``proctui run --no-tui`` costs: ``python -m tests.benchmarks.capture [--json FILE]``.

Throughput against plain ``cat`` into the same reader, the time of ``true``,
the memory (PSS) of all of proctui's own processes and their CPU while the job
is quiet.  Rounds alternate between the two ways; medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from proctui.jobs import family

RUN = [sys.executable, "-m", "proctui", "run", "--no-tui", "--"]
MEGABYTE = 1_000_000


def seconds(script: str, environ: dict[str, str]) -> float:
    """Wall-clock time of a shell pipeline."""
    began = time.perf_counter()
    subprocess.run(["sh", "-c", script], env=environ, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def throughput(size: int, rounds: int, environ: dict[str, str], place: Path) -> dict[str, float]:
    """Megabytes a second from a file through a pipe into a reader, beside plain ``cat``."""
    data = place / "data"
    with data.open("wb") as file:
        block = os.urandom(MEGABYTE)
        for _ in range(size):
            file.write(block)
    plain, ours, direct = [], [], []
    for _ in range(rounds):
        plain.append(size / seconds(f"cat {data} | cat >/dev/null", environ))
        ours.append(size / seconds(f"{' '.join(RUN)} cat {data} | cat >/dev/null", environ))
        direct.append(size / seconds(f"{' '.join(RUN)} cat {data} >/dev/null", environ))
    return {
        "plain_mb_s": statistics.median(plain),
        "proctui_mb_s": statistics.median(ours),
        "proctui_to_null_mb_s": statistics.median(direct),
        "ratio": statistics.median(ours) / statistics.median(plain),
    }


def latency(rounds: int, environ: dict[str, str]) -> dict[str, float]:
    """Milliseconds from start to end of ``true``, and of a bare interpreter for scale."""
    ours, bare = [], []
    for _ in range(rounds):
        for argv, into in (([*RUN, "true"], ours), ([sys.executable, "-c", "pass"], bare)):
            began = time.perf_counter()
            subprocess.run(argv, env=environ, check=True, stdin=subprocess.DEVNULL)
            into.append((time.perf_counter() - began) * 1000)
    return {
        "true_ms": statistics.median(ours),
        "best_ms": min(ours),
        "bare_python_ms": statistics.median(bare),
    }


def standing(watched: float, environ: dict[str, str]) -> dict[str, Any]:
    """PSS in MB of front, keeper and runner, and their CPU share while ``sleep`` runs."""
    with subprocess.Popen(
        [*RUN, "sleep", str(watched + 4)], env=environ, stdin=subprocess.DEVNULL
    ) as front:
        time.sleep(2.5)
        pids = [front.pid]
        pids += [one.pid for one in family.walk(front.pid) if one.name.startswith("proctui")]
        sizes = {name_of(pid): pss(pid) for pid in pids}
        before, began = sum(map(cpu, pids)), time.perf_counter()
        time.sleep(watched)
        used = sum(map(cpu, pids)) - before
        elapsed = time.perf_counter() - began
        front.wait()
    return {
        "pss_mb": {name: round(size / 1024, 2) for name, size in sizes.items()},
        "pss_total_mb": sum(sizes.values()) / 1024,
        "idle_cpu_percent": 100 * used / elapsed,
    }


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def pss(pid: int) -> int:
    """Proportional set size in KiB (proc_pid_smaps(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("no Pss")


def cpu(pid: int) -> float:
    """CPU seconds, to the nanosecond where the kernel counts so (schedstat)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        line = family.read(pid)
        return 0.0 if line is None else (line.utime + line.stime) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1000, help="megabytes sent (1000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--watch", type=float, default=20.0, help="seconds of the quiet job")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.home()) as place:
        environ = {
            **os.environ,
            "XDG_STATE_HOME": f"{place}/state",
            "PROCTUI_FALLBACK": f"{place}/fallback",
            "PYTHONPYCACHEPREFIX": f"{place}/cache",
        }
        latency(1, environ)
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
            "python": platform.python_version(),
            "latency": latency(args.rounds * 3, environ),
            "standing": standing(args.watch, environ),
            "throughput": throughput(args.size, args.rounds, environ, Path(place)),
        }
    speed, delay, rest = result["throughput"], result["latency"], result["standing"]
    rows = [
        (
            "through pipes",
            f"{speed['proctui_mb_s']:.0f} MB/s",
            "≥ 400",
            speed["proctui_mb_s"] >= 400,
        ),
        ("  the same without proctui", f"{speed['plain_mb_s']:.0f} MB/s", "", None),
        ("  to /dev/null", f"{speed['proctui_to_null_mb_s']:.0f} MB/s", "", None),
        ("`true`, start to end", f"{delay['true_ms']:.0f} ms", "≤ 150", delay["true_ms"] <= 150),
        ("  a bare interpreter", f"{delay['bare_python_ms']:.0f} ms", "", None),
        (
            "memory of all three (PSS)",
            f"{rest['pss_total_mb']:.1f} MB",
            "≤ 15",
            rest["pss_total_mb"] <= 15,
        ),
        (
            "CPU beside a quiet job",
            f"{rest['idle_cpu_percent']:.3f} %",
            "≤ 0.5",
            rest["idle_cpu_percent"] <= 0.5,
        ),
    ]
    print(f"{result['machine']}, Python {result['python']}, load {os.getloadavg()[0]:.1f}")
    for name, value, goal, met in rows:
        mark = "" if met is None else "reached" if met else "MISSED"
        print(f"{name:<30} {value:>12}  {goal:<7} {mark}")
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
