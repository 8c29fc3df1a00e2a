"""``proctui mcp`` as an agent meets it: the SDK's own client over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

pytest.importorskip("mcp")

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from proctui.jobs.fence import missing
from proctui.tools.declarations import BEYOND, EIGHT, of_phase
from proctui.tools.declare import as_json
from tests.support import alive, python, running, wait_for

OWN = [tool.name for tool in BEYOND]


@asynccontextmanager
async def server(
    *options: str, launcher: tuple[str, ...] = (sys.executable,)
) -> AsyncIterator[ClientSession]:
    """A session with a server that got the bare environment such clients give."""
    kept = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "PROCTUI_FALLBACK")
    parameters = StdioServerParameters(
        command=launcher[0],
        args=[*launcher[1:], "-m", "proctui", "mcp", *options],
        env={name: os.environ[name] for name in kept},
    )
    async with (
        stdio_client(parameters) as (reading, writing),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield session


async def ask(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result, which must also be there as text."""
    answer = await session.call_tool(tool, arguments)
    result: dict[str, Any] = answer.structured_content
    assert json.loads(answer.content[0].text) == result  # type: ignore[union-attr]
    return result


async def until(what: Any, timeout: float = 15.0) -> Any:
    deadline = time.monotonic() + timeout
    while True:
        found = await what()
        if found:
            return found
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "debugger"),
    [
        ((), False),
        (("--phase", "debugging"), False),
        (("--allow-debugger",), True),
        (("--phase", "debugging", "--allow-debugger"), True),
    ],
)
async def test_the_tools_of_each_phase_are_the_declared_ones(
    options: tuple[str, ...], debugger: bool
) -> None:
    async with server(*options) as session:
        listed = {tool.name: tool for tool in (await session.list_tools()).tools}
    phase: Any = "debugging" if "debugging" in options else "any"
    expected = [one.name for one in of_phase(phase) if one.name != "attach_debugger"]
    assert set(listed) == {*expected, *OWN, *(["attach_debugger"] if debugger else [])}
    for tool in (*EIGHT, *BEYOND):
        if tool.name in listed:
            told = listed[tool.name].model_dump(by_alias=True, exclude_none=True, mode="json")
            declared = as_json(tool, "mcp")
            assert {name: told[name] for name in declared} == declared


async def test_results_are_structured_and_fit_their_schemas() -> None:
    async with server("--phase", "debugging") as session:
        schemas = {one.name: one.output_schema for one in (await session.list_tools()).tools}
        log = Path(os.environ["XDG_STATE_HOME"]).parent / "app.log"
        log.write_text("2026-01-02 03:04:05 ERROR broke\n")
        calls: dict[str, dict[str, Any]] = {
            "inspect_process": {"pid": os.getpid(), "include_threads": True},
            "get_memory_profile": {"pid": os.getpid(), "include_children": None},
            "get_cpu_profile": {"pid": os.getpid(), "duration": 1},
            "get_system_resources": {},
            "show_process_tree": {"depth": 2},
            "get_stack_trace": {"pid": os.getpid(), "all_threads": True},
            "analyze_logs": {"log_file": str(log), "pattern": "broke"},
            "list_sessions": {},
            "list_spawned": {},
            "find_hangs": {"pid": os.getpid()},
            "plan_kill": {"pid": os.getpid()},
        }
        answers = await asyncio.gather(*(ask(session, name, **one) for name, one in calls.items()))
    for name, result in zip(calls, answers, strict=True):
        schema = schemas[name]
        assert schema is not None
        jsonschema.validate(result, schema)
        assert set(result) >= {"plan"} or "error" not in result, (name, result.get("error"))
    tree = answers[4]["root"]
    assert tree["pid"] == os.getpid() and tree["role"] == "ancestor"


async def test_what_the_client_starts_later_is_spawned_and_can_be_ended() -> None:
    with running(["sleep", "600"]) as before:
        async with server() as session:
            with running(["sleep", "600"]) as after:
                spawned = await until(lambda: _pids(session, after.pid))
                assert before.pid not in spawned and os.getpid() not in spawned
                refused = await ask(session, "plan_kill", pid=before.pid)
                assert refused["error"]["kind"] == "refused"
                assert refused["plan"]["refused"][0]["role"] == "baseline"
                assert refused["plan"]["targets"] == []
                planned = await ask(session, "plan_kill", pid=after.pid, tree=True)
                done = await ask(session, "execute_kill", plan_id=planned["plan"]["id"])
                assert done["results"][0]["outcome"] in ("exited", "zombie")
                assert after.wait(15) == -signal.SIGTERM
            assert before.poll() is None


async def test_a_launcher_between_is_not_the_client() -> None:
    """``uvx``, ``npx`` and shells start the server and wait for it."""
    shell = ("/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable)
    async with server(launcher=("/bin/sh", "-c", '"$0" "$@"; exit $?', *shell)) as session:
        with running(["sleep", "600"]) as after:
            await until(lambda: _pids(session, after.pid))
            row = await _row(session, after.pid)
            assert row["stray"] is False and row["certainty"] == "certain"
        refused = await ask(session, "plan_kill", pid=os.getpid())
        assert refused["plan"]["refused"][0]["role"] == "ancestor"


async def _pids(session: ClientSession, wanted: int) -> set[int] | None:
    listed = await ask(session, "list_spawned")
    pids = {row["pid"] for row in listed["processes"]}
    return pids if wanted in pids else None


async def test_the_client_and_strangers_are_refused_as_results() -> None:
    async with server() as session:
        for pid in (os.getpid(), os.getppid()):
            answer = await session.call_tool("plan_kill", {"pid": pid})
            assert not answer.is_error
            assert answer.structured_content["error"]["kind"] == "refused"
            assert answer.structured_content["plan"]["refused"][0]["role"] == "ancestor"
            name = answer.structured_content["plan"]["id"]
            executed = await ask(session, "execute_kill", plan_id=name)
            assert executed["results"] == [] and executed["error"]["kind"] == "refused"
        unknown = await ask(session, "execute_kill", plan_id="0" * 16)
        assert unknown["error"]["kind"] == "refused"


FAILURES: list[tuple[str, dict[str, Any], str]] = [
    ("inspect_process", {"pid": 4_000_000}, "no-such-process"),
    ("inspect_process", {"pid": 0}, "bad-argument"),
    ("inspect_process", {"pid": "12"}, "bad-argument"),
    ("inspect_process", {}, "bad-argument"),
    ("inspect_process", {"pid": 1, "colour": 1}, "bad-argument"),
    ("plan_kill", {"pid": 1}, "bad-argument"),
    ("nope", {}, "bad-argument"),
    ("attach_debugger", {"pid": 1}, "bad-argument"),
    ("read_output", {"name": "nobody"}, "bad-argument"),
    ("start_process", {"command": [], "name": "x"}, "bad-argument"),
    ("start_process", {"command": ["true"], "name": " "}, "bad-argument"),
    ("start_process", {"command": ["/nonexistent/program"], "name": "x"}, "no-such-file"),
]


async def test_failures_are_results() -> None:
    async with server() as session:
        for tool, arguments, kind in FAILURES:
            result = await ask(session, tool, **arguments)
            assert result["error"]["kind"] == kind, (tool, arguments, result)
            assert result["error"]["message"]


async def test_a_background_process_has_a_name_an_output_and_an_end() -> None:
    async with server() as session:
        started = await ask(
            session, "start_process", name="web", command="echo up; echo oops >&2; sleep 600"
        )
        assert started["owner"]["pid"] == os.getpid() and started["owner"]["role"] == "ancestor"
        pid = started["pid"]
        assert psutil.Process(pid).is_running()

        async def output() -> Any:
            result = await ask(session, "read_output", name="web", last_n_lines=5)
            return result if len(result["lines"]) == 2 else None

        result = await until(output)
        assert result["lines"] == ["up", "oops"] and result["running"] is True
        again = await ask(session, "start_process", name="web", command=["true"])
        assert again["error"]["kind"] == "refused"
        listed = await until(lambda: _row(session, pid))
        assert listed["role"] == "spawned" and listed["evidence"]
        sessions = await ask(session, "list_sessions")
        assert "web" in {one["label"] for one in sessions["sessions"]}
        planned = await ask(session, "plan_kill", pid=pid, tree=True)
        executed = await ask(session, "execute_kill", plan_id=planned["plan"]["id"])
        assert {one["outcome"] for one in executed["results"]} <= {"exited", "zombie"}

        async def ended() -> Any:
            result = await ask(session, "read_output", name="web")
            return None if result["running"] else result

        result = await until(ended)
        assert result["exit_status"] == 128 + signal.SIGTERM and result["ended"]
        more = await ask(session, "start_process", name="web", command="ulimit -n; exit 7")
        assert more["pid"] != pid
        result = await until(ended)
        assert result["exit_status"] == 7
        assert result["lines"] == [str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]


async def _row(session: ClientSession, pid: int) -> Any:
    listed = await ask(session, "list_spawned")
    return next((row for row in listed["processes"] if row["pid"] == pid), None)


async def test_nothing_stays_behind_when_the_client_goes() -> None:
    own = psutil.Process()
    before = {child.pid for child in own.children(recursive=True)}
    async with server() as session:
        pids = set()
        for name in ("one", "two"):
            command = "setsid sleep 600 & sleep 600"
            started = await ask(session, "start_process", name=name, command=command)
            pids.add(started["pid"])

        async def whole() -> Any:
            rows = (await ask(session, "list_spawned"))["processes"]
            found = {row["pid"] for row in rows}
            sleeps = [row for row in rows if row["name"] == "sleep"]
            return found if pids <= found and len(sleeps) == 4 else None

        spawned = await until(whole)
    wait_for(lambda: not any(alive(pid) for pid in spawned), what="background processes to end")
    wait_for(lambda: {child.pid for child in own.children(recursive=True)} <= before)


def test_nothing_stays_behind_when_the_server_is_killed(tmp_path: Path) -> None:
    with running(
        [sys.executable, "-m", "proctui", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        say = _speaker(process)
        say(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "t", "version": "1"},
        )
        started = say(
            "tools/call", name="start_process", arguments={"command": ["sleep", "600"], "name": "s"}
        )
        pid = started["structuredContent"]["pid"]
        assert alive(pid)
        process.kill()
        process.wait()
        wait_for(lambda: not alive(pid), what="the background process to end")


def _speaker(process: subprocess.Popen[str]) -> Any:
    """Raw JSON-RPC, for what the SDK's client is too polite to do."""
    assert process.stdin is not None and process.stdout is not None
    number = 0

    def say(method: str, **parameters: Any) -> Any:
        nonlocal number
        number += 1
        assert process.stdin is not None and process.stdout is not None
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        while True:
            answer = json.loads(process.stdout.readline())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result = answer["result"]
                assert "error" not in result.get("structuredContent", {}), result
                return result

    return say


WITH_A_STUCK_TOOL = """
import sys
from proctui.tools import declarations
from proctui.tools.declare import Tool
declarations.BEYOND += (Tool(
    name="stuck", description="", parameters={"type": "object", "properties": {}}, phase="mcp",
    target="tests.mcp.slow:stuck", result="tests.mcp.slow:Nothing",
),)
from proctui.cli.main import main
sys.exit(main(["mcp"]))
"""


@pytest.mark.parametrize("both", [True, False], ids=["client died", "client closed"])
def test_a_client_that_goes_amid_a_call_leaves_no_server(both: bool, tmp_path: Path) -> None:
    with running(
        [sys.executable, "-c", WITH_A_STUCK_TOOL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        say = _speaker(process)
        say(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "t", "version": "1"},
        )
        begun = say(
            "tools/call", name="start_process", arguments={"command": ["sleep", "600"], "name": "s"}
        )
        for number in range(900, 910):
            call = {"name": "stuck", "arguments": {}}
            message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}
            process.stdin.write(json.dumps(message) + "\n")
        for number in range(910, 960):  # answers that meet a closed pipe
            message = {"jsonrpc": "2.0", "id": number, "method": "ping"}
            process.stdin.write(json.dumps(message) + "\n")
        if both:
            process.stdout.close()
        process.stdin.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
        wait_for(lambda: not alive(begun["structuredContent"]["pid"]))
        assert not list((tmp_path / "state").rglob("crashes/*"))


async def test_a_quick_call_does_not_stand_behind_long_ones() -> None:
    async with server() as session:
        long = [
            asyncio.create_task(session.call_tool("get_cpu_profile", {"duration": 600}))
            for _ in range(30)
        ]
        quick = await asyncio.wait_for(ask(session, "list_sessions"), 60)
        assert quick["sessions"]
        assert not any(one.done() for one in long)
        for one in long:
            one.cancel()
        await asyncio.gather(*long, return_exceptions=True)


def test_term_ends_the_server_and_what_it_started() -> None:
    with running(
        [sys.executable, "-m", "proctui", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        say = _speaker(process)
        say(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "t", "version": "1"},
        )
        started = say(
            "tools/call", name="start_process", arguments={"command": ["sleep", "600"], "name": "s"}
        )
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        wait_for(lambda: not alive(started["structuredContent"]["pid"]))
        assert process.stderr is not None and process.stderr.read() == ""


async def test_a_cancelled_call_ends_and_the_server_goes_on() -> None:
    async with server() as session:
        slow = asyncio.create_task(session.call_tool("get_cpu_profile", {"duration": 600}))
        quick = await ask(session, "get_system_resources", metrics=["memory"])
        assert quick["memory"]["total"]
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        again = await asyncio.gather(*(ask(session, "list_sessions") for _ in range(20)))
        assert len(again) == 20


CLIENT = """\
import asyncio, json, os, subprocess, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
async def main():
    kept = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "PROCTUI_FALLBACK")
    child = subprocess.Popen(["sleep", "600"])
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "proctui", "mcp"],
        env={name: os.environ[name] for name in kept})
    async with stdio_client(parameters) as (reading, writing):
        async with ClientSession(reading, writing) as session:
            await session.initialize()
            async def ask(tool, **arguments):
                return (await session.call_tool(tool, arguments)).structured_content
            found = {
                "child": child.pid,
                "spawned": await ask("list_spawned"),
                "sessions": await ask("list_sessions"),
                "outsider": await ask("inspect_process", pid=int(sys.argv[1])),
                "refused": await ask("plan_kill", pid=int(sys.argv[1])),
            }
            plan = await ask("plan_kill", pid=child.pid)
            found["ended"] = await ask("execute_kill", plan_id=plan["plan"]["id"])
    child.wait()
    print(json.dumps(found))
asyncio.run(main())
"""


@pytest.mark.parametrize("fence", [(), ("--fence",)])
def test_inside_a_session_that_session_is_used(fence: tuple[str, ...]) -> None:
    """The server is found by ancestry: a client scrubs the marker from its environment."""
    if fence and missing() is not None:
        pytest.skip(f"no fence here: {missing()}")
    argv = [sys.executable, "-m", "proctui", "run", "--no-tui", *fence, "--name", "agent", "--"]
    with running(["sleep", "601"]) as outsider:
        done = subprocess.run(
            [*argv, *python(CLIENT, str(outsider.pid))],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert outsider.poll() is None
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (agent,) = [
        one for one in found["sessions"]["sessions"] if one["id"] == found["spawned"]["session"]
    ]
    assert agent["label"] == "agent" and agent["state"] == "live"
    row = next(one for one in found["spawned"]["processes"] if one["pid"] == found["child"])
    assert row["role"] == "spawned" and row["certainty"] == "certain" and row["stray"] is False
    # Behind the fence the kernel refuses to tell; the runner outside does.
    assert found["outsider"]["exe"] and found["outsider"]["environ"]
    assert "error" not in found["outsider"]
    assert found["refused"]["error"]["kind"] == "refused"
    assert found["ended"]["results"][0]["outcome"] in ("exited", "zombie")


async def test_strays_are_what_left_the_clients_tree() -> None:
    async with server() as session:
        code = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True); input()"
        with running(
            python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None and parent.stdin is not None
            orphan = int(parent.stdout.readline())
            row = await until(lambda: _row(session, orphan))
            assert row["stray"] is False
            parent.stdin.write("\n")
            parent.stdin.close()
            parent.wait()

        async def stray() -> Any:
            row = await _row(session, orphan)
            return row if row and row["stray"] else None

        row = await until(stray)
        assert row["role"] == "spawned" and row["certainty"] == "certain"
        planned = await ask(session, "plan_kill", pid=orphan)
        done = await ask(session, "execute_kill", plan_id=planned["plan"]["id"])
        assert done["results"][0]["outcome"] in ("exited", "zombie", "gone")
    wait_for(lambda: not alive(orphan))
