"""Regular expressions that are compiled when they are first used.

A command compiles what its modules name at once, and some expressions take
a millisecond of it though no text that calls for them ever comes.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["on_demand"]


class _OnDemand:
    """Gives what :class:`re.Pattern` has; from the second use on there is nothing in between."""

    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._source, self._flags), name)
        self.__dict__[name] = found
        return found


def on_demand(source: str, flags: int = 0) -> re.Pattern[str]:
    """As :func:`re.compile`; whether ``source`` is an expression at all shows at its first use."""
    pattern: Any = _OnDemand(source, flags)
    return pattern  # type: ignore[no-any-return]
