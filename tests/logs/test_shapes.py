"""Blocks judged at sight add up to what looking at every line gives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctui.logs import gathering
from proctui.logs.layout import Layout, detect
from proctui.logs.scan import Scanner
from proctui.logs.shapes import Shapes, runs

STAMPS = ("2024-03-01 10:00:%02d,%03d", "[2024-03-01T10:00:%02d.%03dZ]", "Mar  1 10:00:%02d.%03d")
LEVELS = (
    *("INFO ", "DEBUG ", "WARNING ", "ERROR ", "CRITICAL ", "[INFO] ", "[error] ", "app: ", ""),
    *("INFORMED ", "INFO_7 ", "INFO", "[INFO:error] ", "DEBUGGER ", "Z INFO ", "+02:00 INFO "),
)
TEXTS = (
    "started",
    "ERROR is only a word here",
    "took 15 ms",
    "",
    "INFO: nested",
    "Traceback (most recent call last):",
)
TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/a.py", line 3, in run',
    "    step()",
    "KeyError: 'x'",
)
LOOSE = ("  continued", "", "ERROR: without a time", "}", "2024", "Caused by: x", "[", "INFO ")


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    stamp = draw(st.sampled_from(STAMPS))
    common = draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3))
    lines: list[str] = []
    for _ in range(draw(st.integers(3, 60))):
        kind = draw(st.integers(0, 19))
        when = stamp % (draw(st.integers(0, 3)), draw(st.integers(0, 999)))
        if kind < 14:
            level, text = draw(st.sampled_from(common)), draw(st.sampled_from(TEXTS[:3]))
            lines.append(f"{when} {level}{text}")
        elif kind < 17:
            level, text = draw(st.sampled_from(LEVELS)), draw(st.sampled_from(TEXTS))
            gap = "" if level[0:1] in ("Z", "+") else " "
            lines.append(f"{when}{gap}{level}{text}")
        elif kind < 19:
            lines.append(draw(st.sampled_from(LOOSE)))
        else:
            prefix = draw(st.sampled_from(("", f"{when} INFO ", f"{when} ERROR ")))
            lines += [prefix + line for line in TRACE]
    return "\n".join(lines).encode() + b"\n" * draw(st.integers(0, 2))


def scanned(data: bytes, layout: Layout, pieces: int) -> dict[str, Any]:
    scanner = Scanner(layout, seen_header=False)
    lines = data.splitlines(keepends=True)
    size = max(1, len(lines) // pieces)
    for at in range(0, len(lines), size):
        scanner.feed(b"".join(lines[at : at + size]))
    return scanner.finish().to_plain()


@settings(max_examples=300, deadline=None)
@given(logs(), st.integers(2, 6))
def test_blocks_judged_at_sight_add_up(data: bytes, pieces: int) -> None:
    layout = detect([b"\n".join(data.split(b"\n")[:5])], 1_710_000_000.0)
    quick = scanned(data, layout, pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "learn", lambda *_: None)
        slow = scanned(data, layout, pieces)
    quick["buckets"] = {key: one for key, one in quick["buckets"].items() if any(one)}
    slow["buckets"] = {key: one for key, one in slow["buckets"].items() if any(one)}
    assert quick == slow


def test_usual_lines_are_judged_at_sight() -> None:
    data = b"".join(b"2024-03-01 10:00:%02d INFO step %d\n" % (at // 10, at) for at in range(500))
    layout = detect([data], 1_710_000_000.0)
    asked: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        sift = Shapes.sift

        def counted(self: Shapes, masked: bytes, lines: int, levels: list[int]) -> Any:
            found = sift(self, masked, lines, levels)
            asked.append(len(found or ()))
            return found

        patch.setattr(Shapes, "sift", counted)
        tally = scanned(data, layout, 5)
    assert asked and set(asked) == {0}
    assert tally["levels"][1] == tally["lines"] == tally["dated"] == 500


def test_runs_of_equal_times_are_counted_or_given_up() -> None:
    def body(seconds: list[int]) -> bytes:
        return b"".join(b"\n10:00:%02d x" % second for second in seconds)

    def found(seconds: list[int]) -> dict[bytes, int] | None:
        block = body(seconds)
        masked = block.translate(gathering.MASK)
        return runs(block, masked, b"\n00:00:00", len(seconds), 0)

    sorted_ones = sorted([at // 7 for at in range(300)])
    truth = Counter(b"10:00:%02d" % second for second in sorted_ones)
    assert found(sorted_ones) == truth
    assert found([0, 1] * 150) in (None, Counter({b"10:00:00": 150, b"10:00:01": 150}))
    assert found([at % 50 for at in range(300)]) in (
        None,
        Counter(b"10:00:%02d" % (at % 50) for at in range(300)),
    )


def test_a_time_in_another_zone_is_counted_once() -> None:
    lines = [b"2024-03-01 10:00:%02d INFO step\n" % (at // 10) for at in range(200)]
    layout = detect([b"".join(lines)], 1_710_000_000.0)
    lines[150] = b"2024-03-01 10:00:15Z INFO step\n"
    tally = scanned(b"".join(lines), layout, 2)
    assert tally["dated"] == tally["levels"][1] == 200
    assert sum(count for count, _ in tally["buckets"].values()) == 200
