"""What reading logs costs: ``python -m tests.benchmarks.logs [--size MB] [--json FILE]``.

The command line beside ``grep`` on the same file in the same run, rounds
alternating, medians; then the last 1,000 lines, the first screen of the log
pane, memory, a giant line, and following a log at 50,000 lines a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = "error|exception|timeout"
LOGS = [sys.executable, "-m", "proctui", "logs"]
TRACE = """Traceback (most recent call last):
  File "/app/worker.py", line 40, in run
    self.step()
  File "/app/step.py", line {line}, in step
    raise KeyError(key)
KeyError: 'k{number}'
"""


def write_log(path: Path, size: int, seed: int = 5) -> int:
    """A service's log of ``size`` bytes: 4 % errors, some with tracebacks; returns its lines."""
    chance = random.Random(seed)
    moment, number, lines, done = 1_700_000_000.0, 0, 0, 0
    with path.open("w") as file:
        while done < size:
            moment += chance.random() * 0.02
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
            stamp += f",{int(moment * 1000) % 1000:03d}"
            kind = chance.random()
            number += 1
            if kind < 0.7:
                text = f"INFO app.worker: processed item {number} in {chance.random() * 90:.2f} ms"
            elif kind < 0.9:
                text = f"DEBUG app.db: query took {chance.random():.3f}s rows={number % 977}"
            elif kind < 0.96:
                text = f"WARNING app.cache: slow response from 10.0.0.{number % 250}"
            elif kind < 0.99:
                text = f"ERROR app.io: failed to open /data/f{number}.bin: timeout after {number % 99} ms"
            elif kind < 0.995:
                text = f"ERROR app.worker: job {number} failed\n"
                text += TRACE.format(line=chance.choice((10, 20)), number=number).rstrip()
            else:
                text = f"CRITICAL app: out of memory {number}"
            line = f"{stamp} {text}\n"
            file.write(line)
            done += len(line)
            lines += line.count("\n")
    return lines


def run(argv: list[str]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a command whose output is read through a pipe."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while child.stdout.read(1 << 20):
            pass
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def beside(ours: list[str], grep: list[str], rounds: int) -> dict[str, float]:
    """Medians of both, and their ratios."""
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(run(ours))
        theirs.append(run(grep))
    wall, cpu = (statistics.median(one[at] for one in mine) for at in (0, 1))
    grep_wall, grep_cpu = (statistics.median(one[at] for one in theirs) for at in (0, 1))
    return {
        "proctui_s": wall,
        "grep_s": grep_wall,
        "ratio": wall / grep_wall,
        "cpu_ratio": cpu / grep_cpu,
    }


def in_fresh_process(code: str, *arguments: str) -> dict[str, float]:
    """Figures that a piece of code prints as JSON from an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, check=True, timeout=600
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


_PEAK = """
import json, resource, sys, time
from proctui.logs.analyze import analyze
began = time.perf_counter()
result = analyze(sys.argv[1], sys.argv[2] or None, int(sys.argv[3]) or None)
seconds = time.perf_counter() - began
status = open("/proc/self/status").read()
own = int(status.split("VmHWM:")[1].split()[0]) / 1024
helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mb": own, "helper_peak_mb": helpers,
                  "lines": result["scanned"]["lines"]}))
"""

_PANE = """
import json, sys, time
from proctui.logs.pane import Filters, LogModel
def memory():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
before = memory()
began = time.perf_counter()
model = LogModel([("log", sys.argv[1])])
while model.length() < 50 and not model.status()["complete"]:
    model.poll()
rows = [model.row(at) for at in range(max(0, model.length() - 50), model.length())]
first = time.perf_counter() - began
longest = 0.0
for _ in range(200):
    model.older(400)
    begun = time.perf_counter()
    model.poll()
    longest = max(longest, time.perf_counter() - begun)
model.set_filters(Filters(keep=(("out of memory", False),)))
began = time.perf_counter()
while not model.length() and not model.status()["complete"]:
    model.poll()
    time.sleep(0.001)
filtered = time.perf_counter() - began
peak = memory()
model.close()
print(json.dumps({"first_screen_ms": first * 1e3, "longest_poll_ms": longest * 1e3,
                  "first_filtered_ms": filtered * 1e3, "memory_mb": peak - before}))
"""


def following(place: Path, rate: int, seconds: float) -> dict[str, float]:
    """The pane's model at ``rate`` lines a second: how far it lags, its longest poll."""
    from proctui.logs.pane import LogModel

    path = place / "busy.log"
    path.touch()
    written = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal written
        began = time.perf_counter()
        with path.open("ab", buffering=0) as file:
            while not stop.is_set():
                due = int((time.perf_counter() - began) * rate) - written
                stamp = time.strftime("%Y-%m-%d %H:%M:%S").encode()
                file.write(
                    b"".join(
                        b"%s,000 INFO app: line %d goes by\n" % (stamp, written + at)
                        for at in range(due)
                    )
                )
                written += due
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    model = LogModel([("busy", str(path))])
    writer.start()
    longest, lag = 0.0, 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        model.poll()
        longest = max(longest, time.perf_counter() - began)
        if model.window.rows:
            shown = model.row(len(model.window.rows) - 1).text.split(" line ")[-1].split()[0]
            lag = max(lag, written - int(shown))
        time.sleep(0.02)
    stop.set()
    writer.join()
    model.close()
    return {"rate": rate, "longest_poll_ms": longest * 1e3, "most_lines_behind": lag}


def measure(size: int, rounds: int, place: Path) -> dict[str, Any]:
    log = place / "service.log"
    lines = write_log(log, size * 1_000_000)
    name = str(log)
    pattern = ["--pattern", WORDS, "--ignore-case"]
    ranked: dict[str, Callable[[], dict[str, float]]] = {
        "matches": lambda: beside(
            [*LOGS, name, *pattern, "--matches"], ["grep", "-iE", WORDS, name], rounds
        ),
        "analysis": lambda: beside([*LOGS, name, "--json"], ["grep", "-ciE", WORDS, name], rounds),
        "analysis with pattern": lambda: beside(
            [*LOGS, name, *pattern, "--json"], ["grep", "-ciE", WORDS, name], rounds
        ),
        "analysis memory": lambda: in_fresh_process(_PEAK, name, WORDS, "0"),
        "last 1,000 lines": lambda: in_fresh_process(_PEAK, name, "", "1000"),
        "log pane": lambda: in_fresh_process(_PANE, name),
        "following": lambda: following(place, 50_000, 3.0),
    }
    figures: dict[str, Any] = {"size_mb": size, "lines": lines}
    for title, figure in ranked.items():
        figures[title] = figure()
    giant = place / "giant.log"
    giant.write_bytes(b"x" * 60_000_000 + b"\nERROR end\n")
    figures["60 MB line"] = in_fresh_process(_PEAK, str(giant), "end|xxx", "0")
    figures["60 MB line, pane"] = in_fresh_process(_PANE, str(giant))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=300, metavar="MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        figures = measure(options.size, options.rounds, Path(place))
    figures["machine"] = {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "system": platform.release(),
        "grep": subprocess.run(
            ["grep", "--version"], capture_output=True, text=True, check=True
        ).stdout.split("\n", 1)[0],
    }
    for title, values in figures.items():
        if isinstance(values, dict):
            shown = "  ".join(
                f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in values.items()
            )
            print(f"{title:24}{shown}")
        else:
            print(f"{title:24}{values}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
