"""Programs side by side, each in a window of one private tmux server, 200×50."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_BTOP = """\
proc_tree = true
update_ms = 1000
show_uptime = true
proc_sorting = "cpu lazy"
"""


class Server:
    """A tmux server with a socket, configuration and home of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environ = {
            **{k: v for k, v in os.environ.items() if k not in ("TMUX", "PROCTUI_SESSION")},
            "XDG_CONFIG_HOME": str(place / "config"),
            "XDG_STATE_HOME": str(place / "state"),
            "XDG_DATA_HOME": str(place / "data"),
            "PROCTUI_FALLBACK": str(place / "fallback"),
            "HTOPRC": str(place / "htoprc"),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
        }
        btop = place / "config" / "btop"
        btop.mkdir(parents=True)
        (btop / "btop.conf").write_text(_BTOP)
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50", "cat")
        self._tmux("set-option", "-g", "default-terminal", "tmux-256color")
        self._tmux("set-option", "-g", "status", "off")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self.place / "tmux"), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def open(self, argv: list[str]) -> int:
        """Start a program in a window of its own; its pid."""
        line = "exec " + shlex.join(argv)
        printed = self._tmux("new-window", "-d", "-P", "-F", "#{pane_pid} #{pane_id}", line)
        pid, pane = printed.split()
        self._tmux("resize-window", "-t", pane, "-x", "200", "-y", "50")
        self.panes[int(pid)] = pane
        return int(pid)

    @property
    def panes(self) -> dict[int, str]:
        return self.__dict__.setdefault("_panes", {})

    def screen(self, pid: int) -> str:
        return self._tmux("capture-pane", "-p", "-t", self.panes[pid])

    def keys(self, pid: int, *keys: str) -> None:
        self._tmux("send-keys", "-t", self.panes[pid], *keys)

    def close(self) -> None:
        # A closed terminal ends no job: that of `run` ends when its dashboard is left.
        with contextlib.suppress(subprocess.CalledProcessError, SystemExit):
            for pid in self.panes:
                self.keys(pid, "q")
            until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in self.panes), "", 15.0)
        with contextlib.suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server that is gone, with all its windows, after the block."""
    if shutil.which("tmux") is None:
        raise SystemExit("tmux is needed: apt-get install tmux")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        opened = Server(Path(place))
        try:
            yield opened
        finally:
            opened.close()


def until(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Poll until ``condition()`` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(0.1)
