"""Adoption: the only override there is, and where it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from proctui.awareness import registry
from proctui.awareness.naming import adopt, start_watch
from proctui.awareness.opening import open_watch
from proctui.awareness.writer import create_session
from proctui.errors import BadArgument, NoSuchProcess, RefusedError
from proctui.machine import identity as kernel
from proctui.model import Certainty, Role
from tests.awareness.owners import SLEEP, named, owner
from tests.support import running


def test_the_owners_own_dashboard_takes_it_up_as_certain() -> None:
    with running(SLEEP) as job, running(SLEEP) as before:
        watch = start_watch(job.pid)
        try:
            assert watch.session is not None and watch.writer is not None
            assert watch.look().role(before.pid) is Role.BASELINE
            result = adopt(watch.session, before.pid, "ann", watch=watch)
            assert (result["role"], result["certainty"]) == ("spawned", "certain")
            verdict = watch.look().verdict(before.pid)
            assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.CERTAIN)
            assert verdict.evidence[0].startswith("adopted by ann at ")
            assert kernel.identify(before.pid) not in (watch.writer.baseline or ())
            with pytest.raises(RefusedError, match="it is spawned"):
                adopt(watch.session, before.pid, "ann", watch=watch)
        finally:
            assert watch.writer is not None
            watch.writer.discard()
            watch.close()


def test_with_nobody_to_tell_it_is_recorded_and_likely() -> None:
    with running(SLEEP) as job, running(SLEEP) as before, owner("watch", job.pid) as child:
        session = registry.load_session(named(child))
        with pytest.raises(RefusedError, match="was there before"):
            adopt(session, before.pid)
        with running(SLEEP) as later:
            result = adopt(session, kernel.identify(later.pid))
            assert result["certainty"] == "likely"
            with open_watch(session.id) as watch:
                verdict = watch.look().verdict(later.pid)
            assert (verdict.role, verdict.certainty) == (Role.SPAWNED, Certainty.LIKELY)
            assert "recorded in spawned.jsonl only" in verdict.evidence


def test_what_may_never_be_adopted() -> None:
    with running(SLEEP) as job, owner("watch", job.pid) as child:
        session = registry.load_session(named(child))
        for pid in (os.getpid(), os.getppid(), child.pid):
            with pytest.raises(RefusedError, match="can't be adopted"):
                adopt(session, pid)
        for wrong in (True, 0, 1, -1, 1.0, "12"):
            with pytest.raises(BadArgument):
                adopt(session, wrong)  # type: ignore[arg-type]
        with running(SLEEP) as gone:
            identity = kernel.identify(gone.pid)
        with pytest.raises(NoSuchProcess):
            adopt(session, identity)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's process")
def test_another_users_process_is_not_adopted() -> None:
    with (
        running(SLEEP) as job,
        owner("watch", job.pid) as child,
        running(SLEEP, user=65534, group=65534, extra_groups=[]) as other,
        pytest.raises(RefusedError, match="belongs to uid 65534"),
    ):
        adopt(registry.load_session(named(child)), other.pid)


def test_nothing_is_adopted_from_inside_a_session() -> None:
    writer = create_session("inside", kind="library", leader=kernel.own())
    try:
        with running(SLEEP) as job, owner("watch", job.pid) as child, running(SLEEP) as other:
            session = registry.load_session(named(child))
            code = (
                "import sys; from proctui.awareness.naming import adopt;"
                "from proctui.awareness.registry import load_session;"
                "adopt(load_session(sys.argv[1]), int(sys.argv[2]))"
            )
            argv = [sys.executable, "-c", code, session.id, str(other.pid)]
            done = subprocess.run(argv, capture_output=True, text=True)
            assert "from inside a session" in done.stderr
            with pytest.raises(RefusedError, match="from inside a session"):
                adopt(session, other.pid)
    finally:
        writer.discard()
