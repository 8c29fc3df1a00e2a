"""How text output looks: coloured on a terminal, plain elsewhere, harmless everywhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.cli.commands import look
from proctui.cli.output import table
from tests.contract.outside import PROCTUI, proctui
from tests.support import python, running

HOSTILE = (
    "import ctypes, threading, time\n"
    "ctypes.CDLL(None).prctl(15, b'\\x1b]0;P\\x07[/b]\\n', 0, 0, 0)\n"
    "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    "print('up', flush=True)\ntime.sleep(600)"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A process whose name, arguments, environment and file names try to write to the screen."""
    folder = tmp_path_factory.mktemp("hostile")
    environ = {**os.environ, "EVIL": "\x1b[2J", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    argv = python(HOSTILE, "\x1b[31mred\nline", "--password", "hunter2")
    with (
        (folder / "out\x1b[7m\nput.log").open("w") as log,
        running(argv, stdout=subprocess.PIPE, stderr=log, env=environ, text=True) as child,
    ):
        assert child.stdout is not None and child.stdout.readline()
        yield child.pid


COMMANDS = [
    ["tree", "{pid}"],
    ["inspect", "{pid}", "--threads", "--files"],
    ["memory", "{pid}"],
    ["cpu", "{pid}", "--duration", "0.2"],
    ["stack", "{pid}", "--all-threads"],
    ["hangs", "{pid}", "--for", "0.3"],
    ["logs", "--of", "{pid}"],
    ["kill", "{pid}", "--dry-run"],
]


def filled(command: list[str], pid: int) -> list[str]:
    return [word.format(pid=pid) for word in command]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_nothing_hostile_reaches_a_pipe(command: list[str], hostile: int) -> None:
    done = proctui(*filled(command, hostile))
    text = done.stdout + done.stderr
    assert str(hostile) in text
    assert text.replace("\n", "").isprintable()
    assert "hunter2" not in text
    assert not [line for line in text.splitlines() if line.startswith("line")]


def on_a_terminal(*argv: object, **environ: str) -> str:
    """What the command writes to a terminal of 80 columns."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", **environ})
        os.execv(sys.executable, [*PROCTUI, *map(str, argv)])
    seen = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(fd)
    os.waitpid(pid, 0)
    return seen.decode("utf-8", "replace")


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_terminal_gets_colours_and_nothing_else(command: list[str], hostile: int) -> None:
    seen = on_a_terminal(*filled(command, hostile))
    assert str(hostile) in seen
    left = COLOUR.sub("", seen).replace("\r\n", "")
    assert left.isprintable(), repr(left)
    assert "hunter2" not in left


def test_colours_only_where_they_are_wanted(hostile: int) -> None:
    assert COLOUR.search(on_a_terminal("memory", hostile))
    assert not COLOUR.search(on_a_terminal("memory", hostile, NO_COLOR="1"))
    assert not COLOUR.search(on_a_terminal("memory", hostile, TERM="dumb"))
    assert not COLOUR.search(proctui("memory", hostile).stdout)


def test_what_is_long_is_wrapped_on_a_terminal_and_one_line_in_a_pipe(hostile: int) -> None:
    shown = COLOUR.sub("", on_a_terminal("inspect", hostile)).splitlines()
    told = proctui("inspect", hostile).stdout.splitlines()
    assert len(shown) > len(told) > 20
    evidence = [line for line in shown if not line.startswith("command")]
    assert max(map(len, evidence)) <= 80
    for name in ("evidence", "ancestors", "memory", "io", "descriptors", "environ"):
        assert len([line for line in told if line.startswith(f"{name} ")]) == 1
    assert "hunter2" not in "".join(shown + told)


def test_a_crowd_of_the_idle_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(pid: int, used: float) -> dict[str, object]:
        return {
            "pid": pid, "name": "x", "role": "unknown", "usage": used, "user": used, "system": 0.0,
            "threads": 1,
        }  # fmt: skip

    result = {
        "usage": 1.0, "basis": "machine", "cores": 2, "duration": 1.0, "user": 1.0, "system": 0.0,
        "processes": [row(1, 0.5), *(row(pid, 0.0) for pid in range(2, 40))],
    }  # fmt: skip
    text = ["".join(part if isinstance(part, str) else part[0] for part in line)
            for line in look._cpu(result)]  # fmt: skip
    assert len(text) == 4 and text[-1] == "and 38 that used none"


def test_columns_stand_below_each_other_whatever_a_name_is_made_of() -> None:
    rows = table([("NAME", "<"), ("N", ">")], [["日本", "1"], ["e\u0301", "2"], ["plain", "3"]])
    lines = ["".join(piece for piece, _ in row) for row in rows if not isinstance(row, str)]
    assert lines == ["NAME   N", "日本   1", "e\u0301      2", "plain  3"]


def test_a_tree_fits_its_terminal(hostile: int) -> None:
    (line,) = COLOUR.sub("", on_a_terminal("tree", hostile)).splitlines()
    assert len(line) <= 80 and "…" in line


def test_text_says_what_json_says(hostile: int, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("2026-01-02 03:04:05 INFO fine\n2026-01-02 03:04:06 ERROR broke \x1b[31mred\n")
    text = proctui("logs", log, "--pattern", "broke", "--context", "1", status=0).stdout
    assert "error 1" in text and "broke" in text and "\x1b" not in text
    raw = proctui("logs", log, "--matches", "--pattern", "broke", status=0).stdout
    assert raw == "2026-01-02 03:04:06 ERROR broke \x1b[31mred\n"
    seen = on_a_terminal("logs", log, "--matches", "--pattern", "broke")
    assert "\u241b[31mred" in seen
    system = proctui("system", status=0).stdout
    for word in ("cpu", "memory", "disk", "network"):
        assert word in system
