"""The declarations against requirements.md's JSON, and every face against the declarations."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import proctui
from proctui.errors import BadArgument
from proctui.tools.call import arguments_of
from proctui.tools.declarations import BEYOND, EIGHT, TOOLS, find, of_phase
from proctui.tools.declare import FORMATS, Tool, as_json

REQUIRED = json.loads((Path(__file__).parent / "requirements.json").read_text())
"""The seven function schemas as requirements.md writes them, copied out of it unchanged."""
FIVE = [
    "inspect_process",
    "get_memory_profile",
    "get_cpu_profile",
    "get_system_resources",
    "show_process_tree",
]


def printed(*argv: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "proctui", "tools", *argv],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("wanted", REQUIRED, ids=lambda tool: tool["function"]["name"])
def test_openai_declarations_are_those_of_the_requirements(wanted: dict[str, Any]) -> None:
    tool = find(wanted["function"]["name"])
    assert tool is not None
    assert as_json(tool, "openai") == wanted


def test_phases() -> None:
    assert [tool.name for tool in of_phase("any")] == FIVE
    assert [tool.name for tool in of_phase("debugging")] == [
        *FIVE,
        "get_stack_trace",
        "analyze_logs",
        "attach_debugger",
    ]
    assert [one["function"]["name"] for one in printed()] == FIVE
    assert len(printed("--phase", "debugging")) == 8


@pytest.mark.parametrize("style", FORMATS)
def test_the_command_prints_the_declarations(style: Any) -> None:
    assert printed("--format", style, "--phase", "debugging") == [
        as_json(tool, style) for tool in EIGHT
    ]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_strict_declarations_keep_the_strict_rules(tool: Tool) -> None:
    function = as_json(tool, "openai-strict")["function"]
    assert function["strict"] is True
    parameters = function["parameters"]
    assert parameters["additionalProperties"] is False
    assert parameters["required"] == list(parameters["properties"])
    for name, schema in parameters["properties"].items():
        kinds = schema.get("type", [])
        nullable = "null" in kinds or {"type": "null"} in schema.get("anyOf", [])
        assert nullable == (name not in tool.required), name
    jsonschema.Draft202012Validator.check_schema(parameters)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_mcp_declarations_are_valid_schemas(tool: Tool) -> None:
    document = as_json(tool, "mcp")
    jsonschema.Draft202012Validator.check_schema(document["inputSchema"])
    jsonschema.Draft202012Validator.check_schema(document["outputSchema"])
    assert document["inputSchema"] == tool.parameters
    assert document["outputSchema"]["type"] == "object"
    refusal = {"error": {"kind": "refused", "message": "no", "hint": None}}
    jsonschema.validate(refusal, document["outputSchema"])
    hints = document["annotations"]
    assert hints["readOnlyHint"] == tool.read_only
    assert not (hints["readOnlyHint"] and hints["destructiveHint"])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_function_takes_what_is_declared(tool: Tool) -> None:
    parameters = inspect.signature(tool.function()).parameters
    declared = list(tool.properties)
    assert declared == [name for name in parameters if name in declared]
    for name, parameter in parameters.items():
        required = parameter.default is inspect.Parameter.empty
        assert required == (name in tool.required), name


@pytest.mark.parametrize("tool", EIGHT, ids=lambda tool: tool.name)
def test_the_library_offers_the_declared_function(tool: Tool) -> None:
    assert getattr(proctui, tool.name) is tool.function()


def test_names_are_unique_and_destruction_is_told() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(set(names)) == len(names)
    assert {tool.name for tool in TOOLS if tool.destructive} == {"attach_debugger", "execute_kill"}
    assert {tool.name for tool in BEYOND if not tool.read_only} == {"execute_kill", "start_process"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inspect_process", {}),
        ("inspect_process", {"pid": None}),
        ("inspect_process", {"pid": True}),
        ("inspect_process", {"pid": "12"}),
        ("inspect_process", {"pid": 1.0}),
        ("inspect_process", {"pid": 1, "colour": 2}),
        ("inspect_process", [1]),
        ("get_system_resources", {"metrics": ["gpu"]}),
        ("get_system_resources", {"metrics": "cpu"}),
        ("start_process", {"command": [], "name": "x"}),
        ("start_process", {"command": "", "name": "x"}),
        ("start_process", {"command": ["a", 1], "name": "x"}),
        ("start_process", {"command": ["\ud800"], "name": "x"}),
        ("analyze_logs", {"log_file": "\ud800"}),
        ("attach_debugger", {"pid": 1, "how": "strace"}),
    ],
)
def test_arguments_that_do_not_fit_are_told_apart(name: str, arguments: Any) -> None:
    tool = find(name)
    assert tool is not None
    with pytest.raises(BadArgument):
        arguments_of(tool, arguments)


def test_null_for_an_optional_parameter_is_its_default() -> None:
    tool = find("get_memory_profile")
    assert tool is not None
    assert arguments_of(tool, {"pid": None, "include_children": True}) == {"include_children": True}


@pytest.mark.parametrize("session", [5, True, b"x"])
def test_a_session_is_named_by_text(session: Any) -> None:
    with pytest.raises(BadArgument):
        proctui.plan_kill(os.getpid(), session=session)
