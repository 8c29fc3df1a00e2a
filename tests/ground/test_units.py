from __future__ import annotations

from datetime import datetime

import pytest

from proctui.units import human_bytes, human_percent, human_seconds, iso_time


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "?"),
        (0, "0B"),
        (999, "999B"),
        (1024, "1.0K"),
        (1536, "1.5K"),
        (10**9, "954M"),
        (2**40, "1.0T"),
    ],
)
def test_bytes(count: float | None, shown: str) -> None:
    assert human_bytes(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "?"), (0.25, "0.2s"), (42, "42s"), (75, "1m15s"), (9000, "2h30m"), (200000, "2d07h")],
)
def test_seconds(seconds: float | None, shown: str) -> None:
    assert human_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "?"), (0, "0.0"), (99.94, "99.9"), (812.3, "812")]
)
def test_percent(value: float | None, shown: str) -> None:
    assert human_percent(value) == shown


def test_times_carry_their_zone() -> None:
    text = iso_time(0.5)
    assert text is not None
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None and moment.timestamp() == 0.5
