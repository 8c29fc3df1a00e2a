"""Processes that own a session, for tests that look at it from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from proctui.awareness import registry
from tests.support import running

OWNER = """
import sys, time
from proctui.awareness.baseline import Baseline
from proctui.awareness.writer import create_session
from proctui.machine.identity import identify
from proctui.machine.source import open_source
from proctui.model import Certainty
writer = create_session("job", kind=sys.argv[1], leader=identify(int(sys.argv[2])), lock=True)
baseline = Baseline.capture(open_source())[0]
for pid in sys.argv[3:]:
    baseline.release(identify(int(pid)))
writer.write_baseline(baseline)
for pid in sys.argv[3:]:
    writer.record_spawned(identify(int(pid)), ("seen by the owner",), Certainty.CERTAIN)
writer.flush()
print(writer.session.id, flush=True)
sys.stdin.read()
"""
SLEEP = ["sleep", "300"]


def owner(kind: str, leader: int, *spawned: int) -> Any:
    """A process that owns a session on ``leader`` until its stdin closes."""
    numbers = [str(pid) for pid in (leader, *spawned)]
    argv = [sys.executable, "-c", OWNER, kind, *numbers]
    return running(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def named(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def at(session_id: str, name: str = "") -> Path:
    return registry.session_roots()[0] / session_id / name
