"""The engines against the plainest reference: ``re.search`` on every line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctui.errors import BadArgument
from proctui.logs.matcher import LINE_CAP, Matcher
from proctui.logs.regex import line_safe, literals

PATTERNS = [
    "error",
    "error|warn|timeout",
    "(error|warn)",
    "(?i)Error",
    r"\bk\b",
    "é",
    "É|ß",
    r"a\.b",
    "^error",
    "error$",
    "^$",
    "$",
    "x*",
    "",
    "a||b",
    r"e\s+r",
    r"e[^x]*r",
    r"[\s:]+x",
    r"\W\D",
    r"[^\W\d]+$",
    r"(?<=a)b",
    r"a(?!b)",
    r"(?s)a.*b",
    r"(?m)^b",
    r"\Aa",
    r"a\Z",
    r"(a|b)\1",
    r"\w+é",
    r"[a-f]{2,3}",
    r"a{,2}b",
    r"\n",
    "a\nb",
    r"(?x) a b",
    r"[[:alpha:]]",
    r"s|k|i",
    r"(?:a+)+$",
    r"\S\S$",
    r"(?P<word>er)r",
    r"\x65rror",
    "[]a]",
    r"a.c",
    r"\t",
    "\N{REPLACEMENT CHARACTER}",
]
ALPHABET = [
    "a",
    "b",
    "e",
    "r",
    "k",
    "x",
    " ",
    "\t",
    "\n",
    "\n",
    "é",
    "É",
    "ſ",
    "K",
    "ß",
    "İ",
    "ı",
    "1",
    ":",
]
WORDS = [
    "error",
    "ERROR",
    "Error ",
    "warn",
    "timeout",
    "e  r",
    "a.b",
    "\r",
    "\x0b",
    "\x1c",
    "\x85",
    "\u2028",
]


def reference(regex: str, ignore_case: bool, chunk: bytes) -> list[int]:
    compiled = re.compile(regex, re.IGNORECASE if ignore_case else 0)
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [
        number
        for number, line in enumerate(lines)
        if compiled.search(line.decode("utf-8", "replace"))
    ]


def found(matcher: Matcher, chunk: bytes) -> list[int]:
    bounds = matcher.lines(chunk)
    for start, end in bounds:
        assert b"\n" not in chunk[start:end]
        assert start == 0 or chunk[start - 1 : start] == b"\n"
        assert end == len(chunk) or chunk[end : end + 1] == b"\n"
    return [chunk.count(b"\n", 0, start) for start, _ in bounds]


text = st.lists(st.sampled_from(ALPHABET + WORDS), max_size=40).map("".join)
chunks = st.one_of(
    text.map(str.encode),
    st.lists(st.one_of(text.map(str.encode), st.binary(max_size=3)), max_size=6).map(b"".join),
)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("use_re2", [True, False])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_engines_answer_as_re_does_line_by_line(use_re2: bool, data: st.DataObject) -> None:
    regex = data.draw(st.sampled_from(PATTERNS))
    ignore_case = data.draw(st.booleans())
    matcher = Matcher(regex, ignore_case, use_re2=use_re2)
    for _ in range(4):
        chunk = data.draw(chunks)
        assert found(matcher, chunk) == reference(regex, ignore_case, chunk)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("regex", PATTERNS)
def test_every_pattern_on_known_lines(regex: str) -> None:
    chunk = (
        "error\nERROR here\n\na b\nab\naab\n  x\nwarn: timeout\ne\tr\nK and ſ and İ\né É ß\na\tb\r\nlast a"
    ).encode() + b"\xff\xfea\xe2\n\nb"
    for ignore_case in (False, True):
        for use_re2 in (True, False):
            matcher = Matcher(regex, ignore_case, use_re2=use_re2)
            for piece in (chunk, chunk[:60], chunk.replace(b"\xff", b"")):
                assert found(matcher, piece) == reference(regex, ignore_case, piece), matcher.engine


def test_plain_words_are_found_without_an_engine() -> None:
    assert Matcher("error|exception|timeout", True).engine == "literal"
    assert literals(r"(?:a\.b|c)", False) == (["a.b", "c"], False)
    assert literals("a.b", False) is None
    assert literals("é", True) is None


@pytest.mark.parametrize("ignore_case", [False, True])
def test_words_in_a_large_chunk_are_found_alike(ignore_case: bool) -> None:
    chunk = b"".join(
        b"%d %s\n" % (n, (b"error", b"Timeout error", b"", b"x\0timeout", b"none")[n * 7919 % 5])
        for n in range(20000)
    )
    for piece in (chunk, chunk + b"last error"):
        matcher = Matcher("error|timeout|absent", ignore_case)
        assert found(matcher, piece) == reference("error|timeout", ignore_case, piece)


def test_spans_are_character_offsets_of_the_shown_text() -> None:
    assert Matcher("b+").spans("é bb ab") == [[2, 4], [6, 7]]
    assert Matcher("x*").spans("axxa") == [[1, 3]]
    assert Matcher("error", True).spans("é ERROR error") == [[2, 7], [8, 13]]


def test_patterns_that_see_past_the_line_are_not_run_on_chunks() -> None:
    for regex in (r"(?<=a)b", r"a(?=b)", r"\Aa", "(?s)a.b", "(?x)a b", r"[\D]", r"a\nb", "a*+"):
        assert line_safe(regex, False) is None


@pytest.mark.parametrize(
    ("regex", "position"), [("(", 0), ("ab(", 2), ("[a", 0), ("a**", 2), ("é(?P<1>)", 5), ("\\", 0)]
)
def test_a_bad_pattern_names_its_position(regex: str, position: int) -> None:
    with pytest.raises(BadArgument, match=f"position {position}"):
        Matcher(regex)


@pytest.mark.parametrize("regex", [5, b"a", "(" * 5000 + ")" * 5000, "a" * 70000])
def test_patterns_that_are_none(regex: object) -> None:
    with pytest.raises(BadArgument):
        Matcher(regex)  # type: ignore[arg-type]


def test_re_looks_at_the_beginning_of_a_long_line_and_counts_it() -> None:
    matcher = Matcher("(?<=x)end", use_re2=False)
    line = b"x" * LINE_CAP + b"end\n"
    assert matcher.lines(b"xend\n" + line) == [(0, 4)]
    assert matcher.clipped_lines == 1
    assert Matcher("end").lines(line) == [(0, len(line) - 1)]
