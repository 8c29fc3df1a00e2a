"""What ``watch PID|NAME|:PORT`` means."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.awareness.targets import listeners, resolve
from proctui.errors import BadArgument, NoSuchProcess
from proctui.machine import identity as kernel
from tests.support import python, running, wait_for

SLEEP = "import time; time.sleep(300)"


def test_a_pid_and_an_identity() -> None:
    with running(["sleep", "300"]) as child:
        identity = kernel.identify(child.pid)
        assert resolve(str(child.pid)) == identity
        assert resolve(str(identity)).same(identity)
        assert resolve(f"{child.pid}@{identity.start_ticks}").same(identity)
        with pytest.raises(NoSuchProcess, match="has ended"):
            resolve(f"{child.pid}:1")
    with pytest.raises(NoSuchProcess):
        resolve(str(identity))


def test_a_name_that_is_the_processes_own(tmp_path: Path) -> None:
    program = tmp_path / "odd-name-1"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with running([str(program), "300"]) as child:
        wait_for(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "odd-name-1\n")
        assert resolve("odd-name-1").pid == child.pid
        with running([str(program), "301"]) as second:
            wait_for(lambda: Path(f"/proc/{second.pid}/comm").read_text() == "odd-name-1\n")
            with pytest.raises(BadArgument, match="fits 2 processes") as caught:
                resolve("odd-name-1")
            assert f"{child.pid}  {program} 300" in caught.value.message
            assert f"{second.pid}  {program} 301" in caught.value.message


def test_a_name_found_in_the_command_line() -> None:
    with running(python(SLEEP, "needle-in-argv-7")) as child:
        wait_for(lambda: b"needle" in Path(f"/proc/{child.pid}/cmdline").read_bytes())
        assert resolve("needle-in-argv-7").pid == child.pid


def test_the_asking_program_does_not_match_itself() -> None:
    code = "import sys; from proctui.awareness.targets import resolve; resolve(sys.argv[1])"
    argv = [sys.executable, "-c", code, "only-in-my-own-argv"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert "no process is called" in done.stderr


def test_a_port() -> None:
    code = (
        "import socket, os, time; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); os.fork(); time.sleep(300)"
    )
    with running(python(code), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        wait_for(lambda: len(listeners(port, _pids())) == 2, what="the worker")
        assert resolve(f":{port}").pid == child.pid


def test_a_port_by_udp_and_version_6() -> None:
    code = (
        "import socket, time; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM);"
        "s.bind(('::', 0)); print(s.getsockname()[1], flush=True); time.sleep(300)"
    )
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with running(python(code), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            pytest.skip("no IPv6 here")
        assert resolve(f":{int(line)}").pid == child.pid


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


@pytest.mark.parametrize("text", ["", "  ", ":0", ":70000", "0", "12:x"])
def test_what_can_be_nobody(text: str) -> None:
    with pytest.raises((BadArgument, NoSuchProcess)):
        resolve(text)


def test_nobody() -> None:
    with pytest.raises(NoSuchProcess, match="no process is called"):
        resolve("surely-nobody-has-this-name")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoSuchProcess, match="nobody listens"):
        resolve(f":{port}")
