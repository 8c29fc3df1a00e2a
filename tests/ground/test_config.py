from __future__ import annotations

import os
from pathlib import Path

import pytest

from proctui import config
from proctui.errors import BadArgument


def test_no_file_is_the_default() -> None:
    assert config.load() == config.Config()


def test_values_arrive() -> None:
    loaded = config.parse(
        '[protect]\nnames = ["postgres"]\npids = [12]\n[dashboard]\ninterval = 2\n[keys]\n"process.kill" = "f9"\n'
    )
    assert loaded.protect.names == ("postgres",)
    assert loaded.protect.pids == (12,)
    assert loaded.dashboard.interval == 2.0
    assert loaded.keys == {"process.kill": "f9"}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('[protect]\n\nname = ["x"]\n', 3, "protect.name"),
        ("[dashbord]\ninterval = 1\n", 1, "dashbord"),
        ("[dashboard]\ninterval = 'fast'\n", 2, "interval"),
        ("[dashboard]\n# x\ninterval = 0.01\n", 3, "between"),
        ('[dashboard]\non_quit = "never"\n', 2, "one of"),
        ('[protect]\ncommands = ["("]\n', 2, "commands"),
        ("[protect]\npids = [true]\n", 2, "list of whole numbers"),
        ("[dashboard]\nmouse = 1\n", 2, "true or false"),
        ("[alerts]\ncpu = -1\n", 2, "between"),
        ("protect = 1\n", 1, "table"),
    ],
)
def test_a_wrong_line_is_named(text: str, line: int, word: str) -> None:
    with pytest.raises(BadArgument, match=rf"config\.toml:{line}: .*{word}"):
        config.parse(text)


def test_broken_toml_is_a_bad_argument(tmp_path: Path) -> None:
    broken = tmp_path / "config.toml"
    broken.write_text("[protect\n")
    with pytest.raises(BadArgument, match="line 1"):
        config.load(broken)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        path = tmp_path / f"config-{make.__name__}.toml"
        make(path)
        with pytest.raises(BadArgument, match="no regular file"):
            config.load(path)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\ufeff[dashboard]\ninterval = 3\n")
    assert config.load(path).dashboard.interval == 3.0


def test_the_commented_default_is_valid_and_names_every_key() -> None:
    text = config.default_text()
    assert config.parse(text) == config.Config()
    uncommented = "\n".join(
        line[2:] if " = " in line and line.startswith("# ") else line for line in text.splitlines()
    )
    parsed = config.parse(uncommented)
    assert parsed.dashboard == config.Dashboard() and parsed.protect == config.Protect()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's id for a moment")
def test_another_users_closed_home_is_no_configuration_of_ours(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    file = closed / "config.toml"
    file.write_text("nonsense = 1\n")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder != Path("/"):
            folder.chmod(0o755)
        if folder.name.startswith("pytest-of"):
            break
    os.seteuid(65534)
    try:
        assert config.load(file) == config.Config()
        os.seteuid(0)
        os.chown(closed, 65534, -1)
        file.chmod(0)
        os.seteuid(65534)
        with pytest.raises(BadArgument, match="can't be read: Permission denied"):
            config.load(file)
    finally:
        os.seteuid(0)
