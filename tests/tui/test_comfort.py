"""Themes that are found again, the editor, colours that are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proctui import paths
from proctui.config import Config, Dashboard
from proctui.errors import ToolMissing
from proctui.tui import editing
from proctui.tui.app import ProctuiApp
from proctui.tui.options import Options
from proctui.tui.preferences import remember_theme, remembered_theme
from proctui.tui.themes import THEMES
from tests.tui.driving import NEVER, dashboard
from tests.tui.fakes import demo_watch


def opened(**config: str) -> ProctuiApp:
    wishes = Config(dashboard=Dashboard(**config))  # type: ignore[arg-type]
    return ProctuiApp(Options(watch=demo_watch(), interval=NEVER, config=wishes))


async def test_a_chosen_theme_is_found_again() -> None:
    async with dashboard() as drive:
        drive.app.theme = "proctui-light"
        await drive.pilot.pause()
    assert remembered_theme() == "proctui-light"
    assert opened().theme == "proctui-light"
    assert opened(theme="nord").theme == "nord", "the configuration has the last word"


def test_a_theme_nobody_knows_is_the_default() -> None:
    remember_theme("no-such-theme")
    assert opened().theme == "proctui-dark"


def test_nonsense_in_the_file_is_no_trouble() -> None:
    remember_theme("x")
    (paths.state_candidates()[0] / "dashboard.json").write_text("[1,")
    assert remembered_theme() is None


def test_a_state_directory_that_can_not_be_written_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    remember_theme("proctui-light")
    assert remembered_theme() is None


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES] + ["nord", "textual-light"])
async def test_every_theme_draws(theme: str) -> None:
    config = Config(dashboard=Dashboard(theme=theme))
    async with dashboard(config=config, size=(120, 40)) as drive:
        assert drive.app.theme == theme
        assert "pytest" in drive.text()


async def test_without_colours_every_meaning_is_still_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with dashboard() as drive:
        assert drive.app.no_color
        text = drive.text()
        for mark in "▲◆■●✱":
            assert mark in text


def test_the_editor_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vim = tmp_path / "vim"
    vim.write_text("#!/bin/sh\n")
    vim.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{vim} -R")
    assert editing.command_for("/var/log/x", 12) == [str(vim), "-R", "+12", "/var/log/x"]
    monkeypatch.setenv("EDITOR", "no-such-editor-anywhere")
    with pytest.raises(ToolMissing):
        editing.command_for("/var/log/x")


def test_text_for_the_editor_is_private_and_goes_with_it() -> None:
    with editing.kept_in_file("secret") as path:
        assert Path(path).read_text() == "secret"
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not Path(path).exists()


async def test_the_editor_key_says_where_it_can_not() -> None:
    async with dashboard() as drive:
        await drive.press("enter", "o")
        assert drive.main.active == "inspector"
