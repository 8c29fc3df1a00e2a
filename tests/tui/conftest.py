"""What every test of the dashboard needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first frame wait for the first look, however slow a busy machine is."""
    monkeypatch.setattr("proctui.tui.feed.PATIENCE", 30.0)
