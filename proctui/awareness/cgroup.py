"""A control group of the session's own, where we may make one (cgroups(7), version 2).

Membership can't be left by forking, ``setsid`` or an empty environment, and
``cgroup.kill`` reaches everybody at once.  Version 2 may be mounted alone or
beside version 1 (``/sys/fs/cgroup/unified``).
"""

from __future__ import annotations

import contextlib
import os
import re

__all__ = ["create", "directory_of", "join", "members", "mount", "remove"]

_NAME = re.compile(r"proctui-[0-9a-f]{32}")
_ALONE = 2
"""Links to a group without groups below it: its name and its own dot, each child's dot-dot is one more."""
_places: dict[tuple[str, str], str] = {}
"""Where the groups of sessions were found last: to look for the mount takes longer than to read them."""


def mount(root: str = "/proc") -> str | None:
    """Where cgroup v2 is mounted (proc_pid_mountinfo(5)), ``None`` where it isn't."""
    try:
        with open(f"{root}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        left, _, right = line.partition(" - ")
        if right.split(" ", 1)[0] == "cgroup2":
            place = left.split()[4]
            return place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
    return None


def own_path(root: str = "/proc") -> str | None:
    """Our own version 2 group, as ``/proc/self/cgroup`` names it (the line of hierarchy 0)."""
    try:
        with open(f"{root}/self/cgroup", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        number, _, rest = line.partition(":")
        if number == "0":
            return rest.partition(":")[2]
    return None


def create(session_id: str) -> str | None:
    """Make the session's group below our own; its name as ``/proc/PID/cgroup`` shows it.

    ``None`` where we may not (the usual case for an unprivileged user
    without delegation), or where no process could be put into it.
    """
    base, inside = mount(), own_path()
    if base is None or inside is None or ".." in inside.split("/"):
        return None
    name = f"{inside.rstrip('/')}/proctui-{session_id}"
    path = f"{base}{name}"
    try:
        os.mkdir(path, 0o755)
    except OSError:
        return None
    if os.path.exists(f"{path}/cgroup.type") and not os.access(f"{path}/cgroup.procs", os.W_OK):
        remove(name)
        return None
    return name


def directory_of(name: str | None, session_id: str) -> str | None:
    """The directory of a session's group; only a name that bears the session's id counts.

    The name may come from a file, and a file must not be able to declare a
    group of others to be the job's.
    """
    if not name or not name.startswith("/") or ".." in name.split("/"):
        return None
    last = name.rstrip("/").rpartition("/")[2]
    if last != f"proctui-{session_id}" or not _NAME.fullmatch(last):
        return None
    base = mount()
    return None if base is None else f"{base}{name}"


def join(name: str, session_id: str, pid: int = 0) -> bool:
    """Put a process (0: this one) into the session's group; its children follow."""
    path = directory_of(name, session_id)
    if path is None:
        return False
    try:
        descriptor = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, str(pid).encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def members(name: str | None, session_id: str) -> frozenset[int]:
    """The pids in the session's group and below, zombies left out by the kernel."""
    if name is None:
        return frozenset()
    known = _places.get((name, session_id))
    found = None if known is None else _below(known)
    if found is None:
        # Never there, or no longer where it was: an empty answer would mean that nobody is in it.
        path = directory_of(name, session_id)
        found = None if path is None else _below(path)
        if path is None or found is None:
            _places.pop((name, session_id), None)
            return frozenset()
        _places[name, session_id] = path
    return frozenset(found - {0})


def _below(path: str) -> set[int] | None:
    """The pids of a group and of the groups below it; ``None`` where there is no such group."""
    try:
        found = set(map(int, _read(f"{path}/cgroup.procs").split()))
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        if os.stat(path).st_nlink != _ALONE:
            with os.scandir(path) as entries:
                folders = [one.path for one in entries if one.is_dir(follow_symlinks=False)]
            for folder in folders:
                found |= _below(folder) or set()
    return found


def _read(path: str) -> bytes:
    """A whole file, in as few calls as there can be: this is done at every look."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


def remove(name: str) -> bool:
    """Remove an empty group, the empty ones below it first."""
    base = mount()
    if base is None or not _NAME.fullmatch(name.rstrip("/").rpartition("/")[2]):
        return False
    if not name.startswith("/") or ".." in name.split("/"):
        return False
    path = f"{base}{name}"
    with contextlib.suppress(OSError):
        for folder, folders, _ in os.walk(path, topdown=False):
            for child in folders:
                os.rmdir(f"{folder}/{child}")
        os.rmdir(path)
        return True
    return not os.path.exists(path)
