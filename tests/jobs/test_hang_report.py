"""The first line of a report says what the person who finds it needs to know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from proctui.errors import BadArgument
from proctui.jobs.hang_report import ending_line, headline, report_text
from proctui.jobs.watchdog import prepare


def row(pid: int, verdict: str, *, cycle: list[int] | None = None, label: str | None = None) -> Any:
    return {
        "pid": pid, "name": f"n{pid}", "label": label, "verdict": verdict, "cycle": cycle,
        "evidence": [],
    }  # fmt: skip


def found(*rows: Any) -> dict[str, Any]:
    stacks = [{"pid": one["pid"], "threads": [{"tid": one["pid"] + 1}]} for one in rows]
    return {"quiet_seconds": 61.2, "seen": "nothing printed", "verdicts": rows, "stacks": stacks}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(5, "waiting")], ", though nothing in the job is seen to hang"),
        (
            [row(5, "idle"), row(20, "suspected", label="pytest worker, running t.py::test_x")],
            ", and the job is suspected to hang: 20 pytest worker, running t.py::test_x",
        ),
        # The parent waits for its child, whose thread is in the cycle.
        (
            [row(5, "deadlock-proven", cycle=[21]), row(20, "deadlock-proven", cycle=[21])],
            ", and the job is deadlocked, proven: 20 n20, and 1 more that waits",
        ),
        (
            [row(9, "suspected"), *(row(pid, "deadlock-proven") for pid in range(10, 60, 10))],
            ", and the job is deadlocked, proven: 10 n10, 20 n20, 30 n30 and 2 more",
        ),
    ],
)
def test_the_first_line(rows: list[Any], said: str) -> None:
    assert headline(found(*rows)) == f"proctui: no progress for 61 s{said}"


def test_what_could_not_be_read_is_told() -> None:
    one = found(row(5, "waiting"))
    one["stacks"][0]["error"] = {"kind": "tool-missing"}
    assert headline(one).endswith(
        "s; whether the job hangs can't be told, for not all its stacks could be read"
    )
    verdict = {"verdicts": one["verdicts"], "graph": [], "warnings": ["so it is"]}
    text = report_text(one, verdict, [{"pid": 5, "threads": [], "error": {"kind": "x"}}])
    assert "! so it is" in text and "! the stacks of 1 process could not be read" in text


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], None),
        (["gone"], None),
        (["exited"], "the job was ended, for it got no further: 1 process"),
        (["exited", "zombie", "gone"], "the job was ended, for it got no further: 2 processes"),
        (
            ["exited", "denied"],
            "the job was ended, for it got no further: 1 process, 1 could not be ended",
        ),
    ],
)
def test_what_became_of_it(outcomes: list[str], said: str | None) -> None:
    line = ending_line({"results": [{"outcome": one} for one in outcomes]})
    assert line == (said and f"proctui: {said}")


def test_where_no_report_could_be_kept_none_is_promised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert prepare(str(tmp_path / "a" / "b")).is_dir()
    with pytest.raises(BadArgument, match="File exists"):
        prepare(str(tmp_path / "file"))
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "a").chmod(0o500)
    with pytest.raises(BadArgument, match="Permission denied"):
        prepare(str(tmp_path / "a"))
