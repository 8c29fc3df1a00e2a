"""From behind the fence: what the runner outside answers, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proctui.errors import BadArgument, RefusedError
from proctui.jobs import broker, fence
from tests.support import alive, running

needs_fence = pytest.mark.skipif(fence.missing() is not None, reason=str(fence.missing()))
PROCTUI = f"{sys.executable} -m proctui"


def job(script: str, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proctui", "run", "--no-tui", *options, "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
        **more,
    )


@needs_fence
def test_a_sibling_fence_is_reached_through_the_runner(tmp_path: Path) -> None:
    """Two fences in one session: the kernel forbids, the guard allows what the session spawned."""
    script = f"""
        {PROCTUI} fence -- sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' &
        while [ ! -s {tmp_path}/pid ]; do :; done
        {PROCTUI} fence -- sh -c "kill $(cat {tmp_path}/pid) 2>/dev/null; echo direct \\$?"
        {PROCTUI} fence -- {PROCTUI} kill $(cat {tmp_path}/pid) --yes --json > {tmp_path}/out
        echo status $?
        wait
    """
    done = job(script)
    assert "direct 1" in done.stdout and "status 0" in done.stdout, done
    result = json.loads((tmp_path / "out").read_text())
    assert [one["outcome"] for one in result["results"]] in (["exited"], ["zombie"])


@needs_fence
def test_the_asker_its_ancestors_and_strangers_are_refused(tmp_path: Path) -> None:
    with running(["sleep", "600"]) as stranger:
        script = f"""
            echo $$ > {tmp_path}/leader
            {PROCTUI} kill $$ --yes --json > {tmp_path}/ancestor
            {PROCTUI} kill {stranger.pid} --yes --json > {tmp_path}/stranger
            {PROCTUI} inspect {stranger.pid} --json > {tmp_path}/inspect
            {PROCTUI} adopt {stranger.pid} --json > {tmp_path}/adopt
            echo alive
        """
        done = job(script, "--fence")
        assert "alive" in done.stdout, done
        ancestor = json.loads((tmp_path / "ancestor").read_text())
        assert ancestor["error"]["kind"] == "refused"
        assert ancestor["plan"]["refused"][0]["role"] == "ancestor"
        refused = json.loads((tmp_path / "stranger").read_text())
        assert refused["error"]["kind"] == "refused"
        assert refused["plan"]["refused"][0]["role"] in ("baseline", "unknown")
        seen = json.loads((tmp_path / "inspect").read_text())
        assert seen["pid"] == stranger.pid and seen["cwd"] is not None
        assert json.loads((tmp_path / "adopt").read_text())["error"]["kind"] == "refused"
        assert alive(stranger.pid)


@pytest.mark.parametrize(
    "argv",
    [
        ["adopt", "12"],
        ["run", "--", "true"],
        ["kill", "12", "--session", "ab"],
        ["stack", "12", "--exact"],
    ],
)
def test_what_the_broker_does_not_answer(argv: list[str]) -> None:
    with pytest.raises(RefusedError):
        broker._checked(argv)


@pytest.mark.parametrize("argv", [None, [], "kill 12", [1], ["kill"] * 5000])
def test_what_is_no_question(argv: object) -> None:
    with pytest.raises(BadArgument):
        broker._checked(argv)


def test_outside_no_fence_is_seen() -> None:
    assert not broker.may_be_fenced() or fence.landlock_abi() == 0
