"""Know what is yours, see what it does, find what hangs, kill only what is safe.

Everything in ``__all__`` is loaded on first use, so that ``import proctui``
costs next to nothing.  ``proctui help library`` shows it at work.
"""

from __future__ import annotations

from proctui._version import __version__

TYPE_CHECKING = False  # typing's own costs more than all the rest of this import
if TYPE_CHECKING:
    from typing import Any

    from proctui.awareness.library import ProcessBaseline
    from proctui.errors import (
        AccessDenied,
        BadArgument,
        Changed,
        NoSuchFile,
        NoSuchProcess,
        NoSuchSession,
        NotSupported,
        ProctuiError,
        RefusedError,
        TimedOut,
        ToolMissing,
    )
    from proctui.killing.groups import ProcessGroupManager
    from proctui.killing.protection import ProcessGroupProtection, ProcessProtection
    from proctui.tools.cpu import get_cpu_profile
    from proctui.tools.debugger import attach_debugger
    from proctui.tools.hangs import find_hangs, is_responding
    from proctui.tools.inspection import inspect_process
    from proctui.tools.kill import execute_kill, plan_kill
    from proctui.tools.logs import analyze_logs
    from proctui.tools.memory import get_memory_profile
    from proctui.tools.stack import get_stack_trace
    from proctui.tools.system import get_system_resources
    from proctui.tools.tree import show_process_tree

__all__ = [
    "AccessDenied",
    "BadArgument",
    "Changed",
    "NoSuchFile",
    "NoSuchProcess",
    "NoSuchSession",
    "NotSupported",
    "ProcessBaseline",
    "ProcessGroupManager",
    "ProcessGroupProtection",
    "ProcessProtection",
    "ProctuiError",
    "RefusedError",
    "TimedOut",
    "ToolMissing",
    "__version__",
    "analyze_logs",
    "attach_debugger",
    "execute_kill",
    "find_hangs",
    "get_cpu_profile",
    "get_memory_profile",
    "get_stack_trace",
    "get_system_resources",
    "inspect_process",
    "is_responding",
    "plan_kill",
    "show_process_tree",
]

_HOME = {
    "ProcessBaseline": "proctui.awareness.library",
    "ProcessGroupManager": "proctui.killing.groups",
    "ProcessGroupProtection": "proctui.killing.protection",
    "ProcessProtection": "proctui.killing.protection",
    "analyze_logs": "proctui.tools.logs",
    "attach_debugger": "proctui.tools.debugger",
    "execute_kill": "proctui.tools.kill",
    "find_hangs": "proctui.tools.hangs",
    "get_cpu_profile": "proctui.tools.cpu",
    "get_memory_profile": "proctui.tools.memory",
    "get_stack_trace": "proctui.tools.stack",
    "get_system_resources": "proctui.tools.system",
    "inspect_process": "proctui.tools.inspection",
    "is_responding": "proctui.tools.hangs",
    "plan_kill": "proctui.tools.kill",
    "show_process_tree": "proctui.tools.tree",
}
"""Where a name lives; the errors, not listed here, live in :mod:`proctui.errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'proctui' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME.get(name, "proctui.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
