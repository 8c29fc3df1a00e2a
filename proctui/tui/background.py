"""Work off the event loop, in daemon threads, so that nothing of it can hold up a key or the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a daemon thread of its own and wait for it without blocking the loop.

    Unlike :func:`asyncio.to_thread` a call that hangs (a read of ``/proc``
    can) neither delays leaving nor keeps the interpreter alive.  Cancelling
    the wait leaves the thread to finish by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work(*args, **kwargs)
        except BaseException as caught:  # noqa: BLE001 - handed to whoever waits
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    name = getattr(work, "__name__", "work")
    threading.Thread(target=run, name=f"proctui-{name}", daemon=True).start()
    return await future
