"""Watching what runs already, and a program that is its container's first process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from proctui.awareness.naming import start_watch
from proctui.errors import RefusedError
from proctui.machine import identity as kernel
from proctui.model import Certainty, Role
from tests.support import running, wait_for


def test_how_a_process_died_is_told_though_it_was_nobodys_child_here() -> None:
    with running(["sh", "-c", "sleep 300 & wait"]) as shell:
        watch = start_watch(shell.pid)
        assert watch.writer is not None
        child = wait_for(lambda: watch.tick().descendants(shell.pid), what="the child")[0]
        watch.tick()
        descriptor, _ = kernel.pin(child)
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        os.close(descriptor)
        tomb = wait_for(lambda: watch.tick().tombs, what="its tomb")[-1]
        assert (tomb.identity.pid, tomb.role) == (child, Role.SPAWNED)
        assert tomb.exit in (-signal.SIGTERM, None)
        assert tomb.parent == shell.pid
        watch.writer.discard()
        watch.close()


def test_watching_a_running_tree() -> None:
    with running(["sh", "-c", "sleep 300 & read x; sleep 301 & wait"], stdin=-1) as shell:
        wait_for(lambda: Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text())
        watch = start_watch(shell.pid)
        view = watch.look()
        first = view.descendants(shell.pid)
        assert {view.verdict(pid).certainty for pid in (shell.pid, *first)} == {Certainty.LIKELY}
        assert shell.stdin is not None
        shell.stdin.write(b"go\n")
        shell.stdin.flush()
        later = wait_for(
            lambda: [pid for pid in watch.look().descendants(shell.pid) if pid not in first]
        )
        verdict = watch.look().verdict(later[0])
        assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
        assert watch.look().role(os.getpid()) is Role.SELF
        assert watch.writer is not None
        watch.writer.discard()
        watch.close()


def test_ancestors_and_the_protected_cannot_be_named() -> None:
    for pid in (os.getpid(), os.getppid(), 1):
        with pytest.raises(RefusedError, match="can't be named"):
            start_watch(pid)


CONTAINER = """
from proctui.awareness.library import ProcessBaseline
from proctui.model import Certainty, Role
older = subprocess.Popen(
    ["sh", "-c", "read go; (setsid sleep 300 & echo $!); read end"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
baseline = ProcessBaseline(register=False)
mine = subprocess.Popen(["sleep", "300"], start_new_session=True)
older.stdin.write(b"go\\n")
older.stdin.flush()
orphan = int(older.stdout.readline())
wait_for(lambda: Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1] == "1")
wait_for(lambda: Path(f"/proc/{orphan}/comm").read_text() == "sleep\\n")
print(os.getpid(), baseline.is_spawned_process(mine.pid), baseline.is_spawned_process(orphan))
print(baseline.get_safe_to_kill() == {mine.pid})
"""


@pytest.mark.namespace
def test_the_first_process_of_a_container_tells_its_children_from_others_orphans() -> None:
    from tests.killing.namespace import isolated

    assert isolated(CONTAINER).split() == ["1", "True", "False", "True"]
