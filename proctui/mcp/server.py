"""``proctui mcp``: the declared tools over stdio, with the official SDK.

Every call runs in a thread of its own under a time limit; a cancelled call
ends at its next :func:`proctui.tools.context.pause`.  Refusals and failures
are results with an ``error``, never protocol errors, so that an agent reads
the reason and the hint.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server import NotificationOptions, Server
from mcp.server.stdio import stdio_server

from proctui._version import __version__
from proctui.errors import BadArgument, ProctuiError, TimedOut
from proctui.mcp.host import Host
from proctui.tools.call import arguments_of, call, error_result, harmless
from proctui.tools.context import CANCEL, ON_BEHALF, SHARED
from proctui.tools.declarations import BEYOND, find, of_phase
from proctui.tools.declare import Phase, Tool, as_json

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext

__all__ = ["offered", "serve"]

_logger = logging.getLogger("proctui.mcp")
_AT_ONCE = 64
"""Calls that run at once: many only wait, so a quick one must not stand behind them."""
_INSTRUCTIONS = """\
proctui knows which processes belong to this job and which do not. Look with inspect_process, \
show_process_tree, get_cpu_profile, get_memory_profile and list_spawned; ask find_hangs where \
something seems stuck. To end a process call plan_kill, read the plan, then execute_kill with its \
id: only what this job started is ever signalled, and a refusal says why. Never use kill or pkill \
in a shell. Start servers and long commands with start_process and read them with read_output; \
they end with this server."""


def offered(phase: Phase, *, allow_debugger: bool) -> tuple[Tool, ...]:
    """The tools of the phase and the server's own; the debugger only where it was allowed."""
    tools = [tool for tool in of_phase(phase) if tool.name != "attach_debugger"]
    debugger = find("attach_debugger")
    if allow_debugger and debugger is not None:
        tools.append(debugger)
    return (*tools, *BEYOND)


def serve(*, phase: Phase = "any", allow_debugger: bool = False) -> int:
    """Serve until the client closes our stdin or goes; nothing we started stays behind.

    Threads may: of calls that nobody waits for any more, and the one that
    reads our stdin.  Whoever called has to leave without waiting for them.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="proctui mcp: %(message)s")
    tools = {tool.name: tool for tool in offered(phase, allow_debugger=allow_debugger)}
    with Host.open() as host:
        try:
            anyio.run(_serve, host, tools)
        except* BrokenPipeError:
            pass  # the client went while we answered
    return 0


async def _serve(host: Host, tools: dict[str, Tool]) -> None:
    listed = [_listing(tool) for tool in tools.values()]
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def list_tools(
        context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return _answer(await _result(host, tools, limiter, params.name, params.arguments or {}))

    server: Server[Any] = Server(
        "proctui",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(_end_on_signal, host)
        async with stdio_server() as (reading, writing):
            await server.run(
                reading, writing, server.create_initialization_options(NotificationOptions())
            )
        group.cancel_scope.cancel()


def _listing(tool: Tool) -> types.Tool:
    return types.Tool.model_validate(as_json(tool, "mcp"))


async def _end_on_signal(host: Host) -> None:
    """TERM leaves at once: the thread that reads our stdin can't be interrupted."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            await anyio.to_thread.run_sync(host.close)
            os._exit(128 + number)


async def _result(
    host: Host,
    tools: dict[str, Tool],
    limiter: anyio.CapacityLimiter,
    name: str,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Run one call in a thread; whatever goes wrong becomes an ``error`` result."""
    tool = tools.get(name)
    if tool is None:
        missing = BadArgument(f"no tool {name[:80]!r} here", f"there are: {', '.join(tools)}")
        return error_result(missing)
    cancelled = threading.Event()

    def work() -> dict[str, Any]:
        CANCEL.set(cancelled)
        ON_BEHALF.set(True)
        SHARED.set(host.look)
        try:
            if host.outside is not None and host.outside.answers(tool.name):
                return host.outside.call(tool.name, arguments_of(tool, arguments))
            return call(tool, arguments)
        except ProctuiError as error:
            return error_result(error)
        except Exception as error:
            _logger.exception("%s failed", tool.name)
            message = f"{type(error).__name__}: {error}"
            return {"error": {"kind": "internal-error", "message": message, "hint": None}}

    try:
        with anyio.fail_after(_limit(tool, arguments)):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
    except TimeoutError:
        late = TimedOut(
            f"{tool.name} did not answer within {_limit(tool, arguments):.0f} s",
            "ask for less (one pid, a shorter duration) or try again",
        )
        return error_result(late)
    finally:
        cancelled.set()


def _limit(tool: Tool, arguments: dict[str, Any]) -> float:
    asked = arguments.get("duration")
    return tool.time_limit + (min(asked, 3600) if type(asked) is int and asked > 0 else 0)


def _answer(result: dict[str, Any]) -> types.CallToolResult:
    """Structured content and the same as text; a refusal is an answer, not an error."""
    clean = harmless(result)
    text = json.dumps(clean, ensure_ascii=False)
    kind = clean["error"]["kind"] if isinstance(clean.get("error"), dict) else None
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=clean,
        is_error=kind not in (None, *_ANSWERS),
    )


_ANSWERS = ("refused", "changed", "permission-denied")
"""Kinds that are the truth about the process, with a result or a plan beside them."""


with contextlib.suppress(ValueError):
    logging.getLogger("mcp").setLevel(logging.ERROR)
