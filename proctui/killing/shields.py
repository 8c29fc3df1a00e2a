"""What this very program asked to be spared, beside the roles that everybody sees.

``ProcessProtection`` and the groups register here; the plan and each look
before a signal ask.  A shield can only refuse.
"""

from __future__ import annotations

from collections.abc import Callable

from proctui.model import Identity

__all__ = ["Shield", "add", "reason"]

Shield = Callable[[Identity], str | None]
"""Why this process may not be signalled, or ``None``."""

_shields: list[Shield] = []


def add(shield: Shield) -> None:
    """Ask ``shield`` about every process that is about to be planned or signalled."""
    if shield not in _shields:
        _shields.append(shield)


def reason(identity: Identity) -> str | None:
    """The first reason why ``identity`` is spared, ``None`` where nobody objects."""
    for shield in _shields:
        why = shield(identity)
        if why is not None:
            return why
    return None
