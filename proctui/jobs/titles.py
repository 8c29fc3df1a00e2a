"""Another name for a process of ours, so that nobody who looks for the job's words finds it.

After a fork the front, the keeper and the runner share the arguments of the
command line, and those hold the job's: ``pkill -f train.py`` would take all
of them along.  The kernel reads ``/proc/PID/cmdline`` from the memory between
``arg_start`` and ``arg_end`` (proc_pid_stat(5), fields 48 and 49); writing
there is what setproctitle(3) does.
"""

from __future__ import annotations

import ctypes
import os

from proctui.jobs.libc import LIBC

__all__ = ["rename"]

_PR_SET_NAME = 15


def rename(name: str, title: str) -> None:
    """Set the process's comm (15 bytes) and overwrite its argv with ``title``.

    Where the argument area can't be found or written (no ``/proc``), only the
    name changes, or nothing at all: a courtesy, no promise.
    """
    try:
        LIBC.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)
        start, end = _argument_area()
    except (OSError, ValueError, IndexError, AttributeError):
        return
    room = end - start
    if room < 4:
        return
    # A last byte that is not NUL tells the kernel (get_mm_cmdline) that the area was
    # overwritten, so that it shows the text up to its first NUL and no empty arguments.
    text = title.encode()[: room - 2]
    ctypes.memmove(start, text.ljust(room - 1, b"\0") + b"\x01", room)


def _argument_area() -> tuple[int, int]:
    with open(f"/proc/{os.getpid()}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    if not 0 < start < end < start + (1 << 24):
        raise ValueError("the argument area is hidden")
    return start, end
