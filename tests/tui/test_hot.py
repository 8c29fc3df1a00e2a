"""Hot functions in the stack pane, and what is saved of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proctui.errors import NoSuchProcess
from tests.tui.driving import dashboard


def document(function: str) -> dict[str, Any]:
    """A profile as py-spy writes it: ``main`` calls the function, ten samples of it."""
    frames = [
        {"name": "main", "file": "/srv/app.py", "line": 3},
        {"name": function, "file": "/srv/app.py", "line": 9},
    ]
    samples, weights = [[0, 1]] * 10, [0.1] * 10
    one = {"name": "1: Thread 1", "startValue": 0.0, "endValue": 1.0}
    return {
        "shared": {"frames": frames},
        "profiles": [{**one, "type": "sampled", "samples": samples, "weights": weights}],
    }


async def test_hot_functions_grow_and_are_saved_as_speedscope(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rounds = [document("furnace"), document("furnace"), document("oven")]
    asked: list[Any] = []

    def profile(pids: Any, seconds: float) -> dict[str, Any]:
        asked.append((tuple(pids), seconds))
        return rounds[len(asked) - 1]

    monkeypatch.setattr("proctui.stacks.profile.profile", profile)
    monkeypatch.setattr("proctui.tui.actions.debugging.HOT_SECONDS", len(rounds))
    monkeypatch.chdir(tmp_path)
    async with dashboard() as drive:
        await drive.press("w")
        assert list(tmp_path.glob("*.speedscope.json")) == []
        await drive.press("p")
        await drive.settle()
        assert len(asked) == 3 and all(seconds == 1.0 for _, seconds in asked)
        text = drive.text()
        assert "3 s · 30 samples" in text and "66.7 %" in text and "33.3 %" in text
        assert text.index("furnace") < text.index("oven")
        assert len(drive.main.stack.dumps) == 1
        await drive.press("w")
    (saved,) = tmp_path.glob("*.speedscope.json")
    found = json.loads(saved.read_text())
    assert found["$schema"].startswith("https://www.speedscope.app")
    (one,) = found["profiles"]
    assert len(one["samples"]) == len(one["weights"]) == 30 and one["endValue"] == 3.0


@pytest.mark.parametrize(
    ("outcome", "words"),
    [(None, "here is none"), (NoSuchProcess("no process 7"), "no process 7")],
)
async def test_why_there_are_no_hot_functions(
    outcome: Exception | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def profile(pids: Any, seconds: float) -> None:
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("proctui.stacks.profile.profile", profile)
    async with dashboard() as drive:
        await drive.press("p")
        await drive.settle()
        assert words in drive.text()
