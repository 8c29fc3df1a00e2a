"""Expressions that wait for their first use, and behave like any other then."""

from __future__ import annotations

import re

import pytest

from proctui.patterns import on_demand


def test_it_does_what_a_compiled_one_does() -> None:
    pattern, compiled = on_demand(r"(?P<x>a+)b", re.IGNORECASE), re.compile(r"(?P<x>a+)b", re.I)
    for text in ("xAAb", "", "aab aB"):
        assert pattern.sub("-", text) == compiled.sub("-", text)
        assert [m["x"] for m in pattern.finditer(text)] == [m["x"] for m in compiled.finditer(text)]
    assert pattern.pattern == compiled.pattern and pattern.flags == compiled.flags


def test_it_is_compiled_at_the_first_use_and_looked_up_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    real = re.compile
    monkeypatch.setattr(re, "compile", lambda *args: asked.append(args[0]) or real(*args))
    pattern = on_demand("once")
    assert not asked
    assert pattern.search("at once") and pattern.search("once") and not pattern.search("")
    assert asked == ["once"]


def test_a_broken_one_says_so_when_it_is_used() -> None:
    pattern = on_demand("(")
    with pytest.raises(re.error):
        pattern.search("")
