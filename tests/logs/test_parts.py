"""However a log is cut into blocks and parts, its analysis is the same."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctui.logs import analyze as module
from proctui.logs import blocks, parts
from proctui.logs.analyze import analyze

TRACE = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in f',
    "    x",
    "KeyError: 'k'",
]
CHAIN = [
    *TRACE,
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    *TRACE[:3],
    "OSError: 5",
]
PIECES: dict[str, list[str]] = {
    "info": ["{t} INFO fine"],
    "error": ["{t} ERROR failed to open /x/{n}"],
    "bare": ["{t} no level here"],
    "traced": ["{t} ERROR broke", *TRACE],
    "chained": ["{t} CRITICAL broke", *CHAIN],
    "prefixed": [f"{{t}} app: {line}" for line in TRACE],
    "continued": ["{t} WARNING long", "    more", "\tat java.Thing", "Caused by: x"],
    "plain": ["just words {n}"],
    "leveled": ["ERROR: without a time"],
    "empty": [""],
    "lone": TRACE,
    "cut": TRACE[:2],
    "accent": ["{t} INFO é ſ K"],
}
UNDATED = ["plain", "leveled", "empty", "lone", "cut", "continued-bare", "info-bare"]
BARE = {
    "continued-bare": ["WARNING: long", "    more", "\tat java.Thing", "Caused by: x"],
    "info-bare": ["INFO: fine {n}"],
}


def build(kinds: list[str]) -> bytes:
    out = []
    for number, kind in enumerate(kinds):
        stamp = f"2024-01-01 10:{number // 60 % 60:02d}:{number % 60:02d},000"
        for line in {**PIECES, **BARE}[kind]:
            out.append(line.replace("{t}", stamp).replace("{n}", str(number)))
    return "".join(f"{line}\n" for line in out).encode()


def result_of(path: Path, **options: Any) -> dict[str, Any]:
    result = analyze(path, "e|K", workers=1, **options)
    result["scanned"].pop("seconds")
    return result


@pytest.mark.parametrize("dated", [True, False])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_blocks_make_no_difference(
    dated: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    choices = sorted(PIECES) if dated else UNDATED
    kinds = data.draw(st.lists(st.sampled_from(choices), max_size=40))
    if dated:
        kinds = ["info"] * 12 + kinds
    log = tmp_path_factory.mktemp("p") / "a.log"
    log.write_bytes(build(kinds))
    whole = result_of(log)
    size = data.draw(st.sampled_from([90, 150, 400]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "blocks", functools.partial(blocks.blocks, size=size))
        assert result_of(log) == whole


def test_a_block_that_begins_with_an_empty_line_waits_for_its_entrys_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(build(["empty", "cut", "plain", "lone"]))
    whole = result_of(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "blocks", functools.partial(blocks.blocks, size=150))
        assert result_of(log) == whole


@pytest.mark.parametrize("dated", [True, False])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_parts_make_no_difference(
    dated: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    choices = [kind for kind in (sorted(PIECES) if dated else UNDATED) if kind != "cut"]
    kinds = data.draw(st.lists(st.sampled_from(choices), min_size=20, max_size=60))
    kinds = ["info" if dated else "info-bare"] * 12 + kinds
    log = tmp_path_factory.mktemp("p") / "a.log"
    log.write_bytes(build(kinds))
    whole = result_of(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_HERE", 0)
        patch.setattr(module, "_PART", data.draw(st.sampled_from([200, 500])))
        assert result_of(log) == whole
