"""Runs a script in namespaces of its own, where it may misbehave as it likes."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import proctui

TREE = Path(proctui.__file__).parents[1]
PRELUDE = """
import contextlib, json, os, signal, subprocess, sys, time
from pathlib import Path
from tests.killing.scene import Scene, read_table
from tests.support import wait_for, alive, running
from proctui.errors import *
from proctui.killing import signals
from proctui.killing.execute import execute
from proctui.killing.plan import make_plan, make_group_plan
from proctui.machine import identity as identities
"""


@functools.cache
def prefix(mounts: bool) -> tuple[str, ...] | None:
    """The command that makes the namespaces, ``None`` where that is not allowed."""
    if shutil.which("unshare") is None:
        return None
    base = ["unshare", "-m"] if mounts else ["unshare", "-pf", "--mount-proc", "--kill-child"]
    for extra in ([], ["-Ur"]):
        tried = [base[0], *extra, *base[1:]]
        if subprocess.run([*tried, sys.executable, "-c", ""], capture_output=True).returncode == 0:
            return tuple(tried)
    return None


def isolated(script: str, *arguments: str, mounts: bool = False, timeout: float = 60.0) -> str:
    """Run the script (as pid 1 of its own pid namespace, or with its own mounts); its output.

    Skips the test where namespaces are not allowed, fails it where the script does.
    """
    how = prefix(mounts)
    if how is None:
        pytest.skip("namespaces are not allowed here (unshare failed)")
    done = subprocess.run(
        [*how, sys.executable, "-c", PRELUDE + script, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, f"the script failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout
