"""Commands for agents: the declarations, one call, the MCP server."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from typing import NoReturn

from proctui.cli.output import print_json, status_of, warn
from proctui.errors import BadArgument, ProctuiError, ToolMissing

__all__ = ["call", "mcp", "tools"]


def tools(args: Namespace) -> int:
    from proctui.tools.declarations import of_phase
    from proctui.tools.declare import as_json

    print_json([as_json(tool, args.format) for tool in of_phase(args.phase)])
    return 0


def call(args: Namespace) -> int:
    from proctui.tools.call import call as call_tool
    from proctui.tools.context import ON_BEHALF
    from proctui.tools.declarations import CALLABLE, find

    tool = find(args.tool)
    if tool is None or tool.needs_server:
        names = ", ".join(one.name for one in CALLABLE)
        raise BadArgument(f"no tool {args.tool!r} to call here", f"there are: {names}")
    try:
        arguments = json.loads(args.arguments)
    except (ValueError, RecursionError) as error:
        raise BadArgument(
            f"the arguments are no JSON: {error}", "such as '{\"pid\": 4711}'"
        ) from None
    ON_BEHALF.set(True)
    result = call_tool(tool, arguments)
    print_json(result)
    return status_of(result)


def mcp(args: Namespace) -> NoReturn:
    try:
        import mcp as sdk
    except ImportError:
        from proctui.tools.doctor_programs import pip_install

        raise ToolMissing("the MCP server needs the official SDK", pip_install("mcp")) from None
    del sdk
    if sys.stdin.isatty():
        warn(
            "this speaks MCP with a program on stdin and stdout (`proctui help mcp`); Ctrl-C ends it"
        )
    from proctui.mcp.server import serve

    try:
        status = serve(phase=args.phase, allow_debugger=args.allow_debugger)
    except ProctuiError:
        raise
    except Exception as error:  # noqa: BLE001 - told in one line, kept in a file
        from proctui.cli.crash import report

        report(error, as_json=False)
        status = 1
    sys.stderr.flush()
    # Not by way of the interpreter: it would wait for the threads of abandoned calls.
    os._exit(status)
