"""Where a tool's look comes from, and how it waits.

A command or a library call opens a watch of its own and closes it; the MCP
server lends its one long-living watch, whose memory makes verdicts certain,
to every call.  Waiting goes through :func:`pause`, so that a cancelled call
ends at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from proctui.errors import TimedOut

if TYPE_CHECKING:
    from proctui.awareness.view import View

__all__ = ["CANCEL", "ON_BEHALF", "SHARED", "default_root", "looking", "pause"]

Look = Callable[[], "View"]

CANCEL: ContextVar[threading.Event | None] = ContextVar("cancel", default=None)
"""Set when the caller no longer waits for the result."""

ON_BEHALF: ContextVar[bool] = ContextVar("on_behalf", default=False)
"""Set where somebody else asks through us: "the caller" is then not this process."""

SHARED: ContextVar[Look | None] = ContextVar("shared", default=None)
"""The MCP server's look, used in place of a watch of one's own."""


@contextlib.contextmanager
def looking(
    session: str | None = None,
    *,
    signalling: bool = False,
    once: bool = False,
    only: int | None = None,
    tree: bool = False,
) -> Iterator[Look]:
    """A function that looks now, in the eyes of ``session`` (default: the contract's choice).

    A view's command lines are read when asked for, so only within the block.
    With ``once`` one look is enough, and with ``only`` it need not show more than
    this pid, its ancestors and its children (with ``tree`` all its descendants).
    """
    shared = SHARED.get()
    if shared is not None and session is None:
        yield shared
        return
    from proctui.awareness.opening import open_watch

    watch = open_watch(
        session,
        signalling=signalling,
        own_children=True,
        history=0,
        once=once,
        only=only,
        tree=tree,
    )
    try:
        yield watch.look
    finally:
        watch.close()


def pause(seconds: float) -> None:
    """Wait; raises :class:`TimedOut` at once when the caller has gone."""
    event = CANCEL.get() or threading.Event()
    if event.wait(seconds):
        raise TimedOut("the call was cancelled")


def default_root(view: View) -> int | None:
    """The session's leader, ``None`` where there is no session or its leader is not in sight."""
    leader = None if view.session is None else view.session.leader
    if leader is None:
        return None
    proc = view.proc(leader.pid)
    return leader.pid if proc is not None and proc.identity.same(leader) else None
