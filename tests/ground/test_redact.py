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
        '{"user": "me", "password": "hunter2"}',
        "X-Auth-Token: hunter2",
        "password:hunter2",
        "https://h/x?X-Amz-Signature=hunter2&a=b",
        "mysql --password hunter2 -e 'select 1'",
        "curl -u me:hunter2 https://h/",
        "curl -u me:'hunter2 and more' https://h/",
        "cd /x; sshpass -p hunter2 ssh h",
    ],
)
def test_a_secret_in_one_argument_is_hidden(argument: str) -> None:
    (shown,) = redact_argv([argument])
    assert "hunter2" not in shown and HIDDEN in shown


def test_a_secret_in_the_next_argument_is_hidden() -> None:
    assert redact_argv(["x", "--token", "hunter2", "y"]) == ("x", "--token", HIDDEN, "y")


@pytest.mark.parametrize(
    "argv",
    [
        ["x", "--password", "hunter2 of two words"],
        ["x", "-password", "hunter2"],
        ["/usr/bin/curl", "--user", "me:hunter2", "https://h/"],
        ["curl", "-ume:hunter2"],
        ["mysql", "-u", "me", "-phunter2", "db"],
        ["sshpass", "-p", "hunter2 of two words", "ssh", "h"],
        ["docker", "login", "-u", "me", "-p", "hunter2"],
        ["redis-cli", "-a", "hunter2", "ping"],
        ["openssl", "rsa", "-passin", "pass:hunter2"],
    ],
    ids=lambda argv: argv[0],
)
def test_a_secret_that_a_program_has_its_own_flag_for_is_hidden(argv: list[str]) -> None:
    shown = redact_argv(argv)
    assert len(shown) == len(argv)
    assert "hunter2" not in " ".join(shown) and "of two words" not in " ".join(shown)


@pytest.mark.parametrize(
    "argv",
    [
        ["llm", "--max-tokens", "100"],
        ["pytest", "tests/test_auth.py::test_token", "tests/auth.py:12"],
        ["docker", "run", "-p", "80:80", "registry/auth:latest"],
        ["mysqld", "--port=3306"],
        ["rsync", "-p", "a", "b"],
        ["x", "--config", "/etc/mysql/my.cnf", "-print"],
        ["x", "--token", "--verbose"],
        ["x", ""],
        [],
    ],
)
def test_a_command_line_without_secrets_stays(argv: list[str]) -> None:
    assert redact_argv(argv) == tuple(argv)


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
            "RAILS_MASTER_KEY": "hunter2",
            "STORAGE_KEY": "hunter2",
            "MYSQL_OPTIONS": "--password hunter2",
            "HOST_PUBLIC_KEY": "shown",
            "SSH_AUTH_SOCK": "/run/ssh",
        }
    )
    assert shown["HOST_PUBLIC_KEY"] == "shown" and shown["SSH_AUTH_SOCK"] == "/run/ssh"
    assert shown["PWD"] == "/tmp"
    assert "hunter2" not in str(shown)
    assert shown["PASSWORD"] == ""


def test_known_token_shapes_are_hidden_anywhere() -> None:
    assert "ghp_" not in redact_text("using ghp_" + "a" * 36 + " now")
