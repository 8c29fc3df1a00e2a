"""Removing what is stale: nobody needs it any more, and it must not fill the disk.

Done now and then by whoever ends or begins a session, never while a job waits for its start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

from proctui import paths
from proctui.awareness import cgroup, files, registry
from proctui.awareness.session import Session
from proctui.machine import identity as kernel

__all__ = ["sweep", "sweep_if_due"]

_KEEP_SECONDS = 14 * 86400
_KEEP_COUNT = 100
_KEEP_BYTES = 2 << 30
"""Of all ended sessions together; their captured output is nearly all of it."""
_PERIOD = 3600.0
_STAMP = ".swept"
_UNBORN_SECONDS = 86400


def sweep_if_due() -> list[str]:
    """:func:`sweep`, unless it was done within the hour."""
    due = False
    for state in paths.state_candidates():
        with contextlib.suppress(files.FileProblem, OSError), files.open_directory(state) as folder:
            with contextlib.suppress(FileNotFoundError):
                last = os.stat(_STAMP, dir_fd=folder, follow_symlinks=False).st_mtime
                if 0 <= time.time() - last < _PERIOD:
                    continue
            files.write_atomic(folder, _STAMP, b"", sync=False)
            due = True
    return sweep() if due else []


def sweep() -> list[str]:
    """Remove what is stale and return the ids removed.

    Ended sessions that carry a job's output or an audit line stay for two
    weeks, the last hundred of them, up to 2 GB; others go at once.  What
    can't be believed is left for a person to look at.
    """
    removed: list[str] = []
    kept, size = 0, 0
    for session in registry.scan().sessions:
        if session.state != "ended" or session.owner_alive:
            continue
        if session.directory is None or _steered(session):
            continue
        at = session.ended.wall if session.ended else session.created.wall
        if session.foreign:
            # Nobody holds it now, but who might take it up can't be seen from here.
            if time.time() - at < _KEEP_SECONDS:
                continue
        elif session.cgroup is not None and session.boot_id == kernel.boot_id():
            cgroup.remove(session.cgroup)
        if _worth_keeping(session) and time.time() - at < _KEEP_SECONDS:
            kept += 1
            size += _disk_usage(session.directory)
            if kept <= _KEEP_COUNT and size <= _KEEP_BYTES:
                continue
        with (
            contextlib.suppress(files.FileProblem, OSError),
            registry.open_root(session.directory.parent) as root,
        ):
            shutil.rmtree(session.id, dir_fd=root)
            removed.append(session.id)
    for root_path in registry.session_roots():
        _remove_unborn(root_path)
    return removed


def _remove_unborn(root: Path) -> None:
    """Directories whose makers were killed before they had given them a name."""
    with contextlib.suppress(files.FileProblem, OSError), registry.open_root(root) as folder:
        for name in os.listdir(folder):
            if name.startswith(".new-"):
                made = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                if time.time() - made > _UNBORN_SECONDS:
                    shutil.rmtree(name, dir_fd=folder)


def _steered(session: Session) -> bool:
    """Whether one of those that steered it lives, though its owner does not."""
    return session.boot_id == kernel.boot_id() and any(
        kernel.alive(one.identity) for one in session.controllers
    )


def _worth_keeping(session: Session) -> bool:
    if session.kind in ("run", "demo", "mcp"):
        return True
    assert session.directory is not None
    try:
        return (session.directory / "audit.jsonl").stat().st_size > 0
    except OSError as error:
        return error.errno != errno.ENOENT


def _disk_usage(directory: Path) -> int:
    """Bytes that its files take, holes not counted (stat(2), ``st_blocks``)."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size
