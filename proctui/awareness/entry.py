"""What a session's owner writes down about one process, and when."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from proctui.awareness.session import Moment, identity_to_list
from proctui.ident import Identity
from proctui.role import Certainty

__all__ = ["Entry", "boottime", "now"]


class Entry(NamedTuple):
    """One process known to come from the job, as ``spawned.jsonl`` holds it."""

    identity: Identity
    evidence: tuple[str, ...]
    certainty: Certainty

    def document(self) -> dict[str, Any]:
        return {
            "identity": identity_to_list(self.identity),
            "evidence": list(self.evidence),
            "certainty": str(self.certainty),
        }


def boottime() -> float:
    """Seconds since boot, suspension included (CLOCK_BOOTTIME, clock_gettime(2))."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def now() -> Moment:
    return Moment(boottime(), time.time())
