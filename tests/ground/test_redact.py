from __future__ import annotations

import pytest

from proctui.redact import HIDDEN, redact_argv, redact_environ, redact_text


@pytest.mark.parametrize(
    "argument",
    [
        "--password=hunter2",
        "TOKEN=hunter2",
        "--api-key=hunter2",
        "https://user:hunter2@example.org/x",
        "postgres://user:hunter2@db/x",
        "Authorization: Bearer hunter2",
        "MYSQL_PWD=hunter2",
        "--dsn=hunter2",
    ],
)
def test_a_secret_in_one_argument_is_hidden(argument: str) -> None:
    (shown,) = redact_argv([argument])
    assert "hunter2" not in shown and HIDDEN in shown


def test_a_secret_in_the_next_argument_is_hidden() -> None:
    assert redact_argv(["x", "--token", "hunter2", "y"]) == ("x", "--token", HIDDEN, "y")


@pytest.mark.parametrize(
    "argument", ["--author=me", "KEYBOARD=de", "--tokenizer-path", "a=b", "http://h:80/x@y"]
)
def test_what_is_no_secret_stays(argument: str) -> None:
    assert redact_argv([argument]) == (argument,)


def test_environment() -> None:
    shown = redact_environ(
        {
            "PWD": "/tmp",
            "GITHUB_TOKEN": "hunter2",
            "DATABASE_URL": "mysql://u:hunter2@h/d",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "PASSWORD": "",
        }
    )
    assert shown["PWD"] == "/tmp"
    assert "hunter2" not in str(shown)
    assert shown["PASSWORD"] == ""


def test_known_token_shapes_are_hidden_anywhere() -> None:
    assert "ghp_" not in redact_text("using ghp_" + "a" * 36 + " now")
