"""The log pane's model on real files: what is shown, in which order, and that nothing waits."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proctui.errors import AccessDenied, BadArgument, ProctuiError
from proctui.logs import helper as helpers
from proctui.logs import source
from proctui.logs.outline import editor_place, entry_text, histogram, line_text, save
from proctui.logs.pane import Change, Filters, LogModel
from tests.support import wait_for

TRACE = """Traceback (most recent call last):
  File "/app/a.py", line 3, in run
    step()
ZeroDivisionError: division by zero
"""


def stamp(second: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_700_000_000 + second)) + ",000"


def texts(model: LogModel) -> list[str]:
    return [model.row(index).text for index in range(model.length())]


@pytest.fixture
def opened() -> Iterator[Callable[..., LogModel]]:
    models: list[LogModel] = []

    def make(*paths: Path, **options: int) -> LogModel:
        models.append(LogModel([(path.name, str(path)) for path in paths], **options))
        models[-1].poll()
        return models[-1]

    yield make
    for model in models:
        model.close()


def settle(model: LogModel, condition: Callable[[Change], object]) -> Change:
    """Poll until ``condition`` holds of a change."""
    found: list[Change] = []

    def look() -> bool:
        change = model.poll()
        if condition(change):
            found.append(change)
        return bool(found)

    wait_for(look)
    return found[0]


def numbered(path: Path, count: int) -> None:
    path.write_text("".join(f"{stamp(n)} INFO app: line {n}\n" for n in range(count)))


def test_it_opens_at_the_end_and_goes_back_to_the_beginning(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 3000)
    model = opened(log)
    assert texts(model)[-1].endswith("line 2999")
    assert 100 < model.length() < 3000
    while not model.status()["complete"]:
        model.older(500)
        model.poll()
    assert [text.rsplit(" ", 1)[1] for text in texts(model)] == [str(n) for n in range(3000)]
    assert model.status()["shown"] == model.status()["of"] == 3000


def test_what_is_appended_comes_and_rotation_is_marked(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 2)
    model = opened(log)
    with log.open("a") as file:
        file.write(f"{stamp(5)} ERROR app: broke\n{TRACE}")
    change = settle(model, lambda change: change.appended)
    assert change.appended == 2
    assert texts(model)[-1] == "  ▸ ZeroDivisionError: division by zero  (4 lines)"
    log.rename(tmp_path / "a.log.1")
    log.write_text(f"{stamp(6)} INFO new\n")
    settle(model, lambda change: texts(model)[-1].endswith("INFO new"))
    assert "rotated" in texts(model)[-2]
    assert model.row(model.length() - 2).kind == "mark"
    model.search("line 0")
    row = wait_for(
        lambda: (
            model.poll() is not None and model.find_next(model.length(), backward=True) is not None
        )
    )
    assert row


def test_older_rows_are_found_in_the_file_that_was_rotated_away(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 3000)
    model = opened(log)
    log.rename(tmp_path / "a.log.1")
    log.write_text(f"{stamp(4000)} INFO new\n")
    settle(model, lambda change: texts(model)[-1].endswith("new"))
    model.set_filters(Filters(keep=(("line 7$|new", False),)))
    settle(model, lambda change: model.status()["complete"])
    assert [text.split("INFO ")[1] for text in texts(model)] == ["app: line 7", "new"]


@pytest.mark.parametrize("shape", ["literal", "expression"])
def test_filters_show_whole_entries(
    shape: str, tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    lines = []
    for n in range(20000):
        lines.append(f"{stamp(n)} INFO app: step {n} of user{n % 7}\n")
        if n % 1000 == 3:
            lines.append(f"{stamp(n)} ERROR app: step {n} failed\n{TRACE}")
    log.write_text("".join(lines))
    model = opened(log)
    wanted = "ZeroDivision" if shape == "literal" else r"Zero\w+: div"
    model.set_filters(Filters(keep=((wanted, False),), drop=((" 5003 ", False),)))
    settle(model, lambda change: model.status()["complete"])
    heads = [text for text in texts(model) if "ERROR" in text]
    expected = [n for n in range(20000) if n % 1000 == 3 and n != 5003]
    assert [int(text.split("step ")[1].split()[0]) for text in heads] == expected
    assert model.length() == 2 * len(expected)
    assert model.status()["shown"] == 5 * len(expected)
    assert model.status()["of"] == len("".join(lines).splitlines())
    fold = model.row(1)
    assert fold.kind == "fold" and any(span.name == "match" for span in fold.spans)
    model.fold(1)
    assert texts(model)[1:5] == TRACE.splitlines()


def test_filters_combine_and_context_is_shown_dim(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 500)
    model = opened(log)
    filters = Filters(keep=(("line 2", False), ("0$", False)), drop=(("250", False),), context=1)
    model.set_filters(filters)
    settle(model, lambda change: model.status()["complete"])
    hits = [n for n in range(500) if str(n).startswith("2") and n % 10 == 0 and n != 250]
    shown = sorted({near for n in hits for near in (n - 1, n, n + 1)})
    assert [int(text.rsplit(" ", 1)[1]) for text in texts(model)] == shown
    assert [model.row(at).hit for at, n in enumerate(shown)] == [n in hits for n in shown]
    with log.open("a") as file:
        for n in (500, 2900, 501, 502):
            file.write(f"{stamp(n)} INFO app: line {n}\n")
    settle(model, lambda change: "501" in texts(model)[-1])
    assert [text.rsplit(" ", 1)[1] for text in texts(model)[-3:]] == ["500", "2900", "501"]


def test_case_is_a_switch_and_a_bad_pattern_names_its_place(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    log.write_text("ÄRGER\närger\nother\n")
    model = opened(log)
    model.set_filters(Filters(keep=(("ärger", False),)))
    settle(model, lambda change: model.status()["complete"])
    assert texts(model) == ["ärger"]
    model.set_filters(Filters(keep=(("ärger", True),)))
    settle(model, lambda change: model.status()["complete"])
    assert texts(model) == ["ÄRGER", "ärger"]
    with pytest.raises(BadArgument, match="position 3"):
        model.set_filters(Filters(keep=(("abc(", True),)))
    assert model.filters.keep == (("ärger", True),)


def test_searching_goes_beyond_the_window_both_ways(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    with log.open("w") as file:
        for n in range(60000):
            word = "needle" if n in (17, 30000) else "hay"
            level = "ERROR" if n == 12345 else "INFO"
            file.write(f"{stamp(n)} {level} app: {word} {n}\n")
    model = opened(log, limit=2000)
    model.search("NEEDLE")
    settle(model, lambda change: not model.status()["busy"])
    at = model.length() - 1
    for number in (30000, 17):
        assert model.find_next(at, backward=True) is None
        change = settle(model, lambda change: change.jump is not None or change.note)
        assert change.jump is not None, change.note
        at = change.jump
        assert texts(model)[at].endswith(f"needle {number}")
    assert model.find_next(at, backward=True) is None
    assert "nothing" in settle(model, lambda change: change.note).note
    assert model.find_next(at) is None
    change = settle(model, lambda change: change.jump is not None)
    assert texts(model)[change.jump or 0].endswith("needle 30000")
    assert model.next_error(change.jump or 0, backward=True) is None
    change = settle(model, lambda change: change.jump is not None)
    assert texts(model)[change.jump or 0].endswith("hay 12345")
    model.to_end()
    settle(model, lambda change: texts(model) and texts(model)[-1].endswith("hay 59999"))
    assert model.at_end and model.following


def test_clearing_a_filter_stays_at_the_line(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 30000)
    model = opened(log, limit=3000)
    model.set_filters(Filters(keep=(("line 777$", False),)))
    settle(model, lambda change: model.status()["complete"])
    model.set_filters(Filters(), anchor=0)
    settle(model, lambda change: model.length() > 500)
    numbers = [int(text.rsplit(" ", 1)[1]) for text in texts(model)]
    assert 776 in numbers and 778 in numbers and not model.at_end
    while not model.at_end:
        model.newer()
        model.poll()
    numbers = [int(text.rsplit(" ", 1)[1]) for text in texts(model)]
    assert numbers == list(range(numbers[0], 30000))
    assert model.length() <= 3000 * 1.2


def test_the_window_slides_both_ways_without_a_gap(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 12000)
    model = opened(log, limit=2000)
    model.following = False
    while (numbers := [int(text.rsplit(" ", 1)[1]) for text in texts(model)])[0] != 0:
        model.older(700)
        model.poll()
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert model.length() < 4000
    assert not model.at_end
    while not model.at_end:
        model.newer()
        model.poll()
        numbers = [int(text.rsplit(" ", 1)[1]) for text in texts(model)]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] == 11999


def test_several_logs_and_events_share_one_time_axis(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_text("".join(f"{stamp(n)} INFO one {n}\n" for n in range(0, 1000, 2)))
    two.write_text("".join(f"{stamp(n)} INFO two {n}\n" for n in range(1, 1000, 2)))
    model = opened(one, two)
    model.add_event(1_700_000_000 + 990.5, "4711 (worker) died", "error")
    model.restart()
    while not model.status()["complete"]:
        model.older()
        model.poll()
    rows = [model.row(index) for index in range(model.length())]
    logged = [row for row in rows if row.kind == "line"]
    assert [int(row.text.rsplit(" ", 1)[1]) for row in logged] == list(range(1000))
    assert [row.source for row in logged[:2]] == ["one.log", "two.log"]
    event = [row.kind for row in rows].index("event")
    assert rows[event - 1].text.endswith("990") and rows[event + 1].text.endswith("991")
    model.add_event(time.time(), "4712 (worker) spawned")
    settle(model, lambda change: change.appended)
    assert texts(model)[-1] == "4712 (worker) spawned"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time at which lines come, turned by hand."""
    one = SimpleNamespace(now=1_700_000_000.0)
    monkeypatch.setattr(source, "time", SimpleNamespace(time=lambda: one.now))
    return one


def append(model: LogModel, path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
    settle(model, lambda change: change)


def test_the_past_shows_a_log_as_it_stood(
    tmp_path: Path, opened: Callable[..., LogModel], clock: SimpleNamespace
) -> None:
    log = tmp_path / "a.log"
    log.write_text("before\n")
    os.utime(log, (clock.now - 50, clock.now - 50))
    model = opened(log)
    for second in (1, 2, 3):
        clock.now = 1_700_000_000 + second
        append(model, log, f"line {second}\n")
    model.add_event(1_700_000_001.5, "4711 died", "error")
    assert model.to_past(1_700_000_002.5)
    settle(model, lambda change: change.reset)
    assert texts(model) == ["before", "line 1", "4711 died", "line 2"]
    clock.now += 1
    with log.open("a") as file:
        file.write("line 4\n")
    for _ in range(5):
        model.newer()
        model.poll()
    assert texts(model)[-1] == "line 2", "the past stands still"
    assert model.to_past(1_700_000_000 - 10)
    settle(model, lambda change: change.reset)
    assert texts(model) == ["before"], "it was written long before it was opened"
    model.to_end()
    settle(model, lambda change: change.reset)
    assert texts(model)[-2:] == ["line 3", "line 4"]
    assert model.at_end and model.following


def test_before_it_was_opened_a_log_is_known_by_its_timestamps(
    tmp_path: Path, opened: Callable[..., LogModel], clock: SimpleNamespace
) -> None:
    dated, plain = tmp_path / "dated.log", tmp_path / "plain.log"
    dated.write_text("".join(f"{stamp(n)} INFO line {n}\n" for n in range(5000)))
    plain.write_text("one\n")
    clock.now += 9000
    model = opened(dated)
    for last in (1234, 0, 4999):
        assert model.to_past(1_700_000_000 + last + 0.5)
        settle(model, lambda change: change.reset)
        assert texts(model)[-1].endswith(f"INFO line {last}")
    assert model.length() > 250, "what is older comes with it"
    model.search("line 49(10|99)")
    settle(model, lambda change: change.changed)
    assert model.next_error(0) is None
    undated = opened(plain)
    assert not undated.to_past(1_600_000_000), "nobody can know"
    settle(undated, lambda change: change.reset)
    assert texts(undated) == ["one"]


def test_the_past_reaches_into_a_file_that_was_rotated_away(
    tmp_path: Path, opened: Callable[..., LogModel], clock: SimpleNamespace
) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    os.utime(log, (clock.now, clock.now))
    model = opened(log)
    clock.now += 10
    log.rename(tmp_path / "a.log.1")
    log.write_text("new\n")
    settle(model, lambda change: "new" in texts(model))
    model.to_past(1_700_000_005.0)
    settle(model, lambda change: change.reset)
    assert texts(model) == ["old"]


def test_repetitions_are_counted_and_progress_is_folded(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    log.write_text("same\nsame\nsame\n10%\r50%\r100%\nend\n")
    model = opened(log)
    assert texts(model) == ["same  ×3", "100%", "end"]
    with log.open("a") as file:
        file.write("end\nend\n20%\r30%")
    settle(model, lambda change: model.length() == 4)
    assert texts(model) == ["same  ×3", "100%", "end  ×3", "30%"]


def test_hostile_lines_are_harmless_and_colours_are_spans(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(
        b"\x1b[1;31mred\x1b[0m plain\n\x1b]0;title\x07shown\n\x1b]52;c;aGk=\x1b\\x\n"
        b"\x9b31m \xe2\x80\xae bidi\n\x1b[2J\x1b[H[b]markup[/b]\nnul\0\xff\n\x1b[38;2;1;2;300mrgb\n"
    )
    model = opened(log)
    shown = texts(model)
    assert shown[:3] == ["red plain", "shown", "x"]
    assert all(text.isprintable() for text in shown)
    assert [tuple(span) for span in model.row(0).spans] == [
        (0, 3, "ansi-bold"),
        (0, 3, "ansi-fg-1"),
    ]
    assert shown[4] == "[b]markup[/b]"
    assert [span.name for span in model.row(6).spans] == ["ansi-fg-#0102ff"]


@pytest.mark.parametrize("head", ["plain words", f"{stamp(0)} ERROR broke"])
def test_a_traceback_that_comes_line_by_line_is_one_entry(
    head: str, tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"{head}\n")
    model = opened(log)
    with log.open("a", buffering=1) as file:
        for line in TRACE.splitlines(True):
            file.write(line)
            model.poll()
        file.write(f"{stamp(1)} INFO after\n" if "ERROR" in head else "after\n")
    settle(model, lambda change: texts(model)[-1].endswith("after"))
    assert texts(model)[-2] == "  ▸ ZeroDivisionError: division by zero  (4 lines)"
    assert model.length() == 3


def test_a_pattern_that_explodes_is_told_and_left_out(
    tmp_path: Path, opened: Callable[..., LogModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "CPU_LIMIT", 0.2)
    log = tmp_path / "a.log"
    numbered(log, 50)
    with log.open("a") as file:
        file.write("x" * 40 + "!\n")
    model = opened(log)
    slowest = 0.0
    model.set_filters(Filters(keep=(("(x+x+)+(?<=y)", False),)))
    while True:
        begun = time.process_time()
        change = model.poll()
        slowest = max(slowest, time.process_time() - begun)
        if change.note:
            break
    assert "stopped" in change.note and "(x+x+)+" in change.note
    assert not model.filters.active
    assert slowest < 1
    settle(model, lambda change: model.length() == 51)


def test_copies_places_histogram_and_saving(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 20)
    with log.open("a") as file:
        file.write(f"{stamp(40)} ERROR app: broke\n{TRACE}")
    model = opened(log)
    assert line_text(model, 3).endswith("line 3")
    assert entry_text(model, 21).splitlines()[1:] == TRACE.splitlines()
    assert editor_place(model, 3) == (str(log), 4)
    assert editor_place(model, 20) == (str(log), 21)
    buckets = histogram(model, 4)
    assert [bucket.lines for bucket in buckets] == [10, 10, 0, 5]
    assert [bucket.errors for bucket in buckets] == [0, 0, 0, 1]
    copy = tmp_path / "saved"
    assert save(model, str(copy)) == 25
    assert copy.read_bytes() == log.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ProctuiError):
        save(model, str(copy))


def test_a_flood_is_left_behind_and_the_end_is_shown(
    tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 10)
    model = opened(log)
    with log.open("a") as file:
        for n in range(150_000):
            file.write(f"{stamp(20)} INFO app: flood {n}\n")
    change = settle(model, lambda change: texts(model)[-1].endswith("flood 149999"))
    assert change.reset and model.at_end and model.length() < 1000
    model.following = False
    with log.open("a") as file:
        file.write(f"{stamp(21)} INFO app: after\n")
    settle(model, lambda change: change.appended)
    assert texts(model)[-2:] == [
        f"{stamp(20)} INFO app: flood 149999",
        f"{stamp(21)} INFO app: after",
    ]


@pytest.mark.parametrize("encoded", [gzip.compress, lambda raw: raw.decode().encode("utf-16")])
def test_compressed_and_wide_logs_are_shown(
    encoded: Callable[[bytes], bytes], tmp_path: Path, opened: Callable[..., LogModel]
) -> None:
    log = tmp_path / "a.log"
    numbered(log, 3000)
    log.write_bytes(encoded(log.read_bytes()))
    model = opened(log)
    assert texts(model)[-1].endswith("line 2999")
    model.set_filters(Filters(keep=(("line 7$", False),)))
    settle(model, lambda change: model.status()["complete"])
    assert [text.split("INFO ")[1] for text in texts(model)] == ["app: line 7"]
    assert editor_place(model, 0) is None


def test_what_cannot_be_opened_is_a_problem_and_no_end(tmp_path: Path) -> None:
    model = LogModel([("none", str(tmp_path / "none")), ("dir", str(tmp_path))])
    assert len(model.problems) == 2
    model.poll()
    assert model.length() == 0 and model.status()["complete"]
    model.close()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_saving_where_nobody_may_write(tmp_path: Path, opened: Callable[..., LogModel]) -> None:
    log = tmp_path / "a.log"
    numbered(log, 2)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AccessDenied):
            save(opened(log), str(tmp_path / "copy"))
    finally:
        tmp_path.chmod(0o700)
