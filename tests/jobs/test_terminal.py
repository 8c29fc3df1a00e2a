"""On a terminal: keys, signals, window size and stopping, as if proctui were not there."""

from __future__ import annotations

import shlex
import shutil
import sys
import termios
from pathlib import Path

import pytest

from tests.jobs.screen import Screen, on_screen
from tests.jobs.stage import RUN, directory, end_everything
from tests.support import python


@pytest.fixture(autouse=True)
def cleanup(tmp_path: Path):
    yield
    end_everything(tmp_path / "state")


def echoing(screen: Screen) -> bool:
    return bool(termios.tcgetattr(screen.master)[3] & termios.ECHO)


def test_all_three_are_terminals_of_the_same_size() -> None:
    code = "import os, sys; print(*map(os.isatty, range(3)), *os.get_terminal_size(0), os.path.samefile('/dev/fd/1', os.ttyname(1)))"
    with on_screen([*RUN, "--", *python(code)], columns=97, rows=31) as screen:
        screen.read_until(rb"True True True 97 31 True\r\n")
        assert screen.wait() == 0


def test_pipes_on_request(tmp_path: Path) -> None:
    code = "import os; print(*map(os.isatty, range(3)))"
    with on_screen([*RUN, "--pipes", "--", *python(code)]) as screen:
        screen.read_until(rb"True False False")
        assert screen.wait() == 0


def test_lines_are_typed_and_the_capture_holds_no_carriage_returns(tmp_path: Path) -> None:
    code = "line = input('name? '); print('hello', line)"
    with on_screen([*RUN, "--", *python(code)]) as screen:
        screen.read_until(rb"name\? ")
        screen.type(b"World\r")
        screen.read_until(rb"hello World\r\n")
        assert screen.wait() == 0
        assert echoing(screen)
    assert (directory(tmp_path / "state") / "output.log").read_bytes() == (
        b"name? World\nhello World\n"
    )


def test_end_of_input_passes() -> None:
    code = "import sys; print('up', flush=True); print('got', len(sys.stdin.read()))"
    with on_screen([*RUN, "--", *python(code)]) as screen:
        screen.read_until(b"up")
        screen.type(b"abc\r\x04")
        screen.read_until(rb"got 4")
        assert screen.wait() == 0


def test_ctrl_c_interrupts_the_job_not_us() -> None:
    code = (
        "import signal, sys, time\nsignal.signal(2, lambda *a: sys.exit(5))\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    with on_screen([*RUN, "--", *python(code)]) as screen:
        screen.read_until(b"up")
        screen.type(b"\x03")
        assert screen.wait() == 5


def test_ctrl_c_with_its_default_action() -> None:
    code = "import signal, time\nsignal.signal(2, signal.SIG_DFL)\nprint('up', flush=True)\ntime.sleep(60)"
    for options in ([], ["--pipes"]):
        with on_screen([*RUN, *options, "--", *python(code)]) as screen:
            screen.read_until(b"up")
            screen.type(b"\x03")
            assert screen.wait() == 130


def test_the_window_can_change_its_size() -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGWINCH, lambda *a: os.write(1, b'now %d %d\\n' % os.get_terminal_size()))\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(0.05)"
    )
    with on_screen([*RUN, "--", *python(code)]) as screen:
        screen.read_until(b"up")
        screen.resize(123, 45)
        screen.read_until(b"now 123 45")
        screen.type(b"\x1c")
        assert screen.wait() == 131


def test_a_job_that_goes_raw_gets_every_key() -> None:
    code = (
        "import os, sys, tty\ntty.setraw(0)\nos.write(1, b'up\\r\\n')\n"
        "got = b''\nwhile len(got) < 4: got += os.read(0, 10)\nos.write(1, repr(got).encode())"
    )
    with on_screen([*RUN, "--", *python(code)]) as screen:
        screen.read_until(b"up\r\n")
        screen.type(b"\x03\x1a\x04\x1c")
        screen.read_until(rb"b'\\x03\\x1a\\x04\\x1c'")
        assert screen.wait() == 0


STOPPABLE = (
    "import itertools, sys, time\n"
    "for n in itertools.count():\n"
    "    print('tick', n, flush=True); time.sleep(0.05)"
)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash for job control")
@pytest.mark.parametrize("mode", ["--pty", "--pipes"])
def test_ctrl_z_stops_and_fg_continues(tmp_path: Path, mode: str) -> None:
    script = tmp_path / "ticking.py"
    script.write_text(STOPPABLE)
    with on_screen(["bash", "--norc", "--noprofile", "-i"]) as screen:
        screen.type(b"PS1='ready> '\r")
        screen.read_until(rb"ready> $")
        screen.type(f"{' '.join(RUN)} {mode} -- {sys.executable} {script}\r".encode())
        screen.read_until(rb"tick \d+")
        screen.type(b"\x1a")
        screen.read_until(rb"Stopped")
        screen.read_until(rb"ready> ")
        screen.type(b"echo $((6*7))\r")
        between = screen.read_until(rb"42\r\n")
        assert b"tick" not in between.string[: between.start()]
        screen.type(b"fg\r")
        screen.read_until(rb"tick \d+")
        screen.type(b"\x03")
        screen.read_until(rb"ready> ")
        screen.type(b"echo status=$?\r")
        screen.read_until(rb"status=(130|1)\r\n")
        screen.type(b"exit\r")
        screen.wait()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash for job control")
def test_a_window_resized_while_stopped_is_told_on_fg() -> None:
    """The kernel tells only who is in the foreground, and that is the shell then."""
    code = "import os; input('u' + 'p'); print('size %d %d' % os.get_terminal_size(0), flush=True)"
    with on_screen(["bash", "--norc", "--noprofile", "-i"]) as screen:
        screen.type(b"PS1='ready> '\r")
        screen.read_until(rb"ready> $")
        screen.type(f"{' '.join(RUN)} -- {' '.join(map(shlex.quote, python(code)))}\r".encode())
        screen.read_until(rb"up")
        screen.type(b"\x1a")
        screen.read_until(rb"Stopped")
        screen.resize(101, 31)
        screen.type(b"fg\r")
        screen.read_until(rb"fg\r\n")
        screen.type(b"\r")
        screen.read_until(rb"size 101 31")
        screen.read_until(rb"ready> ")
        screen.type(b"exit\r")
        screen.wait()


def test_a_pager_at_the_end_of_a_pipe_gets_its_keys() -> None:
    pager = (
        "import os, sys, termios, tty\nfed = sys.stdin.read()\nkeys = os.open('/dev/tty', os.O_RDWR)\n"
        "before = termios.tcgetattr(keys)\ntty.setraw(keys)\nos.write(1, b'page of %d\\r\\n' % len(fed))\n"
        "key = os.read(keys, 1)\ntermios.tcsetattr(keys, termios.TCSANOW, before)\n"
        "print('pressed', key.decode(), flush=True)"
    )
    script = f'echo 12345 | {" ".join(RUN)} -- {sys.executable} -c "$0"; echo after'
    with on_screen(["sh", "-c", script, pager]) as screen:
        screen.read_until(b"page of 6\r\n")
        screen.type(b"q")
        screen.read_until(rb"pressed q\r\n")
        screen.read_until(b"after")
        assert screen.wait() == 0
        assert echoing(screen)
