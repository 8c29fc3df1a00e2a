"""What a tool is, and the three ways its declaration is written down."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

__all__ = ["FORMATS", "Format", "Phase", "Tool", "as_json"]

Phase = Literal["any", "debugging", "mcp", "call"]
Format = Literal["openai", "openai-strict", "mcp"]
FORMATS: tuple[Format, ...] = ("openai", "openai-strict", "mcp")


@dataclass(frozen=True, slots=True)
class Tool:
    """One function as every face sees it.

    ``parameters`` is its JSON Schema, ``phase`` from when on it is offered
    (``mcp``: beside those, by the MCP server; ``call``: by ``proctui call`` alone).  ``target`` and ``result`` name the
    Python function and the ``TypedDict`` of what it returns as
    ``module:attribute``, resolved when first needed, so that declarations
    cost no imports.  ``time_limit`` is in seconds, beyond what the caller
    itself asks for with a duration.  ``needs_server``: it works on what a
    running server remembers, its plans and background processes.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    phase: Phase
    target: str
    result: str
    read_only: bool = True
    destructive: bool = False
    idempotent: bool = True
    needs_server: bool = False
    time_limit: float = 30.0

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.parameters.get("required", ()))

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        properties: dict[str, dict[str, Any]] = self.parameters["properties"]
        return properties

    def function(self) -> Callable[..., Any]:
        """The Python function behind the tool."""
        function: Callable[..., Any] = _resolve(self.target)
        return function

    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of the result, or of the ``error`` that stands in its place."""
        from proctui.tools.schema import object_schema

        return object_schema(_resolve(self.result))


def _resolve(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def as_json(tool: Tool, style: Format) -> dict[str, Any]:
    """The declaration as OpenAI function calling, its strict form, or MCP writes it."""
    parameters = copy.deepcopy(tool.parameters)
    if style == "mcp":
        return {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": parameters,
            "outputSchema": tool.output_schema(),
            "annotations": {
                "readOnlyHint": tool.read_only,
                "destructiveHint": tool.destructive,
                "idempotentHint": tool.idempotent,
                "openWorldHint": False,
            },
        }
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if style == "openai-strict":
        function["strict"] = True
        parameters = _strict(parameters)
    function["parameters"] = parameters
    return {"type": "function", "function": function}


def _strict(parameters: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's strict rules: every property required, optional ones nullable, nothing beside them."""
    required = parameters.get("required", [])
    for name, schema in parameters["properties"].items():
        if name not in required:
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
    return {
        "type": "object",
        "properties": parameters["properties"],
        "required": list(parameters["properties"]),
        "additionalProperties": False,
    }
