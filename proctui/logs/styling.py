"""A raw log line as harmless text with named spans: colours kept, everything else made visible.

Names are neutral: ``level-error``, ``match``, ``time``, ``trace``,
``ansi-bold``, ``ansi-fg-2``, ``ansi-bg-#aabbcc``.  A widget gives them colours.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from proctui.text import sanitize

__all__ = ["Span", "Styled", "plain_text", "styled"]

SHOWN: Final = 4000
"""Characters of a line that are shown."""

_ESCAPE: Final = re.compile(
    r"\x1b(?:\[([0-?]{0,64})[ -/]{0,8}([@-~])|\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)"
    r"|[PX^_][^\x1b\n]{0,2048}\x1b\\|[ -/]{0,4}[0-~])"
)
_FLAGS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_OFF: Final = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("reverse",),
    29: ("strike",),
}


class Span(NamedTuple):
    start: int
    end: int
    name: str


class Styled(NamedTuple):
    text: str
    spans: tuple[Span, ...]


def plain_text(raw: bytes) -> str:
    """The text of a line as it is shown and matched: no escapes, a progress bar's last state."""
    if b"\x1b" not in raw and b"\r" not in raw and b"\t" not in raw:
        return sanitize(raw.decode("utf-8", "replace"))
    return styled(raw).text


def styled(raw: bytes) -> Styled:
    """Text and colours of a line."""
    text = _overwritten(raw.decode("utf-8", "replace"))
    if "\x1b" not in text:
        return Styled(sanitize(text.expandtabs(8)), ())
    pieces: list[str] = []
    spans: list[Span] = []
    on: dict[str, str] = {}
    length = at = 0

    def add(piece: str) -> None:
        nonlocal length
        piece = sanitize(piece.expandtabs(8))
        pieces.append(piece)
        if piece:
            spans.extend(Span(length, length + len(piece), f"ansi-{name}") for name in on.values())
        length += len(piece)

    for found in _ESCAPE.finditer(text):
        add(text[at : found.start()])
        at = found.end()
        if found[2] == "m":
            _apply(found[1], on)
    add(text[at:])
    return Styled("".join(pieces), _joined(spans))


def _overwritten(text: str) -> str:
    """What stands on the screen after carriage returns: the last state of a progress bar."""
    text = text.rstrip("\r")
    if "\r" not in text:
        return text
    parts = [part for part in text.split("\r") if part]
    return parts[-1] if parts else ""


def _apply(codes: str, on: dict[str, str]) -> None:
    """Change what is switched on by one SGR sequence (ECMA-48 8.3.117)."""
    numbers = [int(code) if code.isdigit() else 0 for code in re.split("[;:]", codes)[:32]]
    at = 0
    while at < len(numbers):
        code = numbers[at]
        at += 1
        if code == 0:
            on.clear()
        elif code in _FLAGS:
            on[_FLAGS[code]] = _FLAGS[code]
        elif code in _OFF:
            for name in _OFF[code]:
                on.pop(name, None)
        elif code in (38, 48):
            ground = "fg" if code == 38 else "bg"
            if numbers[at : at + 1] == [5] and len(numbers) > at + 1:
                on[ground] = f"{ground}-{min(numbers[at + 1], 255)}"
                at += 2
            elif numbers[at : at + 1] == [2] and len(numbers) > at + 3:
                red, green, blue = (min(value, 255) for value in numbers[at + 1 : at + 4])
                on[ground] = f"{ground}-#{red:02x}{green:02x}{blue:02x}"
                at += 4
        elif code in (39, 49):
            on.pop("fg" if code == 39 else "bg", None)
        else:
            for low, ground, shift in ((30, "fg", 0), (40, "bg", 0), (90, "fg", 8), (100, "bg", 8)):
                if low <= code < low + 8:
                    on[ground] = f"{ground}-{code - low + shift}"


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Neighbouring spans of one name as one."""
    last: dict[str, int] = {}
    out: list[Span] = []
    for span in spans:
        index = last.get(span.name)
        if index is not None and out[index].end == span.start:
            out[index] = Span(out[index].start, span.end, span.name)
        else:
            last[span.name] = len(out)
            out.append(span)
    return tuple(out)
