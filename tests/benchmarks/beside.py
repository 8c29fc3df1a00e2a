"""The dashboard beside top, htop and btop: ``python -m tests.benchmarks.beside [N …]``.

All of them look at the same crowd in the same minute, once a second, each in
a window of 200×50 of one private tmux.  proctui watches a job of ten
(``--job`` says of how many); its runner and keeper are counted with it.  CPU
is what the processes' own clocks say after a warm-up, the median of several
rounds; ratios are taken within each round.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from typing import Any

from tests.benchmarks import crowd, machine, terminal

PEERS = {
    "top": ["top", "-d", "1"],
    "htop": ["htop", "-d", "10", "-t"],
    "btop": ["btop", "--utf-force"],
}
GOALS = {
    300: {"top": 1.2, "htop": 0.8, "btop": 1.0, "rss": 80},
    2000: {"top": 0.6, "htop": 0.35, "btop": 0.6, "rss": 85},
    10000: {"top": 0.4, "htop": 0.25, "btop": 0.3, "rss": 120},
}

JOB = """
import mmap, os, sys, time
count = int(sys.argv[1])
for number in range(count - 1):
    if os.fork() == 0:
        break
beat, work, held = 0, 0.012 / count, None
while True:
    beat += 1
    until = time.process_time() + work
    while time.process_time() < until:
        pass
    held = mmap.mmap(-1, (beat % 16 + 1) << 14)
    for at in range(0, len(held), 4096):
        held[at] = 1
    if beat % count == 0:
        print("beat", beat, flush=True)
    time.sleep(0.5)
"""
"""Processes that all work and change their memory twice a second, and write a little."""


def commands(mode: str, job: list[str], watched: int) -> list[str]:
    ours = [sys.executable, "-m", "proctui"]
    if mode == "run":
        return [*ours, "run", "--on-quit", "end", "--strays", "end", "--", *job]
    if mode == "watch":
        return [*ours, "watch", str(watched)]
    return ours


def round_of(pids: dict[str, list[int]], seconds: float) -> dict[str, float]:
    """CPU percent of one core of each program over the same seconds."""
    before = {name: machine.cpu_seconds(mine) for name, mine in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    after = {name: machine.cpu_seconds(mine) for name, mine in pids.items()}
    elapsed = time.monotonic() - began
    return {name: 100 * (after[name] - before[name]) / elapsed for name in pids}


def one_crowd(
    count: int, options: argparse.Namespace, peers: dict[str, list[str]]
) -> dict[str, Any]:
    """All figures beside ``count`` idle processes."""
    job = [sys.executable, "-I", "-S", "-c", JOB, str(options.job)]
    with crowd.idle(count) as parent, terminal.server() as windows:
        watched = windows.open(job) if options.mode == "watch" else parent
        mains = {"proctui": windows.open(commands(options.mode, job, watched))}
        mains |= {name: windows.open(argv) for name, argv in peers.items()}
        if options.favour:
            for pid in mains.values():
                machine.favour(pid)
        for name, pid in mains.items():
            terminal.until(lambda pid=pid: windows.screen(pid).strip(), f"{name}'s first screen")
        time.sleep(options.warm)
        if "looking" in windows.screen(mains["proctui"]) and options.mode != "machine":
            raise SystemExit(windows.screen(mains["proctui"]))
        trees = {name: [pid] for name, pid in mains.items()}
        trees["proctui"] = machine.own_tree(mains["proctui"])
        processes = crowd.processes()
        if processes < count + options.job:
            raise SystemExit(f"only {processes} processes: limits?")
        rounds = [round_of(trees, options.seconds) for _ in range(options.rounds)]
        result = {
            "asked": count,
            "job": options.job,
            "processes": processes,
            "rounds": rounds,
            "cpu": {name: statistics.median(one[name] for one in rounds) for name in trees},
            "rss_mb": {name: sum(map(machine.rss_mb, mine)) for name, mine in trees.items()},
            "dashboard_rss_mb": machine.rss_mb(mains["proctui"]),
            "kernel_mb": machine.held_stats(mains["proctui"])
            * machine.KERNEL_KB_PER_DESCRIPTOR
            / 1024,
        }
        result["ratio"] = {
            name: statistics.median(one["proctui"] / max(one[name], 0.01) for one in rounds)
            for name in peers
        }
        if options.show:
            print(windows.screen(mains["proctui"]))
    return result


def table(rows: list[dict[str, Any]], peers: dict[str, list[str]]) -> str:
    lines = []
    for row in rows:
        goals = GOALS.get(row["asked"], {}) if row["job"] <= 10 else {"htop": 1.0}
        lines.append(
            f"{row['processes']} processes:"
            f" proctui {row['cpu']['proctui']:.2f} %, RSS {row['dashboard_rss_mb']:.0f} MB"
            f" (all its processes {row['rss_mb']['proctui']:.0f} MB)"
            f" + {row['kernel_mb']:.0f} MB in the kernel"
            + (f"  goal ≤ {goals['rss']} MB" if "rss" in goals else "")
        )
        for name in peers:
            goal = goals.get(name)
            told = "" if goal is None else f"goal ≤ {goal:<5}"
            if goal is not None:
                told += "reached" if row["ratio"][name] <= goal else "MISSED"
            lines.append(
                f"    {name:<6} {row['cpu'][name]:>6.2f} %  RSS {row['rss_mb'][name]:>4.0f} MB"
                f"   proctui/{name:<5} {row['ratio'][name]:.2f}  {told}"
            )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.beside", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[300, 2000, 10000])
    parser.add_argument("--mode", choices=("run", "watch", "machine"), default="run")
    parser.add_argument("--job", type=int, default=10, help="processes of the job (10)")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of one round (15)")
    parser.add_argument("--warm", type=float, default=25.0, help="seconds before the first (25)")
    parser.add_argument("--show", action="store_true", help="print proctui's last screen")
    parser.add_argument("--favour", action="store_true", help="all at a higher priority (root)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    peers = {name: PEERS[name] for name in options.peers if shutil.which(name)}
    missing = sorted(set(options.peers) - peers.keys())
    if missing:
        print(f"not installed, left out: {' '.join(missing)} (apt-get install procps htop btop)")
    where = machine.describe()
    rows = [one_crowd(count, options, peers) for count in options.counts]
    print(machine.headline(where))
    print(table(rows, peers))
    machine.write_json(
        options.json,
        {"machine": where, "versions": machine.versions(("top", "htop", "btop")), "rows": rows},
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
