"""The job's own control group: joined at birth, killed at once, removed at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.awareness import cgroup
from proctui.jobs import birth
from tests.support import alive, wait_for

PROCTUI = [sys.executable, "-m", "proctui"]
_PROBE = "f" * 32


def _allowed() -> bool:
    name = cgroup.create(_PROBE)
    return name is not None and cgroup.remove(name)


pytestmark = pytest.mark.skipif(not _allowed(), reason="no control group may be made here")


def groups() -> set[str]:
    base = cgroup.mount()
    own = cgroup.own_path()
    assert base is not None and own is not None
    return {entry.name for entry in Path(f"{base}{own}").glob("proctui-*")}


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROCTUI, "run", "--no-tui", *options, "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def session_group() -> str:
    listed = subprocess.run(
        [*PROCTUI, "sessions", "--json"], capture_output=True, text=True, check=True
    )
    (session,) = json.loads(listed.stdout)["sessions"]
    return f"proctui-{session['id']}"


def test_the_command_is_born_in_the_group_and_the_group_goes_with_it() -> None:
    done = run("cat /proc/self/cgroup; exit 5")
    assert done.returncode == 5
    name = session_group()
    assert name in done.stdout
    wait_for(lambda: name not in groups())


def test_where_the_kernel_forks_into_no_group_the_child_joins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(birth, "fork_into", lambda directory: None)
    nest = birth.Nest("e" * 32)
    assert nest.name is not None
    reading, writing = os.pipe()
    pid = nest.fork()
    if pid == 0:
        os.write(writing, Path("/proc/self/cgroup").read_bytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert b"proctui-" + b"e" * 32 in stream.read()
    os.waitpid(pid, 0)
    assert cgroup.remove(nest.name)


def test_a_stray_with_no_other_trace_is_still_certain(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    done = run(
        f"(setsid env -i /bin/sh -c 'echo $$ > {pidfile}; exec sleep 600' >/dev/null 2>&1 &);"
        f" while [ ! -s {pidfile} ]; do :; done"
    )
    stray = int(pidfile.read_text())
    assert str(stray) in done.stderr
    name = session_group()
    assert name in Path(f"/proc/{stray}/cgroup").read_text()
    ended = subprocess.run(
        [*PROCTUI, "strays", "--end", "--yes"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended
    wait_for(lambda: not alive(stray) and name not in groups())
