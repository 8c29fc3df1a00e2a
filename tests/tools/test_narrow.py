"""The narrow look of the tools gives every role and every relation that a full one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.support import running, wait_for

INSPECT = """
import json, os, sys
from proctui.awareness import opening
from proctui.machine.once import OnceSource
from proctui.tools.inspection import inspect_process
from proctui.tools.tree import show_process_tree

KEYS = ("identity", "role", "certainty", "unchecked", "parent", "ancestors", "children", "stray")
def facts(pid):
    result = inspect_process(pid)
    return {**{key: result[key] for key in KEYS}, "words": len(result["evidence"])}
def nodes(node):
    yield [node[key] for key in ("identity", "role", "certainty")]
    for child in node["children"]:
        yield from nodes(child)

pids = json.loads(sys.stdin.read())
narrow = [facts(pid) for pid in pids] + [list(nodes(show_process_tree(pids[0])["root"]))]
seen = len(OnceSource(pids[0]).sample(fresh=True).procs)
everybody = len([name for name in os.listdir("/proc") if name.isdecimal()])
opening._single_look = lambda only, **options: None
full = [facts(pid) for pid in pids] + [list(nodes(show_process_tree(pids[0])["root"]))]
print(json.dumps([narrow, full, seen, everybody]))
"""

JOB = """
import json, os, subprocess, sys
child = subprocess.Popen(["sh", "-c", "sleep 600 & wait"])
r, w = os.pipe()
middle = subprocess.Popen(["sh", "-c", "setsid sleep 600 & echo $! >&%d" % w], pass_fds=(w,))
middle.wait()
stray = int(os.read(r, 32))
done = subprocess.run([sys.executable, "-c", sys.argv[1]], input=json.dumps(
    [os.getpid(), child.pid, stray, os.getppid(), 1, 2] + json.loads(sys.argv[2])
), stdout=subprocess.PIPE, text=True)
print(done.stdout, flush=True)
child.kill()
os.kill(stray, 9)
"""


def compared(argv: list[str]) -> Any:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def check(narrow: list[Any], full: list[Any], pids: int) -> list[Any]:
    assert len(narrow) == pids + 1
    for one, other in zip(narrow, full, strict=True):
        if isinstance(one, dict) and one["identity"].startswith(("1:", "2:", "1@", "2@")):
            # Theirs come and go between the two looks.
            kids = [{kid["identity"]: kid for kid in side.pop("children")} for side in (one, other)]
            both = kids[0].keys() & kids[1].keys()
            assert both or one["name"] != "kthreadd"
            assert all(kids[0][kid]["role"] == kids[1][kid]["role"] for kid in both)
        assert one == other
    return narrow


def test_without_a_session() -> None:
    with running(["sh", "-c", "sleep 600 & wait"]) as stranger:
        wait_for(lambda: psutil.Process(stranger.pid).children(), 30, "the shell's child")
        done = subprocess.run(
            [sys.executable, "-c", INSPECT],
            input=json.dumps([stranger.pid, os.getpid(), os.getppid(), 1, 2]),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    narrow, full, seen, everybody = json.loads(done.stdout)
    found = check(narrow, full, 5)
    assert found[0]["children"]
    assert found[1]["role"] == "ancestor"
    assert seen < everybody


def test_inside_a_job_with_a_stray(tmp_path: Path) -> None:
    with running(["sleep", "600"]) as stranger:
        narrow, full, *_ = compared(
            [sys.executable, "-m", "proctui", "run", "--no-tui", "--strays", "end", "--",
             sys.executable, "-c", JOB, INSPECT, json.dumps([stranger.pid])]
        )  # fmt: skip
    found = check(narrow, full, 7)
    roles = [one["role"] for one in found[:7]]
    assert roles[0] == "ancestor"
    assert roles[1:3] == ["spawned", "spawned"]
    assert found[2]["stray"]
    assert roles[4:] == [
        "ancestor" if roles[4] == "ancestor" else "protected",
        "protected",
        "baseline",
    ]
