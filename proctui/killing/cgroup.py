"""Killing the session's own control group at once (cgroup v2, ``cgroup.kill``, Linux 5.14).

The kernel kills every member and every child that is being forked, which no
list of pids can do.  The path stands in a file that the job itself may have
edited, so it proves nothing: the group is only killed where every member that
it has now is a target of the plan.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from proctui.awareness.view import View
from proctui.model import Identity, Role

__all__ = ["kill_all"]


def kill_all(view: View, targets: Mapping[int, Identity]) -> set[int]:
    """Kill the session's control group if it holds targets only; the pids that it held.

    Returns the empty set, having done nothing, where there is no such group
    or anybody else is in it.
    """
    path = None if view.session is None else _directory(view.session.cgroup)
    if path is None:
        return set()
    try:
        members = _members(path)
        if not members or not members <= set(targets):
            return set()
        for pid in members:
            identity = view.identity(pid)
            if identity is None or not identity.same(targets[pid]):
                return set()
            if view.role(pid) is not Role.SPAWNED:
                return set()
        descriptor = os.open(path / "cgroup.kill", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1")
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return set()
    return members


def _directory(name: str | None) -> Path | None:
    """The directory of a group named as in ``/proc/PID/cgroup`` (cgroups(7)), or by its path."""
    if not name or not name.startswith("/") or ".." in name.split("/"):
        return None
    mount = _mount()
    if mount is None:
        return None
    path = Path(name) if Path(name).is_relative_to(mount) else mount / name.lstrip("/")
    return None if path == mount else path


def _mount() -> Path | None:
    """Where cgroup v2 is mounted, beside version 1 or alone (proc_pid_mountinfo(5))."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                place, _, kind = line.partition(" - ")
                if kind.startswith("cgroup2 "):
                    return Path(place.split()[4].encode().decode("unicode_escape"))
    except OSError:
        pass
    return None


def _members(path: Path) -> set[int]:
    """All pids of the group and of the groups below it."""
    found: set[int] = set()
    for folder, _, files in os.walk(path):
        if "cgroup.procs" in files:
            with open(Path(folder) / "cgroup.procs", encoding="ascii") as file:
                found.update(int(line) for line in file)
    return found
