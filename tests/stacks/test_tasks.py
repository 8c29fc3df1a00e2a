"""asyncio tasks: only from Python 3.14 on, and never by running the target's own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from proctui import stacks
from proctui.stacks import tasks
from tests.stacks.stage import cast
from tests.support import wait_for

NOT_YET = sys.version_info < (3, 14)


@pytest.mark.skipif(not NOT_YET, reason="this Python exposes its tasks")
def test_an_earlier_python_is_said_not_to_expose_them() -> None:
    with cast("asyncio_future") as actors:
        pid = actors["asyncio_future"].pid
        found = wait_for(lambda: (one := stacks.capture(pid)).get("tasks_missing") and one)
        assert found["tasks"] is None
        assert found["tasks_missing"].endswith(
            "does not expose its asyncio tasks, 3.14 and later do"
        )


@pytest.mark.skipif(NOT_YET, reason="asyncio tasks can be read from Python 3.14 on")
def test_the_tasks_of_a_waiting_loop() -> None:
    with cast("asyncio_future") as actors:
        pid = actors["asyncio_future"].pid
        found = wait_for(lambda: (one := stacks.capture(pid)).get("tasks") and one)
        assert "main" in found["tasks"] and "asyncio tasks:" in found["text"]


def test_the_tool_is_an_interpreter_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python3.77"
    fake.write_text('#!/bin/sh\necho "└── (T) Task-1 $4\x1b[31m"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(tasks, "python_version", lambda pid: (3, 77))
    text, missing = tasks.task_tree(4711)
    assert missing is None and text is not None
    assert text.startswith("└── (T) Task-1 4711") and "\x1b" not in text
    fake.write_text("#!/bin/sh\necho nope >&2; exit 1\n")
    assert tasks.task_tree(4711) == (None, "its asyncio tasks could not be read: nope")
    monkeypatch.setattr(tasks, "python_version", lambda pid: (3, 78))
    assert tasks.task_tree(4711) == (None, "its asyncio tasks need a python3.78 on PATH")


def test_what_is_no_python_has_none() -> None:
    assert tasks.why_no_tasks(None) == "it is no Python process"
