"""Chooses where snapshots come from."""

from __future__ import annotations

from pathlib import Path

from proctui.errors import BadArgument
from proctui.model import Source

__all__ = ["open_source"]


def open_source(name: str = "auto") -> Source:
    """``proc`` (Linux), ``psutil`` (anywhere), or ``auto``: the first where there is a ``/proc``.

    Raises :class:`BadArgument` for another name, ``NotSupported`` for
    ``proc`` where there is none.
    """
    if name not in ("auto", "proc", "psutil"):
        raise BadArgument(f"unknown source {name[:40]!r}", "known: auto, proc, psutil")
    if name == "proc" or (name == "auto" and Path("/proc/self/stat").exists()):
        from proctui.machine.sampler import ProcSource

        return ProcSource()
    from proctui.machine.psutil_source import PsutilSource

    return PsutilSource()
