"""Work off the event loop, in daemon threads, so that nothing of it can hold up a key or the exit."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["Helper", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a daemon thread of its own and wait for it without blocking the loop.

    Unlike :func:`asyncio.to_thread` a call that hangs (a read of ``/proc``
    can) neither delays leaving nor keeps the interpreter alive.  Cancelling
    the wait leaves the thread to finish by itself.
    """
    run, future = _handed(lambda: work(*args, **kwargs))
    name = getattr(work, "__name__", "work")
    threading.Thread(target=run, name=f"proctui-{name}", daemon=True).start()
    return await future


class Helper:
    """One daemon thread for work that comes again and again.

    A thread for each look would be a birth and a death that the sampler has
    to explain at the next one.  Cancelling the wait leaves the thread to
    finish by itself, whatever comes next waits for that.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._todo: queue.SimpleQueue[Callable[[], None]] | None = None

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have the thread run ``work``, now; what is returned can be waited for."""
        run, future = _handed(work)
        if self._todo is None:
            self._todo = queue.SimpleQueue()
            threading.Thread(
                target=_serve, args=(self._todo,), name=f"proctui-{self._name}", daemon=True
            ).start()
        self._todo.put(run)
        return future


def _serve(todo: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        todo.get()()


def _handed(work: Callable[[], T]) -> tuple[Callable[[], None], asyncio.Future[T]]:
    """``work`` as something for another thread to call, and the future that it settles."""
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
            result = work()
        except BaseException as caught:  # noqa: BLE001 - handed to whoever waits
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    return run, future
