"""Whose code a frame is: the program's, an installed package's or Python's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Frame = Mapping[str, "Any"]

__all__ = ["innermost_user", "is_library", "module_of", "owner_of", "short_file"]

PROGRAM, PACKAGE, STANDARD = "program", "package", "standard"
_SITES = ("/site-packages/", "/dist-packages/")
_STARTER_LINES = 12
_LIBRARIES = ("/lib/python", "/lib64/python", "/lib/pypy")


@functools.lru_cache(maxsize=4096)
def module_of(path: str) -> tuple[str, str]:
    """The origin of a file and its path there: ``("standard", "queue.py")``.

    A package's path begins with its name, a program's is left as it is.
    """
    for mark in _SITES:
        _, found, inner = path.rpartition(mark)
        if found:
            return PACKAGE, inner
    if path.startswith("<frozen "):
        return STANDARD, path
    for mark in _LIBRARIES:
        _, found, rest = path.partition(mark)
        version, slash, inner = rest.partition("/")
        if found and slash and "." in version and version.rstrip("t").replace(".", "").isdigit():
            return STANDARD, inner
    before, found, inner = path.partition(".zip/")
    if found:
        name = before.rpartition("/")[2]
        return (STANDARD if name.rstrip("0123456789") == "python" else PACKAGE), inner
    # A Python that runs in the tree it was built in.
    _, found, inner = path.partition("/Lib/")
    return (STANDARD, inner) if found else (PROGRAM, path)


def owner_of(frame: Frame) -> str:
    """Whose a frame is: ``""`` for the program, a package by its name, ``standard``, ``native``."""
    if frame.get("kind") != "python":
        return str(frame.get("kind"))
    origin, inner = module_of(frame.get("file") or "")
    if origin == PACKAGE:
        return inner.partition("/")[0]
    return "" if origin == PROGRAM else origin


def is_library(frame: Frame) -> bool:
    """Whether a frame belongs to the standard library, an installed package or native code."""
    return owner_of(frame) != ""


def is_plumbing(frame: Frame) -> bool:
    """Whether waits are made there: beyond it somebody has a use for what is waited for."""
    origin, inner = module_of(frame.get("file") or "")
    return origin != PROGRAM and (inner in _PLUMBING or inner.startswith(_PLUMBING_FOLDERS))


_PLUMBING = frozenset(
    {
        "threading.py", "queue.py", "selectors.py", "socket.py", "socketserver.py",
        "subprocess.py", "ssl.py",
    }
)  # fmt: skip
_PLUMBING_FOLDERS = (
    "multiprocessing/", "concurrent/futures/", "asyncio/", "execnet/", "xdist/", "<frozen importlib",
)  # fmt: skip


def innermost_user(frames: Sequence[Frame]) -> Frame | None:
    """Where a person looks first: the innermost frame of the program's own code.

    A program may itself be installed as a package: where no frame is outside
    of packages, but for the few lines that pip makes to start it, it is the
    innermost one of a package.  ``None`` where all belong to Python.
    """
    package = starter = None
    for frame in frames:
        if not owner_of(frame):
            if not _is_starter(frame):
                return frame
            starter = frame
        elif package is None and module_of(frame.get("file") or "")[0] == PACKAGE:
            package = frame
    return package or starter


def _is_starter(frame: Frame) -> bool:
    """Whether it is the last line of a script below ``bin`` that calls an entry point."""
    folder, _, name = (frame.get("file") or "").rpartition("/")
    short = (frame.get("line") or 0) <= _STARTER_LINES
    return short and frame["function"] == "<module>" and folder.endswith("/bin") and "." not in name


def short_file(path: str | None) -> str:
    """The last two parts at most: ``pkg/mod.py``; the whole below site-packages and in Python."""
    if not path:
        return "?"
    origin, inner = module_of(path)
    return inner if origin != PROGRAM else "/".join(path.rsplit("/", 2)[-2:]).lstrip("/")
