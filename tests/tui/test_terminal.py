"""The real program in a real terminal (tmux): three sizes, every way out, a piped stdin."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import alive, python, running, wait_for

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]

PROCTUI = f"{sys.executable} -m proctui.cli.main"


class Terminal:
    """One window of a tmux server of our own."""

    def __init__(self, socket: Path, environ: dict[str, str]) -> None:
        self.base = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self.environ = environ

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            [*self.base, *words], env=self.environ, capture_output=True, text=True, timeout=20
        )
        return done.stdout

    def start(self, command: str, size: tuple[int, int] = (200, 50)) -> None:
        width, height = map(str, size)
        shell = f"{command}; echo STATUS=$?; stty -a | tr ';' '\\n' | grep -E 'icanon|echo '; cat"
        self.tmux("new-session", "-d", "-x", width, "-y", height, "sh", "-c", shell)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def flag(self, name: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tmux("send-keys", key)

    def sees(self, text: str, timeout: float = 90) -> str:
        def look() -> str:
            shown = self.screen()
            return shown if text in shown else ""

        try:
            return wait_for(look, timeout)
        except AssertionError:
            raise AssertionError(f"{text!r} never came:\n{self.screen()}") from None

    def sound(self) -> None:
        """The shell's screen is back: no alternate screen, cursor seen, no mouse, echo on."""
        wait_for(lambda: self.flag("alternate_on") == "0", 60, "the normal screen")
        wait_for(lambda: self.flag("cursor_flag") == "1", what="the cursor")
        assert self.flag("mouse_any_flag") == "0"
        with open(self.flag("pane_tty"), "rb", buffering=0) as tty:
            modes = termios.tcgetattr(tty)
        assert modes[0] & termios.ICRNL
        for bit in (termios.ECHO, termios.ICANON, termios.ISIG, termios.IEXTEN):
            assert modes[3] & bit

    def restored(self) -> None:
        """Sound, and what the shell says after the command is on its screen."""
        self.sound()
        shown = self.sees("STATUS=")
        wait_for(lambda: " icanon" in f" {self.screen()}", what="a cooked terminal")
        assert "-icanon" not in self.screen() and "-echo " not in self.screen(), shown


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "SHELL": "/bin/sh"}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    one = Terminal(tmp_path / "t", environ)
    try:
        yield one
    finally:
        one.tmux("kill-server")


JOB = "sh -c 'echo begun; sleep 300 & sleep 301; wait'"


def job_pid(terminal: Terminal) -> int:
    """The pid of the job's leader, from its line on the screen."""
    for line in terminal.screen().splitlines():
        words = line.split()
        if "sh" in words[:12] and "●" in words[:2]:
            return int(next(word for word in words if word.isdigit()))
    raise AssertionError(terminal.screen())


@pytest.mark.parametrize("size", [(200, 50), (80, 24), (40, 10)])
def test_a_job_is_shown_kept_and_the_terminal_restored(
    terminal: Terminal, size: tuple[int, int]
) -> None:
    terminal.start(f"{PROCTUI} run --on-quit end -- {JOB}", size)
    terminal.sees("Processes")
    terminal.sees("live")
    if size[0] >= 80:
        terminal.sees("begun")
    assert terminal.flag("alternate_on") == "1"
    terminal.press("q")
    terminal.restored()


def test_term_ends_the_dashboard_alone(terminal: Terminal) -> None:
    terminal.start(f"{PROCTUI} run -- {JOB}")
    terminal.sees("begun")
    pid = job_pid(terminal)
    front = next(
        int(word)
        for line in terminal.screen().splitlines()
        if "◆" in line
        for word in line.split()
        if word.isdigit()
    )
    os.kill(front, signal.SIGTERM)
    terminal.restored()
    assert alive(pid)
    terminal.tmux("kill-server")
    end_job(terminal, pid)


def watching(terminal: Terminal, child: int, tmp_path: Path) -> int:
    """A dashboard that watches a process; its pid."""
    script = tmp_path / "start"
    script.write_text(f"echo $$ > {tmp_path}/pid\nexec {PROCTUI} watch {child}\n")
    terminal.start(f"sh {script}", (120, 40))
    terminal.sees("live")
    return int((tmp_path / "pid").read_text())


def test_a_closed_terminal_ends_the_dashboard(terminal: Terminal, tmp_path: Path) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        pid = watching(terminal, child.pid, tmp_path)
        terminal.tmux("kill-server")
        wait_for(lambda: not alive(pid), timeout=60, what="the end of the dashboard")
        assert alive(child.pid)


def test_a_continue_out_of_the_blue_changes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        pid = watching(terminal, child.pid, tmp_path)
        for _ in range(3):
            os.kill(pid, signal.SIGCONT)

        def answered() -> bool:
            # Keys typed while the terminal is taken anew are lost, as after Ctrl-Z.
            terminal.press("s")
            return "waiting for" in terminal.screen()

        wait_for(answered, what="an answer to a key")
        terminal.press("q")
        terminal.restored()


def end_job(terminal: Terminal, pid: int) -> None:
    """End a kept job through proctui itself."""
    subprocess.run(
        [*PROCTUI.split(), "kill", str(pid), "--tree", "--yes"],
        env=terminal.environ,
        capture_output=True,
        timeout=60,
    )
    wait_for(lambda: not alive(pid), what="the end of the job")


@pytest.mark.parametrize("way", ["run", "watch", "look"])
def test_a_dashboard_killed_outright_leaves_a_sound_terminal(
    terminal: Terminal, tmp_path: Path, way: str
) -> None:
    words = {"run": f"run --on-quit end -- {JOB}", "watch": "watch {}", "look": ""}[way]
    with running(["sh", "-c", "sleep 300; true"]) as child:
        script = tmp_path / "start"
        script.write_text(f"echo $$ > {tmp_path}/pid\nexec {PROCTUI} {words.format(child.pid)}\n")
        terminal.start(f"sh {script}", (120, 40))
        terminal.sees("looking only" if way == "look" else "live")
        wait_for(lambda: terminal.flag("mouse_any_flag") == "1", what="the mouse")
        pid = int((tmp_path / "pid").read_text())
        leader = job_pid(terminal) if way == "run" else child.pid
        guardian = only_child(pid, "terminal-guardian")
        os.kill(pid, signal.SIGKILL)
        terminal.sound()
        assert alive(leader)
        wait_for(lambda: not alive(guardian), what="the guardian to let the terminal go")
        if way == "run":
            end_job(terminal, leader)


def only_child(pid: int, word: str) -> int:
    """The one child of ``pid`` with this word among its arguments."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [
        int(one) for one in children if word in Path(f"/proc/{one}/cmdline").read_text().split("\0")
    ]
    return found


def test_a_guardian_leaves_with_its_dashboard_and_meddles_with_nothing(terminal: Terminal) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        terminal.start(f"{PROCTUI} watch {child.pid}", (120, 40))
        terminal.sees("live")
        terminal.press("q")
        terminal.restored()
        tty = terminal.flag("pane_tty")
        (screen,) = terminal.tmux("list-panes", "-F", "#{pane_pid}").split()
        on_it = [proc for proc in Path("/proc").glob("[0-9]*") if _stands_on(proc, tty)]
        parents = {(one / "stat").read_text().rpartition(")")[2].split()[1] for one in on_it}
        assert parents <= {screen, (Path("/proc") / screen / "stat").read_text().split()[3]}


def _stands_on(proc: Path, tty: str) -> bool:
    try:
        return any(os.readlink(fd) == tty for fd in (proc / "fd").iterdir())
    except OSError:
        return False


def test_quitting_asks_and_keeps(terminal: Terminal) -> None:
    terminal.start(f"{PROCTUI} run -- {JOB}")
    terminal.sees("begun")
    pid = job_pid(terminal)
    terminal.press("q")
    terminal.sees("Keep it running")
    terminal.press("Enter")
    terminal.restored()
    assert "goes on as session" in terminal.screen()
    assert alive(pid)
    end_job(terminal, pid)


def test_a_child_is_ended_through_the_dialogue(terminal: Terminal) -> None:
    terminal.start(f"{PROCTUI} run --on-quit end -- {JOB}")
    terminal.sees("sleep 301")
    line = next(line for line in terminal.screen().splitlines() if "sleep 301" in line)
    pid = next(int(word) for word in line.split() if word.isdigit())
    terminal.press("/")
    terminal.sees("Search")
    terminal.tmux("send-keys", "-l", "sleep 301")
    terminal.press("Enter", "F9")
    terminal.sees("Kill 1 process?")
    terminal.press("Tab", "Enter")
    wait_for(lambda: not alive(pid), what="the end of the child")
    terminal.sees("1 ended")
    terminal.sees("live")
    terminal.press("q")
    terminal.restored()


def test_the_end_of_the_job_is_told_and_its_status_passed_on(terminal: Terminal) -> None:
    terminal.start(f"{PROCTUI} run -- sh -c 'echo done; exit 7'")
    terminal.sees("exit 7")
    terminal.press("q")
    terminal.restored()
    terminal.sees("STATUS=7")


def test_keys_come_from_the_terminal_where_stdin_is_a_pipe(terminal: Terminal) -> None:
    terminal.start(f"echo hello | {PROCTUI} run --on-quit end -- {JOB} | cat")
    terminal.sees("Processes")
    terminal.sees("live")
    terminal.press("q")
    wait_for(lambda: terminal.flag("alternate_on") == "0", 60, "the normal screen")


def test_watching_leaves_at_once_and_harms_nothing(terminal: Terminal) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        terminal.start(f"{PROCTUI} watch {child.pid}")
        terminal.sees("sleep 300")
        terminal.press("q")
        terminal.restored()
        assert child.poll() is None


def test_a_suspended_dashboard_gives_the_screen_back_and_takes_it_again(
    terminal: Terminal,
) -> None:
    terminal.tmux("new-session", "-d", "-x", "120", "-y", "40", "sh", "-i")
    with running(["sh", "-c", "sleep 300; true"]) as child:
        terminal.tmux("send-keys", f"{PROCTUI} watch {child.pid}", "Enter")
        terminal.sees("Processes")
        terminal.press("C-z")
        wait_for(lambda: terminal.flag("alternate_on") == "0", what="the shell's screen")
        terminal.tmux("send-keys", "fg", "Enter")
        wait_for(lambda: terminal.flag("alternate_on") == "1", what="the dashboard again")
        terminal.sees("Processes")
        terminal.press("q")
        wait_for(lambda: terminal.flag("alternate_on") == "0", what="the shell's screen")


@pytest.mark.parametrize("way", ["key", "size"])
def test_redraw_mends_what_others_wrote(terminal: Terminal, tmp_path: Path, way: str) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        pid = watching(terminal, child.pid, tmp_path)
        terminal.sees("Inspector")
        tty = terminal.flag("pane_tty")
        # The dashboard has line wrapping off: each row is to be reached by itself.
        rows = b"".join(b"\x1b[%d;1H%b" % (row, b"garbage " * 14) for row in range(1, 41))

        def spoilt() -> bool:
            Path(tty).write_bytes(rows)
            return "garbage garbage" in terminal.screen()

        wait_for(spoilt, what="garbage on the screen")
        if way == "key":
            terminal.press("C-l")
        else:  # what a terminal that shrank and grew back before anybody looked sends
            os.kill(pid, signal.SIGWINCH)
        wait_for(lambda: "garbage" not in terminal.screen(), what="a clean screen")
        terminal.sees("Inspector")
        terminal.press("q")
        terminal.restored()


BUSY = "import time\nwhile True: sum(range(20000)); time.sleep(0.05)"


def test_nothing_is_painted_over_a_dialogue(terminal: Terminal) -> None:
    with running(python(BUSY)) as child:
        terminal.start(f"{PROCTUI} watch --interval 0.2 {child.pid}", (120, 40))
        terminal.sees("Inspector")
        terminal.press("?")
        terminal.sees("What the marks mean")

        def inside() -> list[str]:
            # tmux leaves out the blanks at a line's end, so what stands right of the dialogue decides whether there are any.
            return [line[8:112].rstrip() for line in terminal.screen().splitlines()[4:36]]

        before, headers = inside(), set[str]()

        def ticks() -> bool:
            headers.add(terminal.screen().splitlines()[0])
            return len(headers) > 5

        wait_for(ticks, 90, "some looks")
        assert inside() == before
        terminal.press("Escape")
        wait_for(lambda: "What the marks mean" not in terminal.screen(), 90, "the panes again")
        terminal.press("q")
        terminal.restored()


def test_resizing_from_one_layout_to_the_next(terminal: Terminal) -> None:
    with running(["sh", "-c", "sleep 300; true"]) as child:
        terminal.start(f"{PROCTUI} watch {child.pid}")
        terminal.sees("Inspector")
        for width, height in ((80, 24), (40, 10), (20, 5), (200, 50)):
            terminal.tmux("resize-window", "-x", str(width), "-y", str(height))
        terminal.sees("Inspector")
        terminal.sees("Memory")
        terminal.press("q")
        terminal.restored()
