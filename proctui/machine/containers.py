"""Which container a process lives in, from the paths of ``/proc/PID/cgroup`` (cgroups(7)).

Runtimes put the container's id into the cgroup's name; that name is the only
sign that needs no access to the runtime itself.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from proctui.patterns import on_demand

__all__ = ["Container", "container_of_mounts", "find_container"]

_ID = r"(?P<id>[0-9a-f]{64})"
_PATTERNS = tuple(
    (runtime, on_demand(pattern))
    for runtime, pattern in (
        ("crio", rf"/crio-{_ID}"),
        ("containerd", rf"/cri-containerd-{_ID}"),
        ("podman", rf"/libpod-{_ID}"),
        ("docker", rf"/docker-{_ID}\.scope"),
        ("docker", rf"/docker/{_ID}"),
        ("kubernetes", rf"/kubepods[^\n]*/(?:[a-z-]+-)?{_ID}"),
        ("lxc", r"/lxc(?:\.payload)?[./](?P<id>[\w.-]+)"),
        ("nspawn", r"/machine\.slice/systemd-nspawn@(?P<id>[^/]+)\.service"),
        ("machine", r"/machine\.slice/machine-(?P<id>[^/]+)\.scope"),
        ("ecs", rf"/ecs/[^/]+/{_ID}"),
        ("garden", r"/garden/(?P<id>[\w-]+)"),
    )
)

_MOUNTS = (
    ("docker", on_demand(rf"/docker/containers/{_ID}/")),
    ("podman", on_demand(rf"/overlay-containers/{_ID}/")),
    ("kubernetes", on_demand(r"/kubelet/pods/(?P<id>[0-9a-f-]{36})/")),
    ("lxc", on_demand(r"/lxcfs/.* - fuse\.lxcfs (?P<id>lxcfs)")),
)


class Container(NamedTuple):
    runtime: str
    id: str

    def __str__(self) -> str:
        """``docker:0123456789ab``: long ids cut to the twelve characters that runtimes show."""
        return f"{self.runtime}:{self.id[:12] if len(self.id) == 64 else self.id}"


@functools.lru_cache(maxsize=1024)
def find_container(cgroup: str) -> Container | None:
    """The innermost container named in the text of ``/proc/PID/cgroup``, if any."""
    if cgroup.count("/") == cgroup.count("\n"):  # every line is a root cgroup: the common case
        return None
    for runtime, pattern in _PATTERNS:
        matches = list(pattern.finditer(cgroup))
        if matches:
            found = matches[-1]
            if runtime in ("crio", "containerd", "docker") and "kubepods" in cgroup:
                runtime = "kubernetes"
            return Container(runtime, found["id"])
    return None


def container_of_mounts(mountinfo: str) -> Container | None:
    """The container whose ``/etc/hostname`` and the like are mounted (proc_pid_mountinfo(5))."""
    for runtime, pattern in _MOUNTS:
        match = pattern.search(mountinfo)
        if match is not None:
            return Container(runtime, match["id"])
    return None
