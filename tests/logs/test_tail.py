"""``--follow``: filtered lines as they come, with context, through rotation and explosions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proctui.errors import BadArgument, NoSuchFile
from proctui.logs import helper as helpers
from proctui.logs.tail import follow


def take(events: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [next(events) for _ in range(count)]


def test_the_last_lines_and_what_is_appended(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\n")
    events = follow(log, last=2)
    assert [event["text"] for event in take(events, 2)] == ["two", "three"]
    with log.open("a") as file:
        file.write("four\r\nfi")
    event = next(events)
    assert (event["text"], event["byte"]) == ("four", 14)
    with log.open("a") as file:
        file.write("ve\n")
    assert next(events)["text"] == "five"
    events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("regex", ["warn|ERROR", "(?<!x)(?:warn|ERROR)"])
def test_filters_with_context_and_rotation(regex: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("")
    events = follow(log, regex, context=1)
    writer = log.open("a", buffering=1)
    writer.write("a\nb\nERROR c\nd\ne\nwarn f\n")
    got = take(events, 5)
    assert [event["text"] for event in got] == ["b", "ERROR c", "d", "e", "warn f"]
    assert [event["match"] for event in got] == [False, True, False, False, True]
    log.rename(tmp_path / "a.log.1")
    log.write_text("g\nERROR h\n")
    seen = [event["text"] or event["mark"] for event in take(events, 3)]
    assert seen == ["rotated", "g", "ERROR h"]
    writer.close()
    events.close()  # type: ignore[attr-defined]


def test_inverted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a\nb\nab\nc\n")
    events = follow(log, "a", last=4, invert=True)
    assert [event["text"] for event in take(events, 2)] == ["b", "c"]
    events.close()  # type: ignore[attr-defined]


def test_a_pattern_that_explodes_is_told_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "CPU_LIMIT", 0.2)
    log = tmp_path / "a.log"
    log.write_text("a" * 60 + "\nnext\n")
    events = follow(log, "(?=a)(a+)+b", last=2)
    first = next(events)
    assert first["mark"] == "stopped" and "stopped" in first["note"]
    assert [event["text"] for event in take(events, 2)] == ["a" * 60, "next"]
    events.close()  # type: ignore[attr-defined]


def test_wrong_questions_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        follow(tmp_path / "none")
    log = tmp_path / "a.log"
    log.touch()
    with pytest.raises(BadArgument, match="position 0"):
        follow(log, "(")


def test_standard_input_is_answered_as_it_comes() -> None:
    reading, writing = os.pipe()
    argv = [sys.executable, "-m", "proctui", "logs", "-", "--matches", "--pattern", "b"]
    with subprocess.Popen(argv, stdin=reading, stdout=subprocess.PIPE) as grep:
        os.close(reading)
        assert grep.stdout is not None
        os.write(writing, b"a\nb\n")
        assert grep.stdout.readline() == b"b\n"
        os.write(writing, b"cb\nd")
        assert grep.stdout.readline() == b"cb\n"
        os.close(writing)
        assert grep.stdout.read() == b""
        assert grep.wait(60) == 0
