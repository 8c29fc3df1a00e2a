"""JSON Schema of a result type: the ``TypedDict`` is written once, for mypy and for MCP."""

from __future__ import annotations

import types
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from proctui.tools.results import ErrorBody

__all__ = ["object_schema", "type_schema"]

_PLAIN: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
}


def object_schema(kind: Any) -> dict[str, Any]:
    """Schema of a result: complete, or an ``error`` in its place (never an MCP error)."""
    definitions: dict[str, Any] = {}
    schema = _typed_dict(kind, definitions)
    required = schema.pop("required", [])
    schema["properties"]["error"] = type_schema(ErrorBody, definitions)
    schema["anyOf"] = [{"required": required}, {"required": ["error"]}]
    if definitions:
        schema["$defs"] = definitions
    return schema


def type_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Schema of one annotation; ``TypedDict``\\ s go to ``definitions`` (they may be recursive)."""
    try:
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
    except TypeError:
        pass
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (NotRequired, Required):
        return type_schema(arguments[0], definitions)
    if origin in (Union, types.UnionType):
        return _union([type_schema(one, definitions) for one in arguments])
    if origin is list:
        return {"type": "array", "items": type_schema(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": type_schema(arguments[1], definitions)}
    if origin is Literal:
        return {"enum": list(arguments)}
    if is_typeddict(kind):
        name = kind.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _typed_dict(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    raise TypeError(f"no JSON Schema for {kind!r}")


def _union(options: list[dict[str, Any]]) -> dict[str, Any]:
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    return {"anyOf": options}


def _typed_dict(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        "properties": {name: type_schema(hint, definitions) for name, hint in hints.items()},
        # Not __required_keys__: it does not see NotRequired in annotations that are strings.
        "required": sorted(
            name for name, hint in hints.items() if get_origin(hint) is not NotRequired
        ),
    }
