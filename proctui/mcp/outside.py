"""From behind a fence: what may not be read here is asked of the session's runner, outside.

The fence refuses ptrace-class reads of processes outside of it.  The runner
answers a short list of ``proctui`` commands; each tool that reads details of
one process has its command there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from proctui.errors import ProctuiError

if TYPE_CHECKING:
    from proctui.awareness.session import Session

__all__ = ["Outside"]

Arguments = Mapping[str, Any]


def _flag(arguments: Arguments, name: str, option: str) -> list[str]:
    return [option] if arguments.get(name) else []


def _value(arguments: Arguments, name: str, option: str | None = None) -> list[str]:
    value = arguments.get(name)
    if value is None:
        return []
    return [str(value)] if option is None else [option, str(value)]


_COMMANDS: dict[str, Callable[[Arguments], list[str]]] = {
    "inspect_process": lambda a: [
        "inspect",
        *_value(a, "pid"),
        *_flag(a, "include_threads", "--threads"),
        *_flag(a, "include_files", "--files"),
    ],
    "get_memory_profile": lambda a: [
        "memory",
        *_value(a, "pid"),
        *_flag(a, "include_children", "--tree"),
    ],
    "get_cpu_profile": lambda a: [
        "cpu",
        *_value(a, "pid"),
        *_value(a, "duration", "--duration"),
    ],
    "show_process_tree": lambda a: [
        "tree",
        *_value(a, "root_pid"),
        *_value(a, "depth", "--depth"),
    ],
    "get_stack_trace": lambda a: [
        "stack",
        *_value(a, "pid"),
        *_flag(a, "all_threads", "--all-threads"),
    ],
    "find_hangs": lambda a: ["hangs", *_value(a, "pid")],
}
"""Tools whose answer depends on what may be read, as commands of the broker."""


class Outside:
    """Asks the runner of the session that we are fenced in with."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answers(self, tool: str) -> bool:
        return tool in _COMMANDS

    def call(self, tool: str, arguments: Arguments) -> dict[str, Any]:
        """The tool's result, from outside; raises what asking the runner raises."""
        from proctui.jobs import broker

        argv = [*_COMMANDS[tool](arguments), "--json"]
        _, out, _ = broker.delegate(self._session, argv)
        try:
            result = json.loads(out)
        except ValueError:
            result = None
        if not isinstance(result, dict):
            raise ProctuiError("the session's runner gave no result", "call it again")
        if tool == "find_hangs":
            result.pop("stacks", None)
        return result
