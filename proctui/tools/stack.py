"""``get_stack_trace``: where a process is, without stopping it."""

from __future__ import annotations

import contextlib
from typing import Any

from proctui.errors import NoSuchProcess, check_pid
from proctui.stacks.trace import StackTrace, joined_warnings
from proctui.tools.common import check_flag
from proctui.tools.context import looking

__all__ = ["get_stack_trace", "stack_of"]


def get_stack_trace(pid: int, all_threads: bool = False) -> StackTrace:
    """The stack of the main thread, or of all; the target is never paused.

    The result is a dict whose ``str()`` is the trace and whose ``in``
    searches it; it speaks of a *lock* only where a thread waits for one.
    """
    check_pid(pid)
    check_flag(all_threads, "all_threads")
    from proctui.stacks import capture

    return capture(pid, all_threads=all_threads)


def stack_of(
    pid: int,
    *,
    all_threads: bool = False,
    tree: bool = False,
    native: int = 0,
    exact: int = 0,
    show_locals: bool = False,
) -> dict[str, Any]:
    """As the command line asks; with ``tree`` the descendants too, in ``processes``.

    ``native`` and ``exact`` count how often they were given: on a process
    that is blocked writing a pipe once is refused.
    """
    check_pid(pid)
    from proctui.stacks import capture, capture_many

    first = capture(pid, all_threads=all_threads, native=native, locals=show_locals, exact=exact)
    if not tree:
        return first
    with looking() as look:
        below = look().descendants(pid)
    results: list[StackTrace] = [first]
    if native or exact:
        for child in below:
            with contextlib.suppress(NoSuchProcess):
                results.append(
                    capture(
                        child,
                        all_threads=all_threads,
                        native=native,
                        locals=show_locals,
                        exact=exact,
                    )
                )
    else:
        results += capture_many(below, all_threads=all_threads, locals=show_locals)
    return _joined(results)


def _joined(results: list[StackTrace]) -> StackTrace:
    """The first with all in ``processes``; the text, the troubles and their exit status are all's."""
    whole = StackTrace({**results[0], "processes": [dict(one) for one in results]})
    whole["text"] = "\n\n".join(one["text"] for one in results)
    whole["warnings"] = joined_warnings(results)
    whole["denied"] = list(dict.fromkeys(name for one in results for name in one["denied"]))
    error = next((one["error"] for one in results if one.get("error")), None)
    if error is not None:
        whole["error"] = error
    return whole
