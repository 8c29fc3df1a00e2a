"""Sessions within sessions: the inner one kills nothing of the outer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.jobs import stage
from tests.support import alive, wait_for

PROCTUI = f"{sys.executable} -m proctui"
INNER = f"""
{PROCTUI} kill --yes --json $OUTER_SIBLING > $OUT.sibling
{PROCTUI} kill --yes --json $OUTER_LEADER > $OUT.leader
{PROCTUI} kill --yes --json --tree $OUTER_LEADER > $OUT.tree
{PROCTUI} kill --yes --json --group $OUTER_SIBLING > $OUT.group
sleep 60 & own=$!
{PROCTUI} kill --yes --json $own > $OUT.own
echo done > $OUT.done
"""
OUTER = f"""
sleep 60 & export OUTER_SIBLING=$! OUTER_LEADER=$$ OUT=$0
echo $OUTER_SIBLING > $OUT.pid
{PROCTUI} run --no-tui -- sh -c "$1"
sleep 60
"""


def test_21_the_inner_session_does_not_kill_the_outer(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with stage.front("sh", "-c", OUTER, str(out), INNER, stderr=subprocess.DEVNULL):
        wait_for(lambda: Path(f"{out}.done").exists(), timeout=120, what="the inner session")
        sibling = int(Path(f"{out}.pid").read_text())
        for name in ("sibling", "leader", "tree", "group"):
            document = json.loads(Path(f"{out}.{name}").read_text())
            assert document["error"]["kind"] == "refused", (name, document)
            assert document["results"] == [] and document["plan"]["targets"] == []
        assert alive(sibling)
        own = json.loads(Path(f"{out}.own").read_text())
        assert [one["signal_sent"] for one in own["results"]] == ["TERM"], own
