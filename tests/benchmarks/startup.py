"""How soon proctui is there: ``python -m tests.benchmarks.startup``.

The first full frame of the dashboard against an empty Textual app on the
same pseudo-terminal, ``--version``, ``--help``, the bare import, and ``run
--no-tui true`` from start to end.  The programs take turns; medians and the
best of all tries are shown, as the best is what other work disturbed least.
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
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import machine

_EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    BINDINGS = [("q", "quit", "Quit")]
    def compose(self):
        yield Static("nothing but this")
Empty().run()
"""
PYTHON = sys.executable
SCREENS: dict[str, tuple[list[str], bytes]] = {
    "empty Textual app": ([PYTHON, "-c", _EMPTY], b"nothing but this"),
    "dashboard": ([PYTHON, "-m", "proctui"], b"because"),
    "dashboard of run": (
        [PYTHON, "-m", "proctui", "run", "--on-quit", "end", "--", "sleep", "600"],
        b"leader",
    ),
}
"""What is started on a terminal, and what no frame holds before the first look is painted."""
COMMANDS: dict[str, list[str]] = {
    "bare Python": [PYTHON, "-c", "pass"],
    "import proctui": [PYTHON, "-c", "import proctui"],
    "--version": [PYTHON, "-m", "proctui", "--version"],
    "--help": [PYTHON, "-m", "proctui", "--help"],
    "run --no-tui true": [PYTHON, "-m", "proctui", "run", "--no-tui", "true"],
}


def first_frame(argv: list[str], sign: bytes, environ: dict[str, str], favoured: bool) -> float:
    """Milliseconds until a program on a terminal of its own shows ``sign``."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    began = time.perf_counter()
    with subprocess.Popen(
        argv,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environ,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as program:
        os.close(inner)
        if favoured:
            machine.favour(program.pid)
        came = b""
        while sign not in came:
            left = began + 60 - time.perf_counter()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                program.kill()
                raise SystemExit(f"{argv}: {sign!r} never came")
            came += os.read(terminal, 1 << 16)
        took = (time.perf_counter() - began) * 1e3
        os.write(terminal, b"q")
        try:
            while select.select([terminal], [], [], 20)[0] and os.read(terminal, 1 << 16):
                continue
        except OSError:  # EIO: the other end is gone
            pass
        program.wait(30)
    os.close(terminal)
    return took


def command(argv: list[str], environ: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        argv, env=environ, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return (time.perf_counter() - began) * 1e3


def measure(rounds: int, *, favoured: bool) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        environ = {
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_STATE_HOME": place,
            "XDG_CONFIG_HOME": place,
            "PROCTUI_FALLBACK": str(Path(place, "fallback")),
            "PYTHONPYCACHEPREFIX": str(Path(place, "cache")),
        }
        environ.pop("PROCTUI_SESSION", None)
        tries: dict[str, Callable[[], float]] = {}
        for name, argv in COMMANDS.items():
            tries[name] = lambda argv=argv: command(argv, environ)
        for name, (argv, sign) in SCREENS.items():
            tries[name] = lambda argv=argv, sign=sign: first_frame(argv, sign, environ, favoured)
        took: dict[str, list[float]] = {name: [] for name in tries}
        for number in range(rounds + 1):
            for name, attempt in tries.items():
                spent = attempt()
                if number:  # the first round fills the caches of bytecode
                    took[name].append(spent)
    return {
        name: {"median_ms": statistics.median(one), "best_ms": min(one)}
        for name, one in took.items()
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--favour", action="store_true", help="at a higher priority (root)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    where = machine.describe()
    if options.favour:
        machine.favour(os.getpid())
    found = measure(options.rounds, favoured=options.favour)
    print(machine.headline(where))
    empty = found["empty Textual app"]
    for name, figures in found.items():
        told = ""
        if name.startswith("dashboard"):
            ratio = figures["median_ms"] / empty["median_ms"]
            figures["ratio"] = ratio
            met = "reached" if ratio <= 1.5 else "MISSED"
            told = f"   {ratio:.2f} of the empty app (≤ 1.5, {met})"
        elif name == "run --no-tui true":
            told = f"   ≤ 150 ms, {'reached' if figures['median_ms'] <= 150 else 'MISSED'}"
        print(
            f"{name:<20} {figures['median_ms']:>6.0f} ms  best {figures['best_ms']:>6.0f} ms{told}"
        )
    machine.write_json(options.json, {"machine": where, "startup": found})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
