"""The terminal: keys from it where stdin is a pipe, its true size, the drawing on it.

Textual reads keys from stdin and draws on stderr.  ``producer | proctui run
-- CMD`` leaves stdin to others, so the terminal itself is opened then.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import selectors
import signal
import sys
import threading
from typing import Any, ClassVar, TextIO

from textual import constants
from textual._xterm_parser import XTermParser
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


class Bell(threading.Event):
    """An event that ends a wait for descriptors too: :attr:`fileno` is readable while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fileno, self._ring = os.pipe()

    def set(self) -> None:
        super().set()
        os.write(self._ring, b"!")

    def clear(self) -> None:
        if self.is_set():
            os.read(self.fileno, 64)
        super().clear()

    def close(self) -> None:
        """Let go of the descriptors; nobody waits any more."""
        os.close(self.fileno)
        os.close(self._ring)


class Lasting:
    """The terminal's stream, which takes what is written when the terminal is gone.

    An error would end Textual's thread that writes, and the next one who
    fills its queue would wait for ever: the loop, on its way out.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            assert self._stream is not None
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            assert self._stream is not None
            self._stream.flush()


class TerminalDriver(LinuxDriver):
    """Textual's driver on the controlling terminal, whatever stdin and stderr are.

    ``guardian`` is told when the screen is ours and when it is the shell's.
    """

    guardian: ClassVar[Guardian | None] = None
    bell: Bell | None = None

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
        if not self.input_tty:
            self.fileno = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            self.input_tty = True
        if not _is_terminal(sys.__stderr__):
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            self._file = os.fdopen(terminal, "w", encoding="utf-8")
        self._file = Lasting(self._file)  # type: ignore[assignment]
        # Textual does both inside the signal's handler, where a write in progress holds the lock
        # of the queue that they write to: between two turns of the loop nobody holds it.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._sigtstp_application)
        loop.add_signal_handler(signal.SIGCONT, self._sigcont_application)

    def _get_terminal_size(self) -> tuple[int, int]:
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if size.columns and size.lines:
                return size.columns, size.lines
        return super()._get_terminal_size()

    def start_application_mode(self) -> None:
        if self.guardian is not None:
            self.guardian.screen(True)
        self._let_go_of_bell()
        self.bell = self.exit_event = Bell()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def _let_go_of_bell(self) -> None:
        """Its descriptors may be anybody's from here on: who still sets the event rings no bell."""
        if self.bell is not None:
            self.exit_event = threading.Event()
            self.bell.close()
            self.bell = None

    def _sigcont_application(self, *_: object) -> None:
        """Go on after a stop, whoever stopped us; a terminal that closes sends SIGCONT too.

        Textual enters its mode on every SIGCONT: on top of a running one, and
        while the app ends, with threads that nobody stops any more.
        """
        app = self._app
        if not self._auto_restart or app._exit or app._closing or not app._running:
            return
        if not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        self.resume_application_mode()

    def run_input_thread(self) -> None:
        """Read keys until the bell rings; without any the thread sleeps.

        Textual's own wakes ten times a second, for the sake of an Escape that
        nothing follows: here only as long as there may be one.
        """
        bell = self.bell
        assert bell is not None
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(bell.fileno, selectors.EVENT_READ)
            looks = 0
            while not bell.is_set():
                ready = selector.select(constants.ESCAPE_DELAY if looks else None)
                looks = max(0, looks - 1)
                if any(key.fd == self.fileno for key, _ in ready):
                    looks = 2  # the first may come a moment too early
                    try:
                        data = os.read(self.fileno, 4096)
                    except BlockingIOError:  # another reader of the terminal was faster
                        continue
                    except OSError:
                        data = b""
                    if not data:  # the terminal is gone, which a signal tells
                        selector.unregister(self.fileno)
                    for event in parser.feed(decode(data)) if data else ():
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def close(self) -> None:
        super().close()
        self._let_go_of_bell()
        if self.guardian is not None:
            self.guardian.screen(False)
