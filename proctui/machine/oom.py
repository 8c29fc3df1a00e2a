"""How often the kernel killed for want of memory."""

from __future__ import annotations

__all__ = ["kills"]


def kills() -> int | None:
    """The OOM killer's victims since boot on the whole machine, those of memory cgroups too.

    The line ``oom_kill`` of ``/proc/vmstat`` (Linux ≥ 4.13); ``None`` where there is none.
    """
    try:
        with open("/proc/vmstat", "rb") as file:
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line[9:])
    except (OSError, ValueError):
        return None
    return None
