"""Whose a process is, and how sure that is: the words of every verdict.

By themselves, so that what only has to say them starts at once and stays small.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Certainty", "Role", "Verdict"]


class Role(StrEnum):
    """Whose a process is; decided in this order."""

    SELF = "self"
    ANCESTOR = "ancestor"
    PROTECTED = "protected"
    BASELINE = "baseline"
    SPAWNED = "spawned"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"


class Verdict(NamedTuple):
    """A role with its reasons, in words a person reads.

    ``certainty`` is ``LIKELY`` only for ``SPAWNED``.  ``unchecked`` names what
    could not be looked at ("environ: permission denied").
    """

    role: Role
    certainty: Certainty
    evidence: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
