"""The thread that reads keys: what it makes of them, and that it sleeps without any."""

from __future__ import annotations

import os
import pty
import selectors
import threading
import tty
from collections.abc import Iterator
from typing import Any

import pytest
from textual import events
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from proctui.tui.driver import Bell, Lasting, TerminalDriver
from tests.support import wait_for


class Reader(TerminalDriver):
    """The reading part alone, on a pseudo-terminal."""

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        self.bell = Bell()
        self._debug = False
        self.seen: list[Any] = []

    def process_message(self, message: Any) -> None:
        self.seen.append(message)

    def keys(self) -> list[str]:
        return [one.key for one in self.seen if isinstance(one, events.Key)]


@pytest.fixture
def ends() -> Iterator[tuple[int, Reader]]:
    terminal, inner = pty.openpty()
    tty.setraw(inner)
    reader = Reader(inner)
    thread = threading.Thread(target=reader.run_input_thread, daemon=True)
    thread.start()
    yield terminal, reader
    reader.bell.set()
    thread.join(30)
    assert not thread.is_alive()
    reader.bell.close()
    os.close(terminal)
    os.close(inner)


def test_keys_arrow_keys_and_text_in_pieces(ends: tuple[int, Reader]) -> None:
    terminal, reader = ends
    os.write(terminal, b"j\x1b[A")
    euro = "€".encode()
    os.write(terminal, euro[:1])
    os.write(terminal, euro[1:])
    os.write(terminal, b"\xffx")
    wait_for(lambda: reader.keys()[-1:] == ["x"], what="the last key")
    assert reader.keys()[:2] == ["j", "up"]
    assert [one.character for one in reader.seen][2:] == ["€", "�", "x"]


def test_an_escape_that_nothing_follows_is_one(ends: tuple[int, Reader]) -> None:
    terminal, reader = ends
    for count in (1, 2):
        os.write(terminal, b"\x1b")
        wait_for(lambda count=count: reader.keys() == ["escape"] * count, what="escape")


def test_without_keys_it_sleeps(ends: tuple[int, Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, reader = ends
    waits: list[float | None] = []
    real = selectors.SelectSelector.select

    def counted(self: Any, timeout: float | None = None) -> Any:
        waits.append(timeout)
        return real(self, timeout)

    monkeypatch.setattr(selectors.SelectSelector, "select", counted)
    os.write(terminal, b"k")
    wait_for(lambda: waits[-1:] == [None], what="a wait without an end")
    assert reader.keys() == ["k"]
    assert len(waits) == 3 and None not in waits[:-1]


def test_a_terminal_that_is_gone_ends_the_reading_without_an_error() -> None:
    terminal, inner = pty.openpty()
    reader = Reader(inner)
    thread = threading.Thread(target=reader.run_input_thread, daemon=True)
    thread.start()
    os.close(terminal)
    reader.bell.set()
    thread.join(30)
    assert not thread.is_alive() and not reader.seen
    os.close(inner)


def test_a_bell_is_readable_while_it_is_set() -> None:
    bell = Bell()
    with selectors.SelectSelector() as selector:
        selector.register(bell.fileno, selectors.EVENT_READ)
        assert not selector.select(0)
        bell.set()
        bell.set()
        assert selector.select(0) and bell.is_set()
        bell.clear()
        bell.clear()
        assert not selector.select(0) and not bell.is_set()
    bell.close()


def test_another_reader_that_was_faster_takes_no_keyboard_away(
    ends: tuple[int, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, reader = ends
    os.set_blocking(reader.fileno, False)
    real, failed = os.read, threading.Event()

    def read(fd: int, size: int) -> bytes:
        if fd == reader.fileno and not failed.is_set():
            failed.set()
            raise BlockingIOError
        return real(fd, size)

    monkeypatch.setattr(os, "read", read)
    os.write(terminal, b"j")
    wait_for(lambda: reader.keys() == ["j"], what="the key")
    assert failed.is_set()


def test_a_bell_that_is_gone_writes_into_nobody_elses_file() -> None:
    reader = Reader(-1)
    reader.exit_event = reader.bell
    reader._let_go_of_bell()
    others = [os.memfd_create(f"other-{at}") for at in range(6)]
    reader.exit_event.set()
    assert [os.fstat(fd).st_size for fd in others] == [0] * 6
    assert reader.bell is None and reader.exit_event.is_set()
    for fd in others:
        os.close(fd)


def test_who_writes_to_a_terminal_that_is_gone_is_not_stopped() -> None:
    terminal, inner = pty.openpty()
    stream = Lasting(os.fdopen(inner, "w", encoding="utf-8"))
    writer = WriterThread(stream)  # type: ignore[arg-type]
    writer.start()
    writer.write("seen")
    assert os.read(terminal, 64) == b"seen"
    os.close(terminal)
    for _ in range(3 * MAX_QUEUED_WRITES):
        writer.write("x" * 5000)
    writer.stop()
    assert not writer.is_alive() and stream.fileno() == inner
