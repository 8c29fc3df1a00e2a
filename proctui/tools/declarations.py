"""Every tool, declared once.

Names, descriptions, parameters, enums and required lists of the first seven
are requirements.md's to the letter, and a test compares them.
"""

from __future__ import annotations

from typing import Any

from proctui.tools.declare import Phase, Tool

__all__ = ["ALONE", "BEYOND", "CALLABLE", "EIGHT", "TOOLS", "find", "of_phase"]


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    head: dict[str, Any] = {"type": "object"}
    if required:
        head["required"] = required
    return {**head, "properties": properties}


def _integer(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _boolean(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _string(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


EIGHT: tuple[Tool, ...] = (
    Tool(
        name="inspect_process",
        description="Get detailed information about a process",
        parameters=_object(
            {
                "pid": _integer("Process ID to inspect"),
                "include_threads": _boolean("Include thread information"),
                "include_files": _boolean("Include open file descriptors"),
            },
            ["pid"],
        ),
        phase="any",
        target="proctui.tools.inspection:inspect_process",
        result="proctui.tools.results:Inspection",
    ),
    Tool(
        name="get_memory_profile",
        description="Get memory usage profile for processes",
        parameters=_object(
            {
                "pid": _integer("Process ID (optional, defaults to all)"),
                "include_children": _boolean("Include child processes"),
            }
        ),
        phase="any",
        target="proctui.tools.memory:get_memory_profile",
        result="proctui.tools.results:MemoryProfile",
    ),
    Tool(
        name="get_cpu_profile",
        description="Get CPU usage and time for processes",
        parameters=_object(
            {
                "pid": _integer("Process ID (optional)"),
                "duration": _integer("Sampling duration in seconds"),
            }
        ),
        phase="any",
        target="proctui.tools.cpu:get_cpu_profile",
        result="proctui.tools.results:CpuProfile",
    ),
    Tool(
        name="get_system_resources",
        description="Get overall system resource usage",
        parameters=_object(
            {
                "metrics": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["cpu", "memory", "disk", "network"]},
                    "description": "Which metrics to retrieve",
                }
            }
        ),
        phase="any",
        target="proctui.tools.system:get_system_resources",
        result="proctui.tools.results:SystemResources",
    ),
    Tool(
        name="show_process_tree",
        description="Show process tree starting from a PID",
        parameters=_object(
            {
                "root_pid": _integer("Root process (defaults to current)"),
                "depth": _integer("Tree depth to show"),
            }
        ),
        phase="any",
        target="proctui.tools.tree:show_process_tree",
        result="proctui.tools.results:ProcessTree",
    ),
    Tool(
        name="get_stack_trace",
        description="Get stack trace for a running process",
        parameters=_object(
            {
                "pid": _integer("Process ID"),
                "all_threads": _boolean("Get traces for all threads"),
            },
            ["pid"],
        ),
        phase="debugging",
        target="proctui.tools.stack:get_stack_trace",
        result="proctui.tools.results:Stack",
    ),
    Tool(
        name="analyze_logs",
        description="Analyze log files for patterns and errors",
        parameters=_object(
            {
                "log_file": _string("Path to log file"),
                "pattern": _string("Pattern to search for"),
                "last_n_lines": _integer("Analyze last N lines"),
            },
            ["log_file"],
        ),
        phase="debugging",
        target="proctui.tools.logs:analyze_logs",
        result="proctui.tools.results:LogAnalysis",
        time_limit=120.0,
    ),
    Tool(
        name="attach_debugger",
        description="Attach to running process (advanced)",
        parameters=_object(
            {
                "pid": _integer("Process ID"),
                "how": {
                    "type": "string",
                    "enum": ["auto", "pdb", "debugpy", "gdb"],
                    "description": "Which debugger to attach",
                },
                "port": _integer("Port debugpy listens on, on the loopback interface"),
            },
            ["pid"],
        ),
        phase="debugging",
        target="proctui.tools.debugger:attach_debugger",
        result="proctui.tools.results:Attachment",
        read_only=False,
        destructive=True,
        idempotent=False,
        time_limit=60.0,
    ),
)
"""requirements.md's own, in the order of its "Tool Availability by Phase"."""

BEYOND: tuple[Tool, ...] = (
    Tool(
        name="list_sessions",
        description="List watched jobs (sessions) with their leader, state and number of strays",
        parameters=_object({}),
        phase="mcp",
        target="proctui.tools.sessions:list_sessions",
        result="proctui.tools.results:Sessions",
    ),
    Tool(
        name="list_spawned",
        description=(
            "List the processes that came from the job, with the evidence for each; "
            "strays, which left the leader's tree, are marked"
        ),
        parameters=_object({}),
        phase="mcp",
        target="proctui.tools.sessions:list_spawned",
        result="proctui.tools.results:Spawned",
    ),
    Tool(
        name="find_hangs",
        description=(
            "Say whether a process and its descendants run, idle, wait, are suspected to hang "
            "or are provably deadlocked; without a pid: every process of the job"
        ),
        parameters=_object({"pid": _integer("Process ID (optional, defaults to the job)")}),
        phase="mcp",
        target="proctui.tools.hangs:find_hangs",
        result="proctui.tools.results:Hangs",
    ),
    Tool(
        name="plan_kill",
        description=(
            "Plan the end of a process: which processes would be signalled, which are refused "
            "and why. Signals nothing; give the plan's id to execute_kill"
        ),
        parameters=_object(
            {
                "pid": _integer("Process ID to end"),
                "tree": _boolean("Its descendants too"),
                "group": _boolean("Its whole process group"),
            },
            ["pid"],
        ),
        phase="mcp",
        target="proctui.tools.kill:plan_kill",
        result="proctui.tools.results:Kill",
    ),
    Tool(
        name="execute_kill",
        description="Carry out a plan made by plan_kill: exactly those processes, nothing else",
        parameters=_object({"plan_id": _string("The id of a plan made by plan_kill")}, ["plan_id"]),
        phase="mcp",
        target="proctui.tools.kill:execute_by_id",
        result="proctui.tools.results:Kill",
        needs_server=True,
        read_only=False,
        destructive=True,
        idempotent=False,
        time_limit=60.0,
    ),
    Tool(
        name="start_process",
        description=(
            "Start a command in the background under a name; its output is kept for read_output "
            "and it ends with this server, or by plan_kill and execute_kill"
        ),
        parameters=_object(
            {
                "command": {
                    "anyOf": [
                        {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        {"type": "string", "minLength": 1},
                    ],
                    "description": "Program and arguments as a list, or a line for /bin/sh",
                },
                "name": _string("A name of your choice, unique among the living ones"),
            },
            ["command", "name"],
        ),
        phase="mcp",
        target="proctui.tools.background:start_process",
        result="proctui.tools.results:Background",
        needs_server=True,
        read_only=False,
        idempotent=False,
    ),
    Tool(
        name="read_output",
        description="Read the end of the output of a process started with start_process",
        parameters=_object(
            {
                "name": _string("The name given to start_process"),
                "last_n_lines": _integer("How many lines from the end (default 100)"),
            },
            ["name"],
        ),
        phase="mcp",
        target="proctui.tools.background:read_output",
        result="proctui.tools.results:Output",
        needs_server=True,
    ),
)
"""What the MCP server offers beside them."""

ALONE: tuple[Tool, ...] = (
    Tool(
        name="is_responding",
        description="Say whether a process responds: it is neither hanging nor stopped",
        parameters=_object({"pid": _integer("Process ID")}, ["pid"]),
        phase="call",
        target="proctui.tools.hangs:is_responding",
        result="proctui.tools.results:Responding",
    ),
)
"""What the library and ``proctui call`` have; over MCP ``find_hangs`` answers it, and says why."""

TOOLS: tuple[Tool, ...] = EIGHT + BEYOND + ALONE
CALLABLE: tuple[Tool, ...] = tuple(tool for tool in TOOLS if not tool.needs_server)
"""What ``proctui call`` offers."""
_BY_NAME = {tool.name: tool for tool in TOOLS}


def of_phase(phase: Phase) -> tuple[Tool, ...]:
    """``any``: the five that every phase has; ``debugging``: all eight."""
    return tuple(tool for tool in EIGHT if phase == "debugging" or tool.phase == "any")


def find(name: str) -> Tool | None:
    return _BY_NAME.get(name)
