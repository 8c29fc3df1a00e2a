"""One look at one process and whom its role hangs on, whatever else the machine runs."""

from __future__ import annotations

import os

from proctui.machine import kin
from proctui.machine.entries import Entry
from proctui.machine.sampler import ProcSource

__all__ = ["NarrowSource"]


class NarrowSource(ProcSource):
    """A source that shows ``pid``, what is below it, ourselves, the job asked for, and the
    ancestors of all of these, but nobody else; for whoever looks once.

    ``tree``: everything below ``pid``, else its children alone.  A role is
    decided by the rows of a process and of its ancestors, by what the
    session knows, and by the controllers and theirs: with the controllers
    among the job every role in such a look is the one a full look gives.
    """

    def __init__(self, pid: int, *, tree: bool = False) -> None:
        super().__init__(descriptor_budget=0, probe=False)
        self._pid = pid
        self._tree = tree

    def _list(self, born: list[int]) -> list[Entry]:
        pid = self._pid
        below = kin.below(kin.parents(), pid) if self._tree else kin.children(pid)
        queue = [pid, os.getpid(), *below, *self._job]
        for one in queue:
            if one > 0 and one not in self._entries and self._meet(one, born):
                queue.append(self._rows[one].ppid)
        born.sort()
        return []
