"""The fence against a real kernel: who inside can still reach whom outside."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.errors import NotSupported
from proctui.jobs import fence
from tests.support import alive, python, running

pytestmark = pytest.mark.skipif(fence.missing() is not None, reason=str(fence.missing()))

_INSIDE = "from proctui.jobs import fence; import sys; fence.exec_fenced(sys.argv[1:])"


def inside(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _INSIDE, *argv],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def inside_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return inside(*python(code, *map(str, arguments)))


@pytest.fixture
def outsider() -> Iterator[int]:
    with running(python("import time; time.sleep(600)")) as child:
        yield child.pid
        assert alive(child.pid)


@pytest.mark.parametrize(
    "call",
    [
        "os.kill(pid, 15)",
        "os.kill(pid, 0)",
        "os.killpg(pid, 15)",
        "signal.pidfd_send_signal(os.pidfd_open(pid), 15)",
        "os.setsid() or os.kill(pid, 15)",
        "resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))",
    ],
)
def test_nothing_inside_reaches_outside(outsider: int, call: str) -> None:
    done = inside_python(
        "import os, resource, signal, sys\npid = int(sys.argv[1])\n"
        f"if os.fork():\n os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        f"try:\n {call}\nexcept PermissionError:\n os._exit(42)\nos._exit(0)",
        outsider,
    )
    assert done.returncode == 42, done


def test_a_daemonised_grandchild_is_held_too(outsider: int) -> None:
    done = inside("sh", "-c", f"setsid sh -c 'kill {outsider}; echo status $?' 2>/dev/null & wait")
    assert "status 1" in done.stdout
    assert alive(outsider)


def test_inside_reaches_inside() -> None:
    done = inside("sh", "-c", "sleep 600 & kill $!; wait $!; echo $?")
    assert done.stdout.strip() == "143"


def test_outside_reaches_inside() -> None:
    with running([sys.executable, "-c", _INSIDE, "sleep", "600"]) as child:
        child.terminate()
        assert child.wait(30) == -15


def test_own_limits_and_reading_others_still_work(outsider: int) -> None:
    done = inside_python(
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "print(resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NOFILE)[0])",
        outsider,
    )
    assert done.returncode == 0, done
    assert int(done.stdout) == resource.prlimit(outsider, resource.RLIMIT_NOFILE)[0]


def test_no_typing_into_the_terminal() -> None:
    done = inside_python(
        "import fcntl, os, pty, termios\nmaster, slave = pty.openpty()\n"
        "try:\n fcntl.ioctl(slave, termios.TIOCSTI, b'x')\nexcept PermissionError:\n os._exit(42)\n"
    )
    assert done.returncode == 42, done


def test_status_and_missing_commands_pass_through() -> None:
    assert inside("sh", "-c", "exit 7").returncode == 7
    assert "FileNotFoundError" in inside("/nonexistent/command").stderr


def test_nothing_of_pythons_stays_in_the_command(tmp_path: Path) -> None:
    ignored = inside("grep", "SigIgn", "/proc/self/status")
    assert ignored.stdout.split() == ["SigIgn:", "0000000000000000"]
    script = tmp_path / "script"
    script.write_text("echo $1\n")
    script.chmod(0o755)
    assert inside(str(script), "hello").stdout == "hello\n"


def test_where_it_is_missing_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "landlock_abi", lambda: 5)
    with pytest.raises(NotSupported, match="ABI 6"):
        fence.exec_fenced(["true"])
