from __future__ import annotations

import os
import subprocess
import sys

import pytest

from proctui.jobs import isolate
from tests.support import alive, python, running, wait_for

_REASON = isolate.missing()
pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(_REASON is not None, reason=str(_REASON)),
]
_INSIDE = "from proctui.jobs import isolate; import sys; isolate.exec_isolated(sys.argv[1:])"


def inside(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _INSIDE, *argv],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_rest_of_the_machine_has_no_name_inside() -> None:
    done = inside("sh", "-c", "ls -d /proc/[0-9]* | wc -l; echo $$")
    count, own = done.stdout.split()
    assert int(count) < 8 and int(own) < 8


def test_an_outsider_cannot_be_signalled() -> None:
    with running(python("import time; time.sleep(600)")) as outsider:
        done = inside("sh", "-c", f"kill {outsider.pid}")
        assert done.returncode != 0
        assert alive(outsider.pid)


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_status_passes(script: str, status: int) -> None:
    assert inside("sh", "-c", script).returncode == status


def test_a_missing_command_is_127() -> None:
    done = inside("/nonexistent/command")
    assert done.returncode == 127
    assert "No such file" in done.stderr and "Traceback" not in done.stderr


def test_what_daemonised_ends_with_the_command() -> None:
    done = inside("sh", "-c", "setsid sleep 6543 >/dev/null 2>&1 & exit 3")
    assert done.returncode == 3

    def gone() -> bool:
        listing = subprocess.run(["pgrep", "-f", "^sleep 6543"], capture_output=True, check=False)
        return listing.returncode == 1

    wait_for(gone)


def test_killing_the_outer_process_ends_all_inside() -> None:
    read, write = os.pipe()
    with running([sys.executable, "-c", _INSIDE, "sleep", "600"], pass_fds=(write,)) as outer:
        os.close(write)
        outer.kill()
        outer.wait()
    assert os.read(read, 1) == b""
    os.close(read)
