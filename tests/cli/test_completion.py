"""The completion scripts, in the shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from proctui.cli import completion
from proctui.tools.declarations import CALLABLE
from tests.contract.outside import proctui

SHELLS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_known(shell: str) -> None:
    script = proctui("completion", shell, status=0).stdout
    for command, parser in completion._commands().items():
        assert command in script
        for option in completion._options(parser):
            assert option.name.lstrip("-") in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def words(script: str, *line: str) -> list[str]:
    """What bash offers for the last word of the line."""
    call = f"COMP_WORDS=({' '.join(map(repr, line))}); COMP_CWORD={len(line) - 1}; _proctui"
    code = f"{script}\n{call}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash() -> None:
    script = proctui("completion", "bash", status=0).stdout
    assert words(script, "proctui", "ins") == ["inspect"]
    assert words(script, "proctui", "--v") == ["--version"]
    assert words(script, "proctui", "run", "--stra") == ["--strays"]
    assert words(script, "proctui", "run", "--strays", "e") == ["end"]
    assert "sh" in words(script, "proctui", "run", "--", "s")
    assert words(script, "proctui", "call", "") == [tool.name for tool in CALLABLE]
    assert words(script, "proctui", "system", "mem") == ["memory"]
    # A file's name is left to the shell's own completion.
    assert words(script, "proctui", "replay", "") == []
    assert words(script, "proctui", "record", "-o", "") == []
    assert words(script, "proctui", "record", "--output", "") == []
    if shutil.which("ps"):
        assert str(os.getpid()) in words(script, "proctui", "inspect", str(os.getpid()))


class Shell:
    """An interactive shell at a terminal of its own."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "dumb", "COLUMNS": "120", **environ})
            os.execvp(argv[0], argv)
        self.seen = ""

    def shows(self, text: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 0.2)[0]:
                chunk = os.read(self.fd, 65536).decode("utf-8", "replace")
                self.seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]", "", chunk)

    def completes(self, line: str, whole: str) -> None:
        """Type the line and Tab, see the whole, and take it back."""
        self.seen = ""
        os.write(self.fd, f"{line}\t".encode())
        self.shows(whole)
        os.write(self.fd, b"\x15")

    def close(self) -> None:
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)  # our child, not reaped yet
        os.waitpid(self.pid, 0)


CASES = [
    ("proctui insp", "proctui inspect "),
    ("proctui run --stra", "proctui run --strays "),
    ("proctui run --strays rep", "proctui run --strays report "),
    ("proctui call show_p", "proctui call show_process_tree "),
    ("proctui help guar", "proctui help guarantees "),
    ("proctui replay known.r", "proctui replay known.rec "),
    ("proctui record --output known.r", "proctui record --output known.rec "),
]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize("how", ["loaded by name", "sourced"])
def test_zsh(how: str, tmp_path: Path) -> None:
    (tmp_path / "_proctui").write_text(proctui("completion", "zsh", status=0).stdout)
    load = "source ./_proctui" if how == "sourced" else "true"
    path = "" if how == "sourced" else f"fpath=({tmp_path} $fpath)\n"
    (tmp_path / ".zshrc").write_text(
        f"{path}autoload -Uz compinit; compinit -u -D\n"
        f"cd {tmp_path}; {load}; PS1='here> '; unsetopt beep\n"
    )
    (tmp_path / "known.rec").touch()
    shell = Shell(["zsh", "-i"], {"ZDOTDIR": str(tmp_path)})
    try:
        shell.shows("here> ")
        for line, whole in CASES:
            shell.completes(line, whole)
    finally:
        shell.close()


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish(tmp_path: Path) -> None:
    script = tmp_path / "proctui.fish"
    script.write_text(proctui("completion", "fish", status=0).stdout)
    (tmp_path / "known.rec").touch()
    for line, whole in CASES:
        code = f"source {script}; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout.split("\n")[0].split("\t")[0] == whole.split()[-1]
    done = subprocess.run(
        ["fish", "-c", f"source {script}; complete -C 'proctui completion '"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["bash", "fish", "zsh"], "no file among the shells"
