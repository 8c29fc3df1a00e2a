"""The terminal: keys from it where stdin is a pipe, its true size, the drawing on it.

Textual reads keys from stdin and draws on stderr.  ``producer | proctui run
-- CMD`` leaves stdin to others, so the terminal itself is opened then.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import ClassVar, TextIO

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from proctui.tui.guardian import Guardian

__all__ = ["TerminalDriver"]


def _is_terminal(stream: TextIO | None) -> bool:
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:
        return False


class TerminalDriver(LinuxDriver):
    """Textual's driver on the controlling terminal, whatever stdin and stderr are.

    ``guardian`` is told when the screen is ours and when it is the shell's.
    """

    guardian: ClassVar[Guardian | None] = None

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        replaced = None
        if sys.__stdin__ is None or sys.__stdin__.closed:
            replaced = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")
            sys.__stdin__ = replaced  # type: ignore[misc]
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._opened: list[int] = []
        if not self.input_tty:
            self.fileno = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            self._opened.append(self.fileno)
            self.input_tty = True
        if not _is_terminal(sys.__stderr__):
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            self._file = os.fdopen(terminal, "w", encoding="utf-8")

    def _get_terminal_size(self) -> tuple[int, int]:
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if size.columns and size.lines:
                return size.columns, size.lines
        return super()._get_terminal_size()

    def start_application_mode(self) -> None:
        if self.guardian is not None:
            self.guardian.screen(True)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        super().close()
        if self.guardian is not None:
            self.guardian.screen(False)
        for descriptor in self._opened:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._opened.clear()
