"""Reading a regular expression: is it only words, and can it be run on many lines at once?

A pattern is meant line by line.  Running it line by line costs a call a line
(48 MB/s); running it on a megabyte at once is ten times as fast, but a part
of it might then match a newline.  :func:`line_safe` rewrites a pattern so
that no part of it can, or says that it does not know how.
"""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from proctui.errors import BadArgument

__all__ = ["LineSafe", "check", "line_safe", "literals"]

MAX_PATTERN = 65536

_SPECIAL = frozenset(".^$*+?{}[]()\\|")
_SPACE_ASCII = r"\t\x0b\x0c\r\x1c-\x1f "
_SPACE_BEYOND = r"\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_GROUP = re.compile(r"\(\?(?:P<\w+>|:|([aiLmsux]*)(?:-([imsx]+))?:)")
_LEADING_FLAGS = re.compile(r"\(\?([aiLmsux]+)\)")


class LineSafe(NamedTuple):
    """A pattern that matches no newline, for MULTILINE on a chunk of lines.

    ``ascii_text`` is right on ASCII chunks for ``re`` and RE2 alike,
    ``any_text`` for ``re`` on decoded text.  ``plain`` says that no class
    (``\\w``, ``\\b``, …) reads differently in RE2 beyond ASCII.
    """

    ascii_text: str
    any_text: str
    plain: bool
    ignore_case: bool


def check(regex: object, ignore_case: bool = False) -> re.Pattern[str]:
    """Compile what a person typed; :class:`BadArgument` names the character position, from 0."""
    if not isinstance(regex, str):
        raise BadArgument(f"pattern must be a string, not {type(regex).__name__}")
    if len(regex) > MAX_PATTERN:
        raise BadArgument(f"pattern is longer than {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(regex, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        at = 0 if error.pos is None else error.pos
        raise BadArgument(
            f"bad pattern at position {at}: {error.msg}",
            "the pattern is a Python regular expression; escape special characters with \\",
        ) from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise BadArgument("bad pattern at position 0: too complex to compile") from error


def literals(regex: str, ignore_case: bool) -> tuple[list[str], bool] | None:
    """The words of ``a|b|c`` and whether case counts for nothing, or ``None``.

    An outer group, a leading ``(?i)`` and escaped punctuation are seen
    through.  Words with cased letters beyond ASCII are left to the engine.
    """
    if regex.startswith("(?i)"):
        regex, ignore_case = regex[4:], True
    for opening in ("(?:", "("):
        if regex.startswith(opening) and regex.endswith(")") and not regex.endswith("\\)"):
            regex = regex[len(opening) : -1]
            break
    words: list[str] = []
    word: list[str] = []
    at = 0
    while at < len(regex):
        char = regex[at]
        if char == "|":
            words.append("".join(word))
            word = []
        elif char == "\\" and at + 1 < len(regex):
            at += 1
            char = regex[at]
            if char == "t":
                char = "\t"
            elif char.isalnum() or not char.isascii():
                return None
            word.append(char)
        elif char in _SPECIAL:
            return None
        else:
            word.append(char)
        at += 1
    words.append("".join(word))
    if any(not word or "\n" in word or not _encodable(word) for word in words):
        return None
    if ignore_case and any(not word.isascii() for word in words):
        return None
    return words, ignore_case


def _encodable(word: str) -> bool:
    """Bad bytes are decoded to U+FFFD, which must then be looked for in the text."""
    return "\N{REPLACEMENT CHARACTER}" not in word and not any(
        "\ud800" <= char <= "\udfff" for char in word
    )


def line_safe(regex: str, ignore_case: bool) -> LineSafe | None:
    """Rewrite ``regex`` so that nothing in it matches a newline; ``None`` if that is unsure.

    Given up: lookaround and atomic groups (they see past the line),
    ``\\A \\Z``, DOTALL, verbose patterns, and newlines written out.
    """
    flags = _LEADING_FLAGS.match(regex)
    at = 0
    if flags:
        if set(flags[1]) - set("imu"):
            return None
        ignore_case = ignore_case or "i" in flags[1]
        at = flags.end()
    ascii_out: list[str] = []
    any_out: list[str] = []
    plain = True
    while at < len(regex):
        char = regex[at]
        if char == "\n" or regex.startswith(("[:", "*+", "++", "?+", "}+", "{,"), at):
            return None
        if char == "(" and regex.startswith("(?", at):
            group = _GROUP.match(regex, at)
            if group is None or set(group[1] or "") - set("imu"):
                return None
            piece = (group[0], group[0])
            at = group.end()
        elif char == "[":
            parsed = _char_class(regex, at)
            if parsed is None:
                return None
            piece, at, simple = parsed
            plain = plain and simple
        elif char == "\\":
            escaped = _escape(regex[at + 1 : at + 2])
            if escaped is None:
                return None
            piece, simple = escaped
            plain = plain and simple
            at += 2
        else:
            piece = (char, char)
            at += 1
        ascii_out.append(piece[0])
        any_out.append(piece[1])
    return LineSafe("".join(ascii_out), "".join(any_out), plain, ignore_case)


def _escape(char: str) -> tuple[tuple[str, str], bool] | None:
    """An escape outside a class: both rewritings, and whether RE2 reads it alike."""
    if char == "s":
        return (f"[{_SPACE_ASCII}]", f"[{_SPACE_ASCII}{_SPACE_BEYOND}]"), False
    if char == "S":
        return (f"[^{_SPACE_ASCII}\\n]", f"[^{_SPACE_ASCII}{_SPACE_BEYOND}\\n]"), False
    if char in ("D", "W"):
        return (f"[^\\{char.lower()}\\n]",) * 2, False
    if char in ("d", "w", "b"):
        return (f"\\{char}",) * 2, False
    if char in ("t", "r", "f", "v") or (char and not char.isalnum() and char != "\n"):
        return (f"\\{char}",) * 2, True
    return None


def _char_class(regex: str, start: int) -> tuple[tuple[str, str], int, bool] | None:
    """A ``[…]`` beginning at ``start``: both rewritings, where it ends, whether RE2 agrees."""
    at = start + 1
    negated = regex.startswith("^", at)
    at += negated
    first = at
    plain = True
    ascii_out = ["[^\\n" if negated else "["]
    any_out = list(ascii_out)
    while at < len(regex):
        char = regex[at]
        if char == "]" and at > first:
            return ("".join(ascii_out) + "]", "".join(any_out) + "]"), at + 1, plain
        if char in "[&~|\n" or (char == "-" and regex.startswith("--", at)):
            return None
        if char == "\\":
            char = regex[at + 1 : at + 2]
            if char == "s" and not regex.startswith("-", at + 2):
                ascii_out.append(_SPACE_ASCII)
                any_out.append(_SPACE_ASCII + _SPACE_BEYOND)
                plain = False
            elif char in ("d", "w") or (negated and char in ("D", "W")):
                ascii_out.append("\\" + char)
                any_out.append("\\" + char)
                plain = False
            elif char in ("t", "r", "f", "v") or (char and not char.isalnum() and char != "\n"):
                ascii_out.append("\\" + char)
                any_out.append("\\" + char)
            else:
                return None
            at += 2
            continue
        if regex.startswith("-", at + 1) and char < "\n" < regex[at + 2 : at + 3]:
            return None
        piece = "\\" + char if char == "]" else char
        ascii_out.append(piece)
        any_out.append(piece)
        at += 1
    return None
