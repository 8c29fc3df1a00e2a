from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from proctui import paths


def test_home_comes_from_the_password_database_where_home_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    assert paths.home() == pwd.getpwuid(os.getuid()).pw_dir


def test_relative_xdg_values_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/somewhere")
    assert paths.config_file() == Path("/somewhere/.config/proctui/config.toml")


def test_readers_look_into_every_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PROCTUI_FALLBACK")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    candidates = paths.state_candidates()
    assert candidates[0] == tmp_path / "proctui"
    assert candidates[-1] == paths.fallback_state_dir()
    assert len(candidates) == 3


def test_the_styles_are_found() -> None:
    assert paths.styles_dir().is_dir()
