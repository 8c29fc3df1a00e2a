"""Makes text from outside harmless, once, where it enters.

A process chooses its own name, arguments, environment, thread names and log
lines.  Written raw they reach the terminal as escape sequences (title
changes, clipboard writes), turn text around with bidi controls or start lines
of their own.  Everything here maps one character to one character, so that
offsets into a text stay valid.
"""

from __future__ import annotations

import os

__all__ = ["decode", "encodable", "sanitize", "sanitize_lines"]

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class _Table(dict[int, str]):
    """Maps each character on first sight and remembers it (str.translate asks for ordinals)."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isprintable():
            harmless = char
        elif char.isspace() and char not in "\x85\u2028\u2029":
            harmless = " "
        else:
            harmless = _REPLACEMENT
        if len(self) < 4096:
            self[code] = harmless
        return harmless


_TABLE = _Table(_CONTROL_PICTURES)
_LINES_TABLE = _Table(_CONTROL_PICTURES)
_LINES_TABLE[0x0A] = "\n"


def sanitize(text: str) -> str:
    """Return ``text`` with every character printable, of the same length.

    C0 controls and DEL become their control pictures (``␛``), so that they
    stay visible; C1, bidi and other format characters, surrogates and
    unassigned code points become U+FFFD; exotic spaces become a space.
    """
    if text.isprintable():
        return text
    return text.translate(_TABLE)


def sanitize_lines(text: str) -> str:
    """Like :func:`sanitize`, but newlines stay: for text that *we* broke into lines."""
    if text.isprintable():
        return text
    return text.translate(_LINES_TABLE)


def decode(raw: bytes) -> str:
    """Decode bytes the kernel or a file gave us and make them harmless.

    Undecodable bytes become U+FFFD; nothing is dropped.
    """
    return sanitize(raw.decode("utf-8", "replace"))


def encodable(text: str) -> bool:
    """Whether the system takes it as a path or an argument: JSON can spell half a character."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
