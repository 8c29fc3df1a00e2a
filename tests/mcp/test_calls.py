"""What a call is wrapped in: a limit, cancellation, and no error that is no result."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("mcp")

import anyio

from proctui.mcp import server
from proctui.tools.declare import Tool
from tests.mcp import slow
from tests.support import wait_for

HOST: Any = SimpleNamespace(look=None, outside=None)


def tool(function: str, limit: float = 30.0) -> Tool:
    parameters = {"type": "object", "properties": {"seconds": {"type": "integer"}}}
    if function == "breaks":
        parameters["properties"] = {}
    return Tool(
        name=function,
        description="made up",
        parameters=parameters,
        phase="mcp",
        target=f"tests.mcp.slow:{function}",
        result="tests.mcp.slow:Nothing",
        time_limit=limit,
    )


async def call(one: Tool, **arguments: Any) -> dict[str, Any]:
    limiter = anyio.CapacityLimiter(4)
    return await server._result(HOST, {one.name: one}, limiter, one.name, arguments)


async def test_a_call_that_takes_too_long_is_timed_out_and_stopped() -> None:
    slow.stopped.clear()
    result = await call(tool("waits", limit=0.1))
    assert result["error"]["kind"] == "timed-out" and result["error"]["hint"]
    wait_for(slow.stopped.is_set)


async def test_a_cancelled_call_is_stopped() -> None:
    slow.stopped.clear()
    task = asyncio.create_task(call(tool("waits")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_within_its_limit_is_answered() -> None:
    assert await call(tool("waits"), seconds=0) == {"done": True}


async def test_an_unforeseen_error_is_a_result_without_control_characters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.CRITICAL, "proctui.mcp"):
        result = await call(tool("breaks"))
    assert result["error"]["kind"] == "internal-error"
    answer = server._answer(result)
    assert answer.is_error
    assert "\x1b" not in answer.structured_content["error"]["message"]
    assert "\\u001b" not in answer.content[0].text  # type: ignore[union-attr]


def test_a_duration_is_added_to_the_limit() -> None:
    one = tool("waits", limit=30)
    assert server._limit(one, {"duration": 60}) == 90
    assert server._limit(one, {"duration": True}) == 30
    assert server._limit(one, {"duration": 10**9}) == 3630
