"""Room for held descriptors, and keeping that room out of our children.

A raised soft limit is inherited.  Programs that size tables by it, or close
every possible descriptor at start, would pay for our appetite, so whoever
starts a program after :func:`raise_descriptor_limit` passes
``preexec_fn=child_limits()``.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

__all__ = ["child_limits", "descriptor_budget", "raise_descriptor_limit"]

_RESERVE = 256
"""Descriptors left to everything else in this process: terminal, sockets, helpers' pipes."""

_first: tuple[int, int] | None = None


def raise_descriptor_limit() -> int:
    """Raise the soft ``RLIMIT_NOFILE`` to the hard one (getrlimit(2)); return the new soft limit.

    Idempotent; the limit this process was started with is remembered.
    """
    global _first
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _first is None:
        _first = (soft, hard)
    if soft == hard:
        return soft
    for wanted in (hard, 10240):  # macOS refuses "unlimited" and takes OPEN_MAX
        if wanted == resource.RLIM_INFINITY or 0 < soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (ValueError, OSError):
                continue
            return wanted
    return soft


def descriptor_budget(*, raised: bool) -> int:
    """How many descriptors a sampler may hold at once, ``raised``: after raising the limit."""
    limit = raise_descriptor_limit() if raised else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1 << 20
    return max(limit // 4, limit - _RESERVE)


def child_limits() -> Callable[[], None] | None:
    """What a child must run before exec to get the limit *we* were started with.

    Made for ``subprocess.Popen(preexec_fn=child_limits())``: one system call,
    no locks, no allocation of note.  ``None`` where nothing was raised.
    """
    if _first is None or resource.getrlimit(resource.RLIMIT_NOFILE) == _first:
        return None
    first = _first

    def restore() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, first)

    return restore
