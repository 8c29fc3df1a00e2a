"""The timeline as bars."""

from __future__ import annotations

from proctui.logs.text import bars, timeline_rows


def test_what_is_not_nothing_is_seen() -> None:
    assert bars([0, 1, 1000, 500]) == " ▁█▄"
    assert bars([0, 0]) == "  "
    assert bars([]) == ""


def test_rows_are_as_wide_as_asked_and_lose_nothing() -> None:
    buckets = [{"t": "", "lines": 2, "errors": at % 2} for at in range(100)]
    rows = timeline_rows({"bucket_s": 60, "buckets": buckets}, width=40)
    assert rows == [
        ("lines", "█" * 33 + "▃" + "  up to 6 in 3m00s"),
        ("errors", "".join("▄█"[at % 2] for at in range(33)) + "▄" + "  up to 2 in 3m00s"),
    ]
    assert timeline_rows({"bucket_s": 60, "buckets": buckets[:1]}) == []
