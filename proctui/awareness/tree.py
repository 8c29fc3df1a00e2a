"""The process tree, kept from tick to tick: only what moved is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proctui.model import Proc

__all__ = ["Tree", "verified_parent"]


def verified_parent(procs: Mapping[int, Proc], child: Proc) -> Proc | None:
    """The parent's row, if it can be the parent: nobody is younger than its child.

    A row may be a moment old and its parent's number given out again; the
    successor started later than the child did.
    """
    parent = procs.get(child.ppid)
    if parent is None or parent.pid == child.pid:
        return None
    theirs, ours = parent.identity.start_ticks, child.identity.start_ticks
    if theirs is not None and ours is not None and theirs > ours:
        return None
    return parent


class Tree:
    """Kernel parents, and the children map as it is shown.

    ``children`` is replaced, never changed, so a view that holds it stays as
    it was.  A process in ``moved`` stands under another parent than the
    kernel's.
    """

    def __init__(self) -> None:
        self.ppids: dict[int, int] = {}
        self.children: dict[int, tuple[int, ...]] = {}
        self.moved: dict[int, int] = {}
        self._kids: dict[int, set[int]] = {}
        self._dirty: set[int] = set()

    def kernel_children(self, pid: int) -> Iterable[int]:
        """The children the kernel knows, in no order."""
        return self._kids.get(pid, ())

    def update(
        self, procs: Mapping[int, Proc], touched: Iterable[int], gone: Iterable[int]
    ) -> bool:
        """Take up rows whose parent may have changed; True if any did."""
        dirty = self._dirty
        before = len(dirty)
        for pid in gone:
            if pid not in procs:
                old = self.ppids.pop(pid, None)
                if old is not None:
                    self._unlink(old, pid)
                    dirty.add(old)
        for pid in touched:
            proc = procs.get(pid)
            if proc is None:
                continue
            old = self.ppids.get(pid)
            if old == proc.ppid:
                continue
            if old is not None:
                self._unlink(old, pid)
                dirty.add(old)
            self.ppids[pid] = proc.ppid
            if proc.ppid != pid:
                self._kids.setdefault(proc.ppid, set()).add(pid)
                dirty.add(proc.ppid)
        return len(dirty) != before

    def _unlink(self, parent: int, pid: int) -> None:
        kids = self._kids.get(parent)
        if kids is not None:
            kids.discard(pid)
            if not kids:
                del self._kids[parent]

    def place(self, moved: Mapping[int, int]) -> None:
        """Show these under other parents, and bring ``children`` up to date."""
        if moved != self.moved:
            for pid in moved.keys() | self.moved.keys():
                old, new = self.moved.get(pid), moved.get(pid)
                if old != new:
                    self._dirty.update(
                        at for at in (old, new, self.ppids.get(pid)) if at is not None
                    )
            self.moved = dict(moved)
        if not self._dirty:
            return
        guests: dict[int, list[int]] = {}
        for pid, parent in self.moved.items():
            if parent in self._dirty and pid in self.ppids:
                guests.setdefault(parent, []).append(pid)
        children = self.children.copy()
        for parent in self._dirty:
            kids = [
                kid for kid in self._kids.get(parent, ()) if self.moved.get(kid, parent) == parent
            ]
            kids += guests.get(parent, ())
            if kids:
                children[parent] = tuple(sorted(kids))
            else:
                children.pop(parent, None)
        self.children = children
        self._dirty.clear()

    def below(self, pid: int) -> set[int]:
        """Everything below ``pid`` in the kernel's tree, itself excluded, cycle-proof."""
        found: set[int] = set()
        stack = [pid]
        while stack:
            for kid in self._kids.get(stack.pop(), ()):
                if kid not in found and kid != pid:
                    found.add(kid)
                    stack.append(kid)
        return found
