"""Patterns that explode end in time and are said to have been stopped; the helper lives on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proctui.errors import BadArgument, TimedOut
from proctui.logs import analyze as module
from proctui.logs import helper as helpers
from proctui.logs import matcher as engines
from proctui.logs.analyze import analyze
from proctui.logs.helper import HelperGone, PatternHelper, Worker
from proctui.logs.matches import iter_matches
from tests.support import alive, wait_for


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of a second of CPU is long enough for what ends at all here."""
    monkeypatch.setattr(helpers, "CPU_LIMIT", 0.2)


EXPLODING = [
    r"(a+)+$",
    r"(a*)*b",
    r"(a|aa)+$",
    r"(a|a?)+$",
    r"(.*a){24}$b",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(x+x+)+y",
    r"(?:a?){40}a{40}b",
    r"(\w+\s?)*!",
    r"^(\w+)+$!",
    r"([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+",
    r"(?=a)(a+)+$",
    r"(a+)+(?<!b)\Z!",
    r"(?P<q>a+)+(?P=q)+c",
    r"(a+){2,}(?<=a)c",
    r"(?:(?:a+)(?:a+))+(?!a)c",
    r"((a+)+)+\1c",
    r"(?=(a+)+c)",
    r"(?i)(?=a)(A|aa)+c",
    r"(\d+|\w+)+(?=!)",
]


def test_twenty_patterns_known_to_explode_end_in_time(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "INFO first a!\n" + "a" * 60 + "\n" + "x" * 60 + " " + "a1" * 30 + "\nINFO last\n"
    )
    assert len(EXPLODING) == 20
    stopped = 0
    for regex in EXPLODING:
        result = analyze(log, regex)
        assert result["scanned"]["lines"] == 4
        assert result["levels"]["info"] == 2
        if result["pattern"]["timed_out"]:
            stopped += 1
            assert result["scanned"]["complete"] is False
            assert result["scanned"]["truncated_by"] == "pattern timed out"
            assert any("stopped" in warning for warning in result["warnings"])
    assert stopped >= 4


def test_what_was_found_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HERE", 1000)
    log = tmp_path / "a.log"
    fine = "aaab fine\n" * 20_000
    log.write_text(fine + "a" * 60 + "\n" + fine)
    result = analyze(log, r"(?=a)(a+)+b")
    pattern = result["pattern"]
    assert pattern["timed_out"] and 0 < pattern["total"] <= 20_000
    assert pattern["shown"] == 1000
    assert [match["line"] for match in pattern["matches"]] == list(range(1, 1001))
    assert result["scanned"]["lines"] == 40_001


def test_matches_say_that_they_were_stopped(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("ab\n" + "a" * 60 + "\n")
    with pytest.raises(TimedOut, match="stopped"):
        list(iter_matches(log, r"(?=a)(a+)+b"))


def test_without_re2_the_same_lines_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"{'ERROR' if n % 7 == 0 else 'INFO'} item {n}\n" for n in range(5000)))
    expected = analyze(log, r"E\w+R item \d+5$")
    monkeypatch.setattr(engines, "load_re2", lambda: None)
    found = analyze(log, r"E\w+R item \d+5$")
    assert found["pattern"].pop("engine") == "re"
    expected["pattern"].pop("engine")
    assert found["pattern"] == expected["pattern"]


def test_the_helper_is_restarted_after_an_explosion() -> None:
    helper = PatternHelper()
    try:
        bad = helper.ask("match", patterns=[(r"(?=a)(a+)+b", False)], lines=["a" * 60])
        answers: list[tuple[object, ...]] = []
        wait_for(lambda: answers.extend(helper.wait(0.5)) or ("stopped", bad) in answers, 60)
        good = helper.ask("match", patterns=[("b+", False), ("é", True)], lines=["abba", "É"])
        answers.clear()
        wait_for(lambda: answers.extend(helper.wait(0.5)) or ("done", good) in answers, 60)
        assert answers[0] == ("spans", good, 0, [[[[1, 3]], None], [None, [[0, 1]]]])
    finally:
        helper.close()


def test_a_cancelled_helper_is_gone_and_another_comes() -> None:
    helper = PatternHelper()
    try:
        helper.ask("match", patterns=[(r"(?=a)(a+)+b", False)], lines=["a" * 60])
        assert helper._worker is not None
        pid = helper._worker.pid
        helper.cancel()
        assert not alive(pid) and not helper.busy
        number = helper.ask("match", patterns=[("(", False)], lines=["x"])
        answers: list[tuple[object, ...]] = []
        wait_for(lambda: answers.extend(helper.wait(0.5)) or answers, 60)
        assert answers[0][:2] == ("bad", number)
    finally:
        helper.close()


def test_a_helper_ends_with_its_parent() -> None:
    code = (
        "import os, sys\nfrom proctui.logs.helper import Worker\n"
        "w = Worker()\nw.ask({'op': 'lines', 'pattern': ('a', False), 'data': b'a'})\n"
        "print(w.pid, flush=True)\nos._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=120
    )
    wait_for(lambda: not alive(int(done.stdout)))


def test_a_worker_answers_or_says_that_it_is_gone() -> None:
    worker = Worker()
    try:
        assert worker.ask({"op": "lines", "pattern": ("b", False), "data": b"a\nb\n"}) == [(2, 3)]
        with pytest.raises(BadArgument, match="position 1"):
            worker.ask({"op": "lines", "pattern": ("b)", False), "data": b"a\nb\n"})
        request = {"op": "lines", "pattern": (r"(?=a)(a+)+b", False), "data": b"a" * 60}
        with pytest.raises(HelperGone):
            worker.ask(request)
    finally:
        worker.close()


GREPS = [
    ([], {}, "ERROR"),
    (["-i"], {"ignore_case": True}, "error|timeout"),
    (["-v"], {"invert": True}, "INFO"),
    (["-C2"], {"context": 2}, "line 7[0-9]$"),
    (["-v", "-C1"], {"context": 1, "invert": True}, "INFO|DEBUG"),
    ([], {}, "^$"),
]


@pytest.mark.parametrize(("flags", "options", "regex"), GREPS)
@pytest.mark.parametrize("ending", ["", "\n"])
def test_matches_are_greps_bytes(
    flags: list[str], options: dict[str, object], regex: str, ending: str, tmp_path: Path
) -> None:
    log = tmp_path / "a.log"
    words = ["INFO fine", "ERROR Timeout", "DEBUG \x1b[31mred", "", "INFO É"]
    log.write_text(
        "\n".join(f"{words[n % 5]} line {n}" if n % 5 != 3 else "" for n in range(403)) + ending
    )
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    grep = subprocess.run(
        ["grep", "-a", "-E", *flags, "-e", regex, str(log)],
        capture_output=True,
        check=True,
        env=environment,
    )
    assert b"".join(iter_matches(log, regex, **options)) == grep.stdout  # type: ignore[arg-type]


def test_matches_of_a_large_file_come_in_order_from_both_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctui.logs.matches._HERE", 1000)
    monkeypatch.setattr("proctui.logs.matches._PART", 100_000)
    log = tmp_path / "a.log"
    lines = [f"{'ERROR' if n % 3 == 0 else 'info'} number {n}\n" for n in range(60_000)]
    log.write_text("".join(lines))
    for regex in ("ERROR", r"(?<=E)RROR"):
        found = b"".join(iter_matches(log, regex)).decode()
        assert found == "".join(line for line in lines if "ERROR" in line)
    some = iter_matches(log, "ERROR")
    assert next(some).startswith(b"ERROR number 0\n")
    some.close()  # type: ignore[attr-defined]


def test_a_giant_matching_line_is_written_whole(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    giant = b"needle " + b"x" * (3 << 20)
    log.write_bytes(b"first\n" + giant + b"\nlast needle\n" + giant)
    assert b"".join(iter_matches(log, "needle")) == giant + b"\nlast needle\n" + giant + b"\n"


def test_a_word_is_found_at_the_end_of_a_giant_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    giant = b"x" * (5 << 20) + b" NEEDLE at last"
    log.write_bytes(b"first\n" + giant + b"\nlast\n" + b"y" * (3 << 20) + b"\n")
    notes: list[str] = []
    assert b"".join(iter_matches(log, "NEEDLE", notes=notes)) == giant + b"\n"
    assert b"".join(iter_matches(log, "needle|absent", ignore_case=True)) == giant + b"\n"
    assert notes == []
    found = analyze(log, "NEEDLE")
    assert (found["pattern"]["total"], found["warnings"]) == (1, [])
    match = found["pattern"]["matches"][0]
    assert (match["line"], match["byte"], match["clipped"]) == (2, 6, True)
    inverted = b"".join(iter_matches(log, "NEEDLE", invert=True))
    assert inverted == b"first\nlast\n" + b"y" * (3 << 20) + b"\n"


def test_a_pattern_that_needs_the_whole_line_says_what_it_did_not_see(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (3 << 20) + b" needle7\n")
    for pattern in (r"needle\d", r"(n)eedle\1?"):
        notes: list[str] = []
        assert b"".join(iter_matches(log, pattern, notes=notes)) == b""
        assert notes == ["the pattern saw only the beginning of 1 very long line"]
        assert notes == analyze(log, pattern)["warnings"]


def test_who_reads_the_matches_slowly_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pager keeps us waiting for minutes, which says nothing of the helper."""
    monkeypatch.setattr("proctui.logs.matches._HERE", 1000)
    away = 0.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + away

    log = tmp_path / "a.log"
    log.write_bytes(
        b"".join(b"error %07d of the many lines of this log\n" % at for at in range(600_000))
    )
    monkeypatch.setattr(helpers, "time", Clock)
    lines = 0
    for block in iter_matches(log, "error"):
        lines += block.count(b"\n")
        away += 100.0
    assert lines == 600_000
