"""The slow facts of a process: command line, executable, user, container.

Read by pid, so the caller proves before and after that the pid is still the
process he means.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
from collections.abc import Callable, Iterator

from proctui import redact, text
from proctui.machine.containers import find_container
from proctui.model import Identity, Proc, ProcInfo

__all__ = ["command_lines", "parse_cmdline", "read_bytes", "read_info", "read_link", "user_name"]

_LARGEST = 256 * 1024
_REMEMBERED = 4096
"""Bytes up to which a command line is remembered: the workers of a job are all called alike."""
_users: dict[int, str] = {}


_USUAL = 4096
"""Bytes that hold nearly every command line."""


def read_bytes(path: str, limit: int = _LARGEST) -> bytes | None:
    """A file's first ``limit`` bytes, ``None`` where it is gone or denied."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        chunks: list[bytes] = []
        left = limit
        while left > 0:
            chunk = os.read(fd, min(left, 65536))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    except OSError:
        return None
    finally:
        os.close(fd)


@contextlib.contextmanager
def command_lines() -> Iterator[Callable[[Proc], tuple[str, ...] | None]]:
    """What reads one command line after the other, each in as few calls as there can be.

    By pid alone: whether it is that process's still, nobody has looked.
    """
    open_, read, close, flags = os.open, os.read, os.close, os.O_RDONLY | os.O_CLOEXEC
    folder = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def words_of(proc: Proc) -> tuple[str, ...] | None:
        try:
            fd = open_(f"{proc.pid}/cmdline", flags, dir_fd=folder)
        except OSError:
            return None
        try:
            raw: bytes | None = read(fd, _USUAL)
        except OSError:
            return None
        finally:
            close(fd)
        # Less than was asked for is all there is: get_mm_cmdline() goes on until it has the
        # whole (fs/proc/base.c).
        if raw is not None and len(raw) == _USUAL:
            raw = read_bytes(f"/proc/{proc.pid}/cmdline")
        return None if raw is None else parse_cmdline(raw)

    try:
        yield words_of
    finally:
        os.close(folder)


def read_link(path: str) -> str | None:
    """Where a link of ``/proc`` points, made harmless; ``None`` where gone or denied."""
    try:
        return text.decode(os.fsencode(os.readlink(path)))
    except OSError:
        return None


def parse_cmdline(raw: bytes) -> tuple[str, ...]:
    """Arguments of ``/proc/PID/cmdline`` (proc_pid_cmdline(5)), harmless and without secrets.

    A program that writes its own title leaves one string padded with NULs.
    """
    raw = raw.rstrip(b"\0")
    if not raw:
        return ()
    return _parsed(raw) if len(raw) <= _REMEMBERED else _parse(raw)


def _parse(raw: bytes) -> tuple[str, ...]:
    return redact.redact_argv([text.decode(argument) for argument in raw.split(b"\0")])


_parsed = functools.lru_cache(maxsize=1024)(_parse)


def user_name(uid: int | None) -> str | None:
    """The account's name, the number as text where it has none."""
    if uid is None:
        return None
    name = _users.get(uid)
    if name is None:
        try:
            name = text.sanitize(pwd.getpwuid(uid).pw_name)
        except KeyError:
            name = str(uid)
        _users[uid] = name
    return name


def read_info(root: str, identity: Identity, uid: int | None, cmdline: bytes | None) -> ProcInfo:
    """Put the facts together; ``cmdline`` is the raw file, ``None`` if it could not be read."""
    cgroup = read_bytes(f"{root}/{identity.pid}/cgroup", 16384)
    container = (
        find_container(text.sanitize_lines(cgroup.decode("utf-8", "replace"))) if cgroup else None
    )
    return ProcInfo(
        identity=identity,
        cmdline=None if cmdline is None else parse_cmdline(cmdline),
        exe=read_link(f"{root}/{identity.pid}/exe"),
        user=user_name(uid),
        container=None if container is None else str(container),
    )
