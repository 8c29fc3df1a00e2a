"""On whose behalf we look: a process behind a fence asked somebody outside to look for it.

The asker is then as untouchable as we are, and so is everybody above it: to
the runner an agent's host is merely spawned.  The name in the environment can
only protect more, so nothing has to be proven about it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from proctui.awareness.session import identity_from_list, identity_to_list
from proctui.errors import RefusedError
from proctui.ident import Identity

__all__ = ["VARIABLE", "environment", "requester"]

VARIABLE = "PROCTUI_REQUESTER"


def environment(identity: Identity) -> dict[str, str]:
    """What makes a child process look on behalf of ``identity``."""
    return {VARIABLE: json.dumps(identity_to_list(identity))}


def requester(environ: Mapping[str, str] = os.environ) -> Identity | None:
    """Who asked, ``None`` where we look for ourselves.

    Raises :class:`RefusedError` for a value that names nobody: whom it was
    meant to protect can't be known.
    """
    raw = environ.get(VARIABLE)
    if not raw:
        return None
    try:
        return identity_from_list(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            f"{VARIABLE} names no process: {error}", "it is set by the broker alone; unset it"
        ) from error
