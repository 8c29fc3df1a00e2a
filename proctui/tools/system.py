"""``get_system_resources``: the machine as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from proctui.errors import BadArgument
from proctui.tools.results import SystemResources

__all__ = ["METRICS", "get_system_resources"]

METRICS = ("cpu", "memory", "disk", "network")


def get_system_resources(metrics: Sequence[str] | None = None) -> SystemResources:
    """``cpu``, ``memory``, ``disk`` (with ``disk_io``) and ``network``, or those asked for."""
    if metrics is not None and not isinstance(metrics, (list, tuple)):
        raise BadArgument("metrics must be a list", f"of {', '.join(METRICS)}")
    wanted = tuple(metrics or METRICS)
    for metric in wanted:
        if metric not in METRICS:
            raise BadArgument(f"no metric {str(metric)[:40]!r}", f"there are: {', '.join(METRICS)}")
    from proctui.machine import system

    return cast(SystemResources, system.read(wanted))
