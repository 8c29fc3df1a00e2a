"""Killing the session's own control group at once (cgroup v2, ``cgroup.kill``, Linux 5.14).

The kernel kills every member and every child that is being forked, which no
list of pids can do.  The path stands in a file that the job itself may have
edited, so it proves nothing: the group is only killed where every member that
the last look saw is a target of the plan.  Who was born in it since comes from
a target, there is nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from proctui.awareness import cgroup
from proctui.awareness.view import View
from proctui.ident import Identity
from proctui.role import Role

__all__ = ["kill_all", "populated", "unseen"]


def populated(view: View) -> bool:
    """Whether the session has a control group of its own with anybody in it, seen or not."""
    return bool(_members(view))


def unseen(view: View) -> bool:
    """Whether somebody is in the session's control group whom this look does not show."""
    return not _members(view) <= view.snapshot.procs.keys()


def _members(view: View) -> frozenset[int]:
    session = view.session
    return frozenset() if session is None else cgroup.members(session.cgroup, session.id)


def kill_all(view: View, targets: Mapping[int, Identity]) -> set[int]:
    """Kill the session's control group if it holds targets only; the pids that it held.

    ``targets`` are the living ones of a plan for the whole job.  Returns the empty set, having done nothing, where there is no such group
    or anybody else is in it.
    """
    if view.session is None:
        return set()
    name, session = view.session.cgroup, view.session.id
    path = cgroup.directory_of(name, session)
    if path is None:
        return set()
    try:
        members = set(cgroup.members(name, session))
        if not members:
            return set()
        for pid in members:
            identity = view.identity(pid)
            if identity is None:
                continue
            if pid not in targets or not identity.same(targets[pid]):
                return set()
            if view.role(pid) is not Role.SPAWNED:
                return set()
        descriptor = os.open(f"{path}/cgroup.kill", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1")
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return set()
    return members
