"""Calls a tool by name with JSON arguments: what ``proctui call`` and the MCP server share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proctui.errors import BadArgument, ProctuiError
from proctui.text import encodable, sanitize_lines

if TYPE_CHECKING:
    from proctui.tools.declare import Tool

__all__ = ["arguments_of", "call", "error_result", "harmless"]


def call(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The tool's result; raises what the function raises."""
    result = tool.function()(**arguments_of(tool, arguments))
    if not isinstance(result, dict):
        result = {"result": result}
    return result


def arguments_of(tool: Tool, arguments: object) -> dict[str, Any]:
    """Check ``arguments`` against the declaration; null for an optional one is its default."""
    if not isinstance(arguments, Mapping):
        raise BadArgument(
            f"the arguments of {tool.name} must be a JSON object",
            "such as {" + ", ".join(f'"{name}": …' for name in tool.required) + "}",
        )
    known = tool.properties
    for name in arguments:
        if name not in known:
            raise BadArgument(
                f"{tool.name} has no parameter {str(name)[:80]!r}",
                f"it takes: {', '.join(known) or 'nothing'}",
            )
    checked: dict[str, Any] = {}
    for name, schema in known.items():
        value = arguments.get(name)
        if value is None:
            if name in tool.required:
                raise BadArgument(f"{tool.name} needs {name!r}", schema.get("description"))
            continue
        _check(name, value, schema)
        checked[name] = value
    return checked


_KINDS: dict[str, type] = {"integer": int, "boolean": bool, "string": str, "array": list}


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(_fits(value, option) for option in schema["anyOf"])
    if type(value) is not _KINDS[schema["type"]] or value not in schema.get("enum", (value,)):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            _fits(one, schema["items"]) for one in value
        )
    return not isinstance(value, str) or (
        len(value) >= schema.get("minLength", 0) and encodable(value)
    )


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    if _fits(value, schema):
        return
    options = schema.get("anyOf", [schema])
    kinds = " or ".join(option["type"] for option in options)
    enum = schema.get("enum") or schema.get("items", {}).get("enum")
    allowed = f"one of {', '.join(enum)}" if enum else schema.get("description")
    given = json.dumps(value)[:80]
    if any(type(value) is _KINDS[option["type"]] for option in options):
        raise BadArgument(f"{name} can't be {given}", allowed)
    raise BadArgument(f"{name} must be of type {kinds}, not {given}", allowed)


def error_result(error: ProctuiError) -> dict[str, Any]:
    """The result that stands in the place of one that could not be had."""
    return {**(error.result or {}), "error": error.body()}


def harmless(value: Any) -> Any:
    """The same JSON value without a raw control character in any string.

    Floors sanitise where text enters; this is the last door, so that no
    forgotten path reaches a terminal or a transcript.  Newlines stay in text
    that we broke into lines ourselves.
    """
    if isinstance(value, str):
        return value if value.isprintable() else sanitize_lines(value)
    if isinstance(value, Mapping):
        return {harmless(str(key)): harmless(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [harmless(one) for one in value]
    return value
