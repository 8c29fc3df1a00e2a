"""One process's directory in ``/proc``, held open while it is read.

Every file is opened relative to the held directory: once the process is dead
they answer ESRCH, so figures of two processes that had the same pid in turn
can't get mixed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from proctui import text
from proctui.errors import AccessDenied, Changed, NoSuchProcess, NotSupported, check_pid
from proctui.machine import identity as identities
from proctui.machine import stat
from proctui.model import Identity

__all__ = ["ProcDir", "open_process"]

T = TypeVar("T")
_LARGEST = 1 << 20
_GONE = (errno.ESRCH, errno.ENOENT)
_OF_THE_WHOLE = frozenset({"stat", "io", "task"})
"""What a thread's directory has for that thread alone, or not at all."""


class ProcDir:
    """Reads files of one process; what fails is ``None`` and noted in :attr:`denied`.

    ``denied`` holds the names the *caller* gives to figures, not file names.
    ``fd`` is the directory to read from.  It is that of ``thread``, a living
    one, where the main thread has ended: its memory and files look empty.
    """

    def __init__(self, fd: int, identity: Identity) -> None:
        self.fd = fd
        self._process = fd
        self.thread: int | None = None
        self.identity = identity
        self.pid = identity.pid
        self.denied: list[str] = []
        self.warnings: list[str] = []

    @property
    def path(self) -> str:
        """A path that names this very process, for calls that take no ``dir_fd``."""
        return f"/proc/self/fd/{self.fd}"

    def raw(self, name: str, limit: int = _LARGEST) -> bytes:
        """A file's bytes; raises what ``open`` and ``read`` raise."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder(name))
        try:
            chunks: list[bytes] = []
            while limit > 0 and (chunk := os.read(fd, min(limit, 65536))):
                chunks.append(chunk)
                limit -= len(chunk)
            return b"".join(chunks)
        finally:
            os.close(fd)

    def read(self, name: str, *, figure: str | None = None, limit: int = _LARGEST) -> bytes | None:
        """A file's bytes, or ``None``; a failure is noted under ``figure``."""
        return self.attempt(lambda: self.raw(name, limit), figure)

    def link(self, name: str, *, figure: str | None = None) -> str | None:
        """Where a link points, made harmless."""
        target = self.attempt(lambda: os.readlink(name, dir_fd=self.fd), figure)
        return None if target is None else text.decode(os.fsencode(target))

    def names(self, name: str, *, figure: str | None = None) -> list[str] | None:
        """The names in a directory below."""

        def listing() -> list[str]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            fd = os.open(name, flags, dir_fd=self._folder(name))
            try:
                return os.listdir(fd)
            finally:
                os.close(fd)

        found = self.attempt(listing, figure)
        if found is not None and name == "fd" and self.pid == os.getpid():
            # What was opened only to look is not his: this directory, and what is closed again.
            found = [one for one in found if one != str(self.fd) and self.link(f"fd/{one}")]
        return found

    def _folder(self, name: str) -> int:
        return self._process if name.partition("/")[0] in _OF_THE_WHOLE else self.fd

    def attempt(self, ask: Callable[[], T], figure: str | None) -> T | None:
        """``ask()``, or ``None`` and a note; raises :class:`NoSuchProcess` on its death."""
        try:
            return ask()
        except ProcessLookupError as error:
            if not self.exists():
                raise NoSuchProcess(f"process {self.pid} ended while it was looked at") from error
        except OSError:
            pass  # denied, or this kernel has no such file: either way it is noted below
        if figure is not None:
            self.deny(figure)
        return None

    def deny(self, figure: str) -> None:
        """Note that a figure could not be read."""
        if figure not in self.denied:
            self.denied.append(figure)

    def move_to_a_living_thread(self) -> None:
        """Read from a thread that goes on after the main one."""
        for name in self.names("task") or ():
            try:
                if stat.parse(self.raw(f"task/{name}/stat", 1024)).state not in "ZX":
                    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
                    self.fd = os.open(f"task/{name}", flags, dir_fd=self._process)
                    self.thread = int(name)
                    return
            except OSError:
                continue  # it ended meanwhile

    def close(self) -> None:
        for fd in {self.fd, self._process}:
            os.close(fd)

    def exists(self) -> bool:
        """Whether the process (a zombie too) is still there."""
        try:
            return bool(self.raw("stat", 1024))
        except OSError:
            return False

    def stat(self) -> bytes:
        """The raw stat line; raises :class:`NoSuchProcess`."""
        try:
            return self.raw("stat", 1024)
        except OSError as error:
            if error.errno in _GONE:
                raise NoSuchProcess(f"no process {self.pid}") from error
            raise AccessDenied(
                f"process {self.pid} is hidden from us", "/proc is mounted with hidepid"
            ) from error


@contextlib.contextmanager
def open_process(process: int | Identity) -> Iterator[ProcDir]:
    """Hold a process's directory for a ``with`` block.

    Raises :class:`NoSuchProcess` (a thread's id too), :class:`AccessDenied`
    where ``/proc`` hides it, :class:`Changed` where an identity was given and
    the pid now belongs to another process.
    """
    pid = process.pid if isinstance(process, Identity) else check_pid(process)
    try:
        fd = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError) as error:
        identities.identify(pid)
        raise AccessDenied(
            f"process {pid} is hidden from us", "/proc is mounted with hidepid"
        ) from error
    except OSError as error:
        raise NotSupported(f"process {pid} can't be looked at: {error.strerror}") from error
    try:
        # Taken after the directory was opened and before its stat is read: whoever answers
        # that read had the pid all the while.
        who = identities.identify(pid)
    except BaseException:
        os.close(fd)
        raise
    held = ProcDir(fd, who)
    try:
        line = stat.parse(held.stat())
        if isinstance(process, Identity) and not who.same(process):
            raise Changed(f"pid {pid} belongs to another process now ({who}, not {process})")
        if line.state in "ZX" and line.threads > 1:
            held.move_to_a_living_thread()
        yield held
    finally:
        held.close()
