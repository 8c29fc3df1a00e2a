from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctui.text import decode, sanitize, sanitize_lines


def test_printable_text_is_untouched() -> None:
    text = "pytest tests/é漢字 😀 [b]not markup[/b]"
    assert sanitize(text) is text


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b]0;PWN\x07", "␛]0;PWN␇"),
        ("a\nb", "a␊b"),
        ("a\tb", "a␉b"),
        ("\x7f", "␡"),
        ("\x9b31m", "�31m"),
        ("\u202egpj.exe", "�gpj.exe"),
        ("\u2028", "�"),
        ("\ud800", "�"),
        ("\u3000", " "),
    ],
)
def test_hostile_characters_become_visible(hostile: str, harmless: str) -> None:
    assert sanitize(hostile) == harmless


@given(st.text())
def test_everything_becomes_printable_one_to_one(text: str) -> None:
    result = sanitize(text)
    assert len(result) == len(text)
    assert result.isprintable()
    assert sanitize(result) == result


@given(st.text())
def test_lines_keep_only_their_newlines(text: str) -> None:
    result = sanitize_lines(text)
    assert result.count("\n") == text.count("\n")
    assert result.replace("\n", "").isprintable()


@given(st.binary())
def test_bytes_always_decode(raw: bytes) -> None:
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Cf") for char in decode(raw))
