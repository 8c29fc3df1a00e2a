"""What a key is called on the screen."""

from __future__ import annotations

from collections.abc import Mapping

from proctui.tui.bindings import Key

__all__ = ["key_label", "keys_of"]

_LABELS = {
    "slash": "/",
    "backslash": "\\",
    "plus": "+",
    "minus": "-",
    "asterisk": "*",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "colon": ":",
    "question_mark": "?",
    "space": "Space",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def key_label(keys: str) -> str:
    """``"slash,f3"`` → ``"/ F3"``."""
    return " ".join(_one_label(one.strip()) for one in keys.split(",") if one.strip())


def _one_label(key: str) -> str:
    if key in _LABELS:
        return _LABELS[key]
    *modifiers, last = key.split("+")
    last = _LABELS.get(last, last.upper() if last[:1] == "f" and last[1:].isdigit() else last)
    if modifiers:
        return "+".join([*(one.capitalize() for one in modifiers), last.capitalize()])
    return last


def keys_of(key: Key, remapped: Mapping[str, str]) -> str:
    return remapped.get(key.id, key.keys)
