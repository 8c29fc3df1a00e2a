"""Every figure of an analysis against logs whose truth is known."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctui.errors import AccessDenied, BadArgument, NoSuchFile, NotSupported
from proctui.logs import analyze as module
from proctui.logs.analyze import analyze
from tests.logs.truth import FORMATS, START, Truth, make


def seconds(text: str | None) -> float:
    assert text is not None
    return datetime.fromisoformat(text).timestamp()


def check(result: dict[str, Any], truth: Truth, form: str) -> None:
    assert result["scanned"]["lines"] == len(truth.lines)
    assert result["scanned"]["complete"] is True and result["scanned"]["truncated_by"] is None
    levels = dict(result["levels"])
    assert levels.pop("method") == "parsed"
    assert levels.pop("unknown") == 0
    assert {name: count for name, count in levels.items() if count} == dict(truth.levels)
    found = {(strip(one["template"]), one["level"]): one["count"] for one in result["errors"]}
    assert found == dict(truth.errors)
    assert result["limits"]["other"] == 0
    counted = Counter[str]()
    for one in result["tracebacks"]:
        counted[one["exception"]] += one["count"]
        name = one["exception"]
        assert one["first"]["line"] == truth.first_trace[name]
        assert one["last"]["line"] == truth.last_trace[name]
        assert one["chained"] is (name == "ServiceError")
        assert one["last_frame"] == {"file": f"/app/{name.lower()}.py", "line": 7, "func": "run"}
        assert one["example"].startswith("Traceback (most recent call last):\n")
    assert counted == truth.tracebacks
    assert result["time"]["undated_lines"] == len(truth.lines) - truth.dated
    if truth.dated:
        assert abs(seconds(result["time"]["first"]) - truth.times[0]) < 1
        assert abs(seconds(result["time"]["last"]) - truth.times[-1]) < 1
        buckets = result["timeline"]["buckets"]
        step = result["timeline"]["bucket_s"]
        expected = Counter(int(moment // step * step) for moment in truth.times)
        assert {seconds(one["t"]): one["lines"] for one in buckets if one["lines"]} == expected
        wrong = Counter(int(moment // step * step) for moment in truth.error_times)
        assert {seconds(one["t"]): one["errors"] for one in buckets if one["errors"]} == wrong
        assert len(buckets) <= 121
    else:
        assert result["time"]["first"] is None and result["time"]["format"] is None
        assert result["timeline"]["buckets"] == []


def strip(template: str) -> str:
    """The message of a template, without logger names and other fields."""
    for prefix in (
        "app.module: ",
        "app.x.long.logger - ",
        "<num> a.go:<num>] ",
        "app:",
        "<num>#<num>: ",
    ):
        template = template.removeprefix(prefix)
    found = re.fullmatch(r'msg="?(.*?)"?', template)
    return found[1] if found else template


FIELDS = sorted(form for form in FORMATS if form != "logfmt")


@pytest.mark.parametrize("form", FIELDS)
def test_every_count_is_right(form: str, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    truth = make(form, 3000, seed=len(form))
    log.write_bytes(truth.data)
    os.utime(log, (START + 20000, START + 20000))
    check(analyze(log), truth, form)


@pytest.mark.parametrize("form", ["python", "json", "bare"])
def test_the_same_from_helpers_in_parts_as_here_in_one(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    truth = make(form, 8000, seed=7)
    log.write_bytes(truth.data)
    os.utime(log, (START + 40000, START + 40000))
    whole = analyze(log, "errors|open", context=1)
    monkeypatch.setattr(module, "_HERE", 1000)
    monkeypatch.setattr(module, "_PART", len(truth.data) // 7)
    parts = analyze(log, "errors|open", context=1)
    check(parts, truth, form)
    for result in (whole, parts):
        result["scanned"].pop("seconds")
    assert whole == parts


def test_logfmt(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    truth = make("logfmt", 500, traces=False)
    log.write_bytes(truth.data)
    result = analyze(log)
    assert {name: result["levels"][name] for name in truth.levels} == dict(truth.levels)
    assert result["time"]["undated_lines"] == 0


def reference(data: bytes, regex: str, ignore_case: bool, invert: bool) -> list[int]:
    compiled = re.compile(regex, re.IGNORECASE if ignore_case else 0)
    lines = data.decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return [n for n, line in enumerate(lines, 1) if bool(compiled.search(line)) != invert]


@settings(max_examples=40, deadline=None)
@given(
    data=st.lists(
        st.sampled_from(["error", "Error x", "ok", "", "é", "a\tb", "INFO fine", "\u2028", "ſ K"]),
        max_size=30,
    ),
    regex=st.sampled_from(["error", "e.*r", "^$", "(?<=a)\\s", "x|é", "s", "", "k$"]),
    ignore_case=st.booleans(),
    invert=st.booleans(),
    context=st.integers(0, 3),
    last=st.one_of(st.none(), st.integers(1, 12)),
)
def test_matches_against_the_plainest_reference(
    tmp_path_factory: pytest.TempPathFactory,
    data: list[str],
    regex: str,
    ignore_case: bool,
    invert: bool,
    context: int,
    last: int | None,
) -> None:
    log = tmp_path_factory.mktemp("m") / "a.log"
    raw = "\n".join(data).encode()
    log.write_bytes(raw)
    lines = raw.decode().split("\n")
    if not lines[-1]:
        lines.pop()
    skipped = max(0, len(lines) - last) if last else 0
    result = analyze(log, regex, last, ignore_case=ignore_case, invert=invert, context=context)
    pattern = result["pattern"]
    kept = "\n".join(lines[skipped:]).encode()
    expected = reference(kept + (b"\n" if lines[skipped:] else b""), regex, ignore_case, invert)
    assert [match["line"] for match in pattern["matches"]] == expected
    assert pattern["total"] == pattern["shown"] == len(expected)
    assert result["scanned"]["line_numbers"] == ("relative" if last else "absolute")
    shown = [line.translate({0x09: "␉", 0x2028: "�"}) for line in lines[skipped:]]
    for match in pattern["matches"]:
        at = match["line"] - 1
        assert match["text"] == shown[at]
        assert match["before"] == shown[max(0, at - context) : at]
        assert match["after"] == shown[at + 1 : at + 1 + context]
        assert raw[match["byte"] :].startswith(lines[skipped + at].encode())
        compiled = re.compile(regex, re.IGNORECASE if ignore_case else 0)
        spans = [list(one.span()) for one in compiled.finditer(lines[skipped + at]) if one[0]]
        assert match["spans"] == ([] if invert else spans)


def test_a_thousand_matches_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("yes\nno\n" * 2500)
    pattern = analyze(log, "yes")["pattern"]
    assert (pattern["total"], pattern["shown"], len(pattern["matches"])) == (2500, 1000, 1000)
    assert pattern["matches"][-1]["line"] == 1999


def test_last_lines_are_exact(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for ending in ("", "\n"):
        log.write_text("\n".join(f"line {n}" for n in range(20000)) + ending)
        for last in (1, 7, 19999, 20000, 30000):
            result = analyze(log, "^", last)
            assert result["scanned"]["lines"] == min(last, 20000)
            first = result["pattern"]["matches"][0]
            assert first["text"] == f"line {max(0, 20000 - last)}"
            assert first["line"] == 1
            assert first["byte"] == result["scanned"]["from_byte"]


@pytest.mark.parametrize("last", [0, -1, True, 1.5, "3"])
def test_last_must_be_a_count(last: object, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x\n")
    with pytest.raises(BadArgument):
        analyze(log, None, last)  # type: ignore[arg-type]


def test_what_is_no_log_has_the_right_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        analyze(tmp_path / "none")
    with pytest.raises(NoSuchFile):
        analyze(tmp_path / ("x" * 400))
    os.mkfifo(tmp_path / "fifo")
    for wrong in (tmp_path, tmp_path / "fifo", "/dev/null", "/dev/zero", "", "a\0b", "\ud800", 5):
        with pytest.raises(BadArgument):
            analyze(wrong)  # type: ignore[arg-type]
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(NoSuchFile):
        analyze(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadArgument):
        analyze(tmp_path / "loop")
    zst = tmp_path / "a.zst"
    zst.write_bytes(b"\x28\xb5\x2f\xfdxxxx")
    with pytest.raises(NotSupported):
        analyze(zst)
    with pytest.raises(NoSuchFile):
        analyze("-")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x\n")
    log.chmod(0)
    with pytest.raises(AccessDenied):
        analyze(log)


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_logs_are_read(packed: Any, tmp_path: Path) -> None:
    log = tmp_path / "app.log.z"
    truth = make("python", 2000, seed=3)
    log.write_bytes(packed(truth.data))
    result = analyze(log, "failed", context=1)
    check(result, truth, "python")
    assert result["pattern"]["total"] == len(reference(truth.data, "failed", False, False))
    assert analyze(log, None, 10)["scanned"]["lines"] == 10


def test_a_damaged_archive_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "a.gz"
    packed = gzip.compress(make("python", 5000).data)
    log.write_bytes(packed[: len(packed) // 2])
    result = analyze(log)
    assert result["scanned"]["complete"] is False
    assert "gzip" in result["scanned"]["truncated_by"]
    assert 0 < result["scanned"]["lines"] < 5000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_byte_order_marks(encoding: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    raw = make("python", 50).data.decode().encode(encoding)
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    log.write_bytes(marks.get(encoding, b"") + raw)
    result = analyze(log, "^20")
    assert result["time"]["first"] is not None
    assert result["pattern"]["matches"][0]["line"] == 1
    assert result["pattern"]["matches"][0]["text"].startswith("20")
    assert result["file"]["encoding_errors"] == 0


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(
        b"INFO ok\nERROR \xff\xfe bad\n\x00\x00\x00\nINFO \x1b]0;title\x07 x\r\nlast \xe2\x82"
    )
    result = analyze(log, "bad|title|last")
    assert result["file"]["encoding_errors"] == 3
    assert result["file"]["nul_bytes"] == 3
    assert result["scanned"]["lines"] == 5
    texts = [match["text"] for match in result["pattern"]["matches"]]
    assert texts == ["ERROR �� bad", "INFO ␛]0;title␇ x", "last �"]
    assert result["pattern"]["matches"][0]["spans"] == [[9, 12]]
    log.write_bytes(os.urandom(300_000) + b"\0" * 100_000)
    result = analyze(log)
    assert any("binary" in warning for warning in result["warnings"])


def test_an_empty_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.touch()
    result = analyze(log, "x", 5)
    assert result["scanned"]["lines"] == 0 and result["scanned"]["complete"]
    assert result["pattern"]["total"] == 0 and result["errors"] == []
    assert result["levels"]["unknown"] == 0


def test_colours_and_progress_bars_hide_nothing(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    plain = make("python", 300, seed=5)
    coloured = "".join(
        re.sub(r"(ERROR|INFO|DEBUG|WARNING|CRITICAL)", "\x1b[1;31m\\1\x1b[0m", line, count=1)
        + "\r\n"
        if not line.startswith((" ", "Tr"))
        else line + "\n"
        for line in plain.lines
    )
    log.write_text("10%\r 50%\r" + coloured, newline="")
    result = analyze(log)
    assert {name: result["levels"][name] for name in plain.levels} == dict(plain.levels)
    assert sum(one["count"] for one in result["errors"]) == sum(plain.errors.values())


def test_keywords_where_there_are_no_fields(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text(
        "compiling a.c\na.c:7: warning: unused x\na.c:9: error: no such thing\n  note: here\n"
        "make: *** Error 2\nall is fine, 0 errors\nfatal: not a repository\n"
    )
    levels = analyze(log)["levels"]
    assert levels == {
        "debug": 0,
        "info": 0,
        "warning": 1,
        "error": 2,
        "critical": 1,
        "unknown": 2,
        "method": "keyword",
    }


def test_undated_lines_of_a_dated_log_continue_what_they_follow(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "2024-01-01 10:00:00 INFO start\n"
        "the word ERROR in the middle\n"
        "Error: boom\n    at f (a.js:1)\n"
        "CRITICAL mass of words\n"
        "ERROR:root:printed without a time\n"
        "2024-01-01 10:00:01 ERROR broke\n"
        "[warning] from a library\n"
    )
    result = analyze(log)
    levels = result["levels"]
    assert (levels["info"], levels["error"], levels["warning"]) == (1, 2, 1)
    assert levels["critical"] == levels["unknown"] == 0
    assert result["time"]["undated_lines"] == 6


def test_an_access_log_tells_levels_by_status(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = [
        f'10.0.0.{n % 9} - - [10/Oct/2023:13:55:{n % 60:02d} +0200] "GET /item/{n}?q=error HTTP/1.1" {status} 12'
        for n, status in enumerate([200] * 50 + [404] * 7 + [503] * 4 + [200] * 9)
    ]
    log.write_text("\n".join(lines) + "\n")
    result = analyze(log)
    levels = result["levels"]
    assert (levels["info"], levels["warning"], levels["error"]) == (59, 7, 4)
    (error,) = result["errors"]
    assert (error["template"], error["count"]) == ("GET /item/<num> 503", 4)
    assert result["time"]["format"] == "apache"
    assert seconds(result["time"]["first"]) == 1696938900


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "g.py", line 4, in <module>
  |     raise ExceptionGroup("several", [ValueError(1), TypeError("t")])
  | ExceptionGroup: several (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "h.py", line 1, in f
    | TypeError: t
    +------------------------------------
"""


def test_groups_and_syntax_errors_and_prefixes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    prefix = "Nov 14 22:13:20 host app[7]: "
    log.write_text(
        "start\n"
        + GROUP
        + 'Traceback (most recent call last):\n  File "x.py", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n'
        + "".join(
            prefix + line + "\n"
            for line in (
                "Traceback (most recent call last):",
                '  File "p.py", line 5, in go',
                "    1/0",
                "ZeroDivisionError: division by zero",
                "going on",
            )
        )
        + 'Traceback (most recent call last):\n  File "cut.py", line 2, in off\n'
    )
    found = {one["exception"]: one for one in analyze(log)["tracebacks"]}
    assert {name: one["count"] for name, one in found.items()} == {
        "ExceptionGroup": 1,
        "SyntaxError": 1,
        "ZeroDivisionError": 1,
        "unfinished": 1,
    }
    assert found["ExceptionGroup"]["last_frame"]["file"] == "g.py"
    assert found["ZeroDivisionError"]["last_frame"] == {"file": "p.py", "line": 5, "func": "go"}
    assert found["ZeroDivisionError"]["first"]["line"] == 18


def test_a_crash_in_a_plain_log_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "out"
    log.write_text(
        'step 1\nstep 2\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n'
    )
    result = analyze(log)
    assert result["levels"]["error"] == 1 and result["levels"]["unknown"] == 2
    assert result["tracebacks"][0]["count"] == 1
    assert result["errors"] == []


def test_more_templates_than_are_listed(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}{'x' * (n % 5)}" for n in range(500)]
    log.write_text(
        "".join(f"2024-01-01 10:00:00 ERROR odd {word} thing\n" for word in words)
        + "2024-01-01 10:00:00 ERROR often\n" * 3
    )
    result = analyze(log)
    assert len(result["errors"]) == result["limits"]["max_templates"] == 200
    assert result["errors"][0]["count"] == 3
    listed = sum(one["count"] for one in result["errors"])
    assert listed + result["limits"]["other"] == 503 == result["levels"]["error"]


def test_gaps_and_spikes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    moments = [*range(0, 600), *range(4000, 4600)]
    lines = []
    for moment in moments:
        clock = f"2024-01-01 1{moment // 3600}:{moment // 60 % 60:02d}:{moment % 60:02d}"
        lines.append(f"{clock} INFO tick")
        if 4100 <= moment < 4130:
            lines += [f"{clock} ERROR broken"] * 5
    log.write_text("\n".join(lines) + "\n")
    timeline = analyze(log)["timeline"]
    (gap,) = timeline["gaps"]
    assert gap["seconds"] == 3401
    assert timeline["spikes"] and sum(one["errors"] for one in timeline["spikes"]) == 150


def test_a_giant_line_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.write(b"2024-01-01 10:00:00 INFO first\n")
        for _ in range(12):
            file.write(b"x" * (1 << 20))
        file.write(b" tail\n2024-01-01 10:00:02 ERROR last\n")
    for regex in ("first|last", "(?<=E)RR|xxx$"):
        result = analyze(log, regex)
        assert result["scanned"]["lines"] == 3
        assert result["levels"]["error"] == 1
    (_, last) = analyze(log, "first|last")["pattern"]["matches"]
    assert last["line"] == 3 and last["byte"] == log.stat().st_size - 31
    giant = analyze(log, "^x")["pattern"]["matches"][0]
    assert giant["clipped"] and len(giant["text"]) <= 16384


def test_once_a_thousand_matches_are_known_no_more_are_asked_for_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HERE", 1000)
    monkeypatch.setattr(module, "_PART", 20_000)
    monkeypatch.setattr(module, "MAX_MATCHES", 10)
    seen: list[int] = []
    collect = module._collect

    def counted(log: Any, parts: Any, layout: Any, answers: Any, inside: bool) -> Any:
        def watched() -> Any:
            for index, answer in answers:
                if answer[0] == "hits":
                    seen.append(len(answer[2]))
                yield index, answer

        return collect(log, parts, layout, watched(), inside)

    monkeypatch.setattr(module, "_collect", counted)
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(b"error %d\n" % at for at in range(30_000)))
    pattern = analyze(log, "error")["pattern"]
    assert pattern["total"] == 30_000
    assert [one["line"] for one in pattern["matches"]] == list(range(1, 11))
    assert sum(seen) <= 10 * 4
