"""Who puts the terminal right when the dashboard is killed and can't do it itself.

A shell of 0.2 MB in a session of its own: it sleeps on a pipe from the
dashboard, reads there who has the screen, and acts where the pipe ends while
that is still the dashboard.  A shell's line editor that was faster has set the modes it needs,
signals by keys among them, so those are left alone.  It is another program than we are, so that
whoever kills every proctui by name leaves it alive.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import termios

from proctui.awareness.protect import add_helper

__all__ = ["Guardian"]

_RESET = (
    r"\033[<u"  # the keyboard protocol as it was: each of the two screens has its own
    r"\033[?1049l"  # back from the alternate screen
    r"\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1015l\033[?1016l"  # no mouse reports
    r"\033[?2004l\033[?1004l"  # no bracketed paste, no focus reports
    r"\033[?2026l\033[?2048l"  # no synchronized output, no in-band resize reports
    r"\033[?7h\033[?25h\033[0m\r\n"  # wrapping, cursor, plain colours
)
_SCRIPT = f"""
while read -r word; do screen=$word; done
[ "$screen" = taken ] || exit 0
exec 0<&1
case $(stty -a) in *-isig*) stty "$@" ;; esac
printf '{_RESET}'
"""
_INPUT = {"icrnl": termios.ICRNL, "inlcr": termios.INLCR, "igncr": termios.IGNCR,
          "ixon": termios.IXON, "ixoff": termios.IXOFF}  # fmt: skip
_LOCAL = {"echo": termios.ECHO, "icanon": termios.ICANON, "isig": termios.ISIG,
          "iexten": termios.IEXTEN}  # fmt: skip


class Guardian:
    """Stands by from its making until :meth:`dismiss`; where there is no shell, nobody does."""

    def __init__(self, terminal: int) -> None:
        """``terminal`` is the descriptor that the dashboard draws on, as it is before that."""
        self._shell: subprocess.Popen[bytes] | None = None
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "terminal-guardian", *_settings(terminal)],
                stdin=subprocess.PIPE,
                stdout=terminal,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        except (OSError, termios.error):
            return
        add_helper(self._shell.pid)

    @property
    def pid(self) -> int | None:
        return None if self._shell is None else self._shell.pid

    def screen(self, taken: bool) -> None:
        """Say whether the terminal is in the dashboard's hands from now on."""
        if self._shell is not None and self._shell.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._shell.stdin.write(b"taken\n" if taken else b"left\n")

    def dismiss(self) -> None:
        """Let it go and wait until it is gone: it holds the terminal as long as it lives."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._shell.wait(1)


def _settings(terminal: int) -> list[str]:
    """The words of stty(1) for what a dashboard changes: ``echo``, ``-ixoff``, …"""
    found = termios.tcgetattr(terminal)
    flags = [(name, found[0] & bit) for name, bit in _INPUT.items()]
    flags += [(name, found[3] & bit) for name, bit in _LOCAL.items()]
    return [name if is_on else f"-{name}" for name, is_on in flags]
