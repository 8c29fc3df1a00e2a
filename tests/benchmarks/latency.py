"""From a key to the screen: ``python -m tests.benchmarks.latency [N]``.

The dashboard stands on a pseudo-terminal of 200×50 beside N idle processes
and shows all of them.  ``j`` and ``k`` are pressed at odd moments, so that
some meet a look at the processes; the time runs until the first byte that
comes back.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import crowd, machine

GOALS = {"median_ms": 30.0, "p99_ms": 100.0}


def read_until_quiet(terminal: int, quiet: float, longest: float = 60.0) -> bytes:
    """All that comes until nothing comes for ``quiet`` seconds."""
    came, deadline = bytearray(), time.monotonic() + longest
    while time.monotonic() < deadline and select.select([terminal], [], [], quiet)[0]:
        try:
            came += os.read(terminal, 1 << 16)
        except OSError:  # EIO: nobody has the other end any more
            break
    return bytes(came)


def press(terminal: int, key: bytes, longest: float = 5.0) -> float:
    """Milliseconds from writing a key to the first byte that comes back."""
    began = time.perf_counter()
    os.write(terminal, key)
    if not select.select([terminal], [], [], longest)[0]:
        return longest * 1e3
    return (time.perf_counter() - began) * 1e3


def measure(count: int, presses: int, *, favoured: bool) -> dict[str, Any]:
    with crowd.idle(count), tempfile.TemporaryDirectory() as place:
        terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": place}
        environ |= {"XDG_CONFIG_HOME": place, "PYTHONPATH": str(Path.cwd())}
        environ["PROCTUI_FALLBACK"] = str(Path(place, "fallback"))
        environ.pop("PROCTUI_SESSION", None)
        with subprocess.Popen(
            [sys.executable, "-m", "proctui"],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        ) as dashboard:
            os.close(inner)
            if favoured:
                machine.favour(dashboard.pid)
                machine.favour(os.getpid())
            settled = time.monotonic() + 15
            while time.monotonic() < settled:
                read_until_quiet(terminal, 0.3, 1.0)
            took = []
            for number in range(presses):
                # Odd pauses drift over the second between two looks.
                read_until_quiet(terminal, 0.02 + 0.013 * (number % 7), 0.4)
                took.append(press(terminal, b"j" if number % 20 < 10 else b"k"))
            read_until_quiet(terminal, 0.3, 1.0)
            os.write(terminal, b"q")
            read_until_quiet(terminal, 2.0, 20.0)
            status = dashboard.wait(20)
        os.close(terminal)
    took.sort()
    return {
        "processes": count,
        "presses": presses,
        "exit_status": status,
        "median_ms": statistics.median(took),
        "p90_ms": took[int(len(took) * 0.90)],
        "p99_ms": took[min(len(took) - 1, int(len(took) * 0.99))],
        "worst_ms": took[-1],
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[10000])
    parser.add_argument("--presses", type=int, default=300)
    parser.add_argument("--favour", action="store_true", help="at a higher priority (root)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    where = machine.describe()
    rows = [measure(count, options.presses, favoured=options.favour) for count in options.counts]
    print(machine.headline(where))
    for row in rows:
        print(f"{row['processes']} processes, {row['presses']} keys:", end="")
        for name, goal in GOALS.items():
            met = "reached" if row[name] <= goal else "MISSED"
            print(f"  {name.removesuffix('_ms')} {row[name]:.1f} ms (≤ {goal:.0f}, {met})", end="")
        print(f"  p90 {row['p90_ms']:.1f} ms  worst {row['worst_ms']:.1f} ms")
    machine.write_json(options.json, {"machine": where, "goals": GOALS, "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
