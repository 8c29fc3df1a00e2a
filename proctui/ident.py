"""``Identity``: which process, for good.

By itself, so that a command which needs nothing else of :mod:`proctui.model`
starts at once: dataclasses take longer to import than a stack to read.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from proctui.records import NamedTuple

__all__ = ["Identity"]


class Identity(NamedTuple):
    """Which process, for good.

    ``inode`` is the pidfs inode (Linux ≥ 6.9), unique for one boot; where the
    kernel has none, the start time in clock ticks since boot stands in (two
    processes *can* share pid and ticks: measured in 181 of 200 forced
    reuses).  ``start_ticks`` is always recorded, it only decides where no
    inode is known.  Compare with :meth:`same`; never by pid.
    """

    boot_id: str
    pid: int
    inode: int | None
    pidns: int | None
    start_ticks: int | None

    def __str__(self) -> str:
        return (
            f"{self.pid}:{self.inode}"
            if self.inode is not None
            else f"{self.pid}@{self.start_ticks}"
        )

    @property
    def key(self) -> tuple[str, int, str, int | None]:
        """What decides sameness, hashable: use it as a dict key."""
        boot_id, pid, inode, pidns, start_ticks = self
        if inode is not None:
            return (boot_id, pid, "inode", inode)
        return (boot_id, pid, f"ticks in {pidns}", start_ticks)

    def same(self, other: Identity) -> bool:
        """Whether both are one process; unknown start times are the same as nothing."""
        if self.pid != other.pid or (self.inode is None and self.start_ticks is None):
            return False
        return self.key == other.key
