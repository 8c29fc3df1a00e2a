"""Stacks of living processes, without stopping them unless asked to.

``/proc`` first, then ``py-spy dump --nonblocking`` per pid; what stops the
target (``exact``, ``native``) only on request, never where it could change
what the target does: in state D, T or while traced no tracer is started, and
a thread that is blocked writing would see its write cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from proctui.errors import NoSuchProcess, ToolMissing, check_pid
from proctui.ident import Identity
from proctui.machine.identity import identify
from proctui.stacks import pyspy, tooling
from proctui.stacks.preflight import Preflight, preflight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proctui.stacks.starting import Tool
    from proctui.stacks.trace import StackTrace

__all__ = ["DUMP_TIMEOUT", "capture", "capture_many"]

DUMP_TIMEOUT = 20.0
"""Seconds one tool may take; a dump normally takes 0.03."""
_ATTEMPTS = 8
"""A look at eight busy threads meets them mid-change a third of the time: measured 3 of 60 with 3."""


def capture(
    pid: int,
    *,
    all_threads: bool = True,
    native: bool | int = False,
    locals: bool = False,
    exact: bool | int = False,
    insist: bool = False,
    timeout: float = DUMP_TIMEOUT,
    started: Tool | None = None,
) -> StackTrace:
    """The stacks of one process: the contract's ``stack`` result.

    Nothing is paused unless ``exact`` or ``native`` is given; ``paused_ms``
    is then measured.  On a process that is blocked writing a pipe they are
    refused unless given twice (``exact=2`` or ``insist=True``).  Processes
    that are not Python, zombies and kernel threads give their kernel state.
    Where the stack may not be read the result holds what could be, and
    ``error``.  ``started`` is a plain dump of it that runs already.  Raises
    :class:`NoSuchProcess`, :class:`RefusedError`.
    """
    identity = identify(check_pid(pid))
    before = preflight(pid, identity)
    if exact or native:
        from proctui.stacks.pausing import capture_paused

        insisted = insist or int(exact) > 1 or int(native) > 1
        paused = capture_paused(
            before, native=bool(native), locals=locals, insist=insisted, timeout=timeout
        )
        if paused is not None:
            from proctui.stacks.assemble import assemble

            return assemble(before, paused, all_threads=all_threads)
    found: list[StackTrace] = []
    _capture(
        [before],
        found.append,
        all_threads=all_threads,
        locals=locals,
        timeout=timeout,
        started=started,
    )
    return found[0]


def capture_many(
    pids: Iterable[int],
    on_result: Callable[[StackTrace], None] | None = None,
    *,
    all_threads: bool = True,
    locals: bool = False,
    timeout: float = DUMP_TIMEOUT,
    identities: dict[int, Identity] | None = None,
) -> list[StackTrace]:
    """The stacks of many processes, a few at a time, none of them paused.

    ``on_result`` hears of each as it comes.  The list is in the order of
    ``pids``, without those that are gone; one that can't be read is among
    them with its ``error``.
    """
    wanted: list[Preflight] = []
    for pid in pids:
        try:
            identity = (identities or {}).get(pid) or identify(check_pid(pid))
            wanted.append(preflight(pid, identity))
        except NoSuchProcess:
            continue
    found: dict[int, StackTrace] = {}

    def take(result: StackTrace) -> None:
        found[result["pid"]] = result
        if on_result is not None:
            on_result(result)

    _capture(wanted, take, all_threads=all_threads, locals=locals, timeout=timeout)
    return [found[one.pid] for one in wanted if one.pid in found]


def _capture(
    wanted: Sequence[Preflight],
    take: Callable[[StackTrace], None],
    *,
    all_threads: bool,
    locals: bool,
    timeout: float,
    started: Tool | None = None,
) -> None:
    """Nonblocking dumps; whatever can't have Python frames is taken at once."""

    def put(one: Preflight, dump: pyspy.Dump) -> None:
        # Imported while the first tools run: what starts them shall not wait for it.
        from proctui.stacks.assemble import assemble

        take(assemble(one, dump, all_threads=all_threads))

    gone: NoSuchProcess | None = None
    jobs: list[tuple[object, tooling.Command]] = []
    for one in wanted:
        if one.never_python:
            put(one, pyspy.Dump())
            continue
        try:
            jobs.append((one, started or pyspy.dump_argv(one.pid, locals=locals)))
        except ToolMissing as error:
            put(one, pyspy.without_tool(one.pid, error))
    again: list[tuple[object, tooling.Command]] = []

    def done(key: object, outcome: tooling.Outcome) -> None:
        nonlocal gone
        assert isinstance(key, Preflight)
        dump = pyspy.read_dump(key.pid, outcome)
        if dump.transient and key.attempts < _ATTEMPTS:
            key.attempts += 1
            again.append((key, pyspy.dump_argv(key.pid, locals=locals)))
            return
        try:
            put(key, dump)
        except NoSuchProcess as error:
            gone = error

    def look() -> None:
        import proctui.stacks.assemble  # noqa: F401 - while the tools run

        for one in wanted[: tooling.width()]:
            one.look()

    tooling.run_many(jobs, done, timeout=timeout, meanwhile=look)
    while again:
        jobs, again[:] = list(again), []
        tooling.run_many(jobs, done, timeout=timeout)
    if gone is not None and len(wanted) == 1:
        raise gone
