"""Parsing of ``/proc/PID/stat`` (proc_pid_stat(5)).

The name stands in parentheses and may hold spaces, parentheses and newlines
itself (``") Z 1 1 ("``), so everything counts from the *last* ``)``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = ["CLOCK_TICKS", "PAGE_SIZE", "PF_KTHREAD", "StatLine", "parse", "start_ticks"]

CLOCK_TICKS: int = os.sysconf("SC_CLK_TCK")
PAGE_SIZE: int = os.sysconf("SC_PAGE_SIZE")
PF_KTHREAD = 0x00200000
"""Flag of kernel threads (include/linux/sched.h)."""


class StatLine(NamedTuple):
    """The fields of one line: times in clock ticks, ``rss`` in pages, ``vsize`` in bytes.

    ``image`` changes with an exec: where code and stack begin (randomised;
    a constant where the kernel hides them).
    """

    name: bytes
    state: str
    ppid: int
    pgid: int
    sid: int
    tty: int
    flags: int
    utime: int
    stime: int
    threads: int
    start: int
    vsize: int
    rss: int
    image: bytes


def parse(raw: bytes) -> StatLine:
    """Parse a whole line; raises :class:`ValueError` if it is none."""
    end = raw.rindex(b")")
    # 26 splits reach startcode, endcode, startstack; the rest is never looked at.
    f = raw[end + 2 :].split(None, 26)
    try:
        return StatLine(
            raw[raw.index(b"(") + 1 : end],
            f[0].decode("ascii"),
            int(f[1]),
            int(f[2]),
            int(f[3]),
            int(f[4]),
            int(f[6]),
            int(f[11]),
            int(f[12]),
            int(f[17]),
            int(f[19]),
            int(f[20]),
            int(f[21]),
            b" ".join(f[23:26]),
        )
    except IndexError as error:
        raise ValueError("a stat line of fewer fields than proc_pid_stat(5) names") from error


def start_ticks(raw: bytes) -> int:
    """Field 22 alone: clock ticks between boot and the process's start."""
    return int(raw[raw.rindex(b")") + 2 :].split(None, 20)[19])
