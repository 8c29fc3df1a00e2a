"""What kind of log this is, decided once from samples of it, and what that makes of a line.

An *entry* begins with a line that has a timestamp or a level in a field; in a
log without timestamps every line that is not indented begins one.  All other
lines continue the entry before them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from proctui.logs import levels
from proctui.logs.levels import UNKNOWN
from proctui.logs.times import BY_NAME, FORMATS, JSON_TIME, Format, Stamp, find_stamp
from proctui.logs.tracebacks import MARK, read_traceback

__all__ = ["ANSI", "Layout", "Verdict", "clean", "detect", "in_traceback"]

ANSI: Final = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)|[PX^_][^\x1b\n]{0,2048}\x1b\\|[ -/]{0,4}[0-~])"
)
MASK: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SAMPLE_LINES: Final = 600
_MAX_WIDTH: Final = 112
_LONGER_LEVEL: Final = 6
"""Bytes by which a rare level may be longer than the usual ones."""
_INDENTED_LEVEL: Final = re.compile(rb"\s+(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\s")
_INNER: Final = re.compile(
    rb"\s|$|Caused by: |\.\.\. \d+ more|During handling of |The above exception was |[)}\]]"
)


class Verdict(NamedTuple):
    """What a line is.

    ``dated``: it has a timestamp of its own; ``begins``: it begins an entry;
    ``decided``: a head that was cut off still tells the level for sure;
    ``fast``: the timestamp stands exactly where the layout says;
    ``after``: where timestamp and level end.
    """

    begins: bool
    dated: bool
    fast: bool
    decided: bool
    level: int
    after: int
    inner: bool


@dataclass
class Layout:
    """``width``: bytes of a line's head that nearly always hold timestamp and level."""

    json: bool
    format: str | None
    column: int
    width: int
    zone: bytes | None
    method: str
    dated: bool
    granularity: int
    reference: float

    def __post_init__(self) -> None:
        self.primary: Format | None = BY_NAME.get(self.format or "")
        self.formats: tuple[Format, ...] = FORMATS
        if self.primary:
            rest = tuple(one for one in FORMATS if one is not self.primary and one.name != "epoch")
            self.formats = (self.primary, *rest)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def stamp(self, line: bytes) -> Stamp | None:
        return find_stamp(line, self.formats)

    def judge(self, line: bytes, *, whole: bool) -> Verdict:
        """Judge a line, or its head with digits masked (``whole`` false)."""
        first = line[:1]
        if not first.strip():
            if _INDENTED_LEVEL.match(line):
                level, end = levels.field_level(line, 0, 64)
                return Verdict(True, False, False, True, level, end, False)
            if not whole and not line.strip():
                return Verdict(False, False, False, not line, UNKNOWN, 0, True)
            stamp = None
        else:
            stamp = self.stamp(line)
        after = 0
        fast = False
        if stamp is not None:
            after = stamp.end
            fast = (
                stamp.format is self.primary
                and stamp.key_start == self.column
                and (stamp.zone or b"")[:1].isalpha() == (self.zone or b"")[:1].isalpha()
            )
            if stamp.level is not None:
                return Verdict(
                    True, True, fast, True, levels.letter_level(stamp.level), after, False
                )
            if stamp.format.name == "apache":
                level = levels.status_level(line, after) if whole else UNKNOWN
                return Verdict(True, True, fast, whole, level, after, False)
        elif not first.strip() or (whole and _INNER.match(line)):
            return Verdict(False, False, False, True, UNKNOWN, 0, True)
        level, end = UNKNOWN, -1
        if stamp is not None and stamp.key_start > 2:
            level, end = levels.field_level(line, 0, stamp.key_start)
        if level == UNKNOWN:
            level, end = levels.field_level(line, after, min(after + 160, len(line)))
        if stamp is None and self.dated and not levels.OWN_ENTRY.match(line):
            level = UNKNOWN
        if level != UNKNOWN and self.method == "parsed":
            sure = whole or end < len(line)
            return Verdict(True, stamp is not None, fast, sure, level, max(after, end), False)
        if not whole:
            return Verdict(stamp is not None, stamp is not None, fast, False, level, after, False)
        if self.method == "keyword":
            level = levels.keyword_level(line, after)
            end = -1
        return Verdict(stamp is not None, stamp is not None, fast, True, level, after, False)

    def entry_cut(self, data: bytes) -> int:
        """Where the last entry of ``data`` begins; ``len(data)`` if it can't be told.

        ``data`` itself begins with an entry.
        """
        end = len(data) - 1 if data.endswith(b"\n") else len(data)
        floor = max(0, len(data) - (1 << 18))
        while end > floor:
            start = data.rfind(b"\n", floor, end) + 1
            if start <= floor:
                return len(data) if floor else 0
            before = data.rfind(b"\n", floor, start - 1) + 1
            if self.may_cut(
                data[before : start - 1], data[start : min(end, start + 512)]
            ) and not in_traceback(data, start):
                return start
            end = start - 1
        return len(data) if floor else 0

    def may_cut(self, before: bytes, line: bytes) -> bool:
        """Whether ``line`` surely begins an entry of its own, behind the line ``before``."""
        if self.json:
            return line.startswith(b"{")
        if MARK in line or MARK in before:
            return False
        verdict = self.judge(clean(line), whole=True)
        if verdict.dated:
            return not before[:1].isspace() or not line[:1].isspace()
        if self.dated or verdict.inner or _INNER.match(before):
            return False
        return not line[:1].isspace()


def in_traceback(data: bytes, start: int) -> bool:
    """Whether a traceback, its lines perhaps prefixed, goes on at ``start``."""
    mark = data.rfind(MARK, max(0, start - 16384), start)
    if mark < 0:
        return False
    first = data.rfind(b"\n", 0, mark) + 1
    lines = data[first:].split(b"\n", 400)
    end = read_traceback(lines[:400], 0).end
    return first + sum(len(line) + 1 for line in lines[:end]) > start


def clean(data: bytes) -> bytes:
    """Lines as a terminal would leave them: no colours, only a progress bar's last state."""
    if b"\x1b" in data:
        data = ANSI.sub(b"", data)
    if b"\r" in data:
        data = _fold(data)
    return data


def _fold(data: bytes) -> bytes:
    """Of what carriage returns overwrite, the last state; each line stays one line."""
    if data.count(b"\r") == data.count(b"\r\n"):
        return data.replace(b"\r\n", b"\n")
    lines = data.split(b"\n")
    for index, line in enumerate(lines):
        if b"\r" in line:
            line = line.rstrip(b"\r")
            lines[index] = line[line.rfind(b"\r") + 1 :]
    return b"\n".join(lines)


def detect(samples: list[bytes], reference: float) -> Layout:
    """Find the layout from samples of a log: its beginning, middle and end."""
    lines: list[bytes] = []
    for sample in samples:
        lines += [
            line[:2048] for line in clean(sample).split(b"\n")[:_SAMPLE_LINES] if line.strip()
        ]
    outer = [line for line in lines if not _INNER.match(line) and MARK not in line]
    if outer and sum(1 for line in lines if _is_json(line)) * 2 > len(outer):
        return _detect_json(lines, reference)
    names: Counter[str] = Counter()
    for line in outer:
        for one in FORMATS:
            if _believable(find_stamp(line, (one,))):
                names[one.name] += 1
    best = max(FORMATS, key=lambda one: names[one.name]) if names else None
    if best is None:
        method = _method([_firm_level(line) for line in outer], outer)
        return Layout(False, None, 0, 32, None, method, False, 60, reference)
    stamps = [stamp for line in outer if (stamp := find_stamp(line, (best,)))]
    columns = Counter(stamp.key_start for stamp in stamps)
    ends: list[int] = []
    found: list[int] = []
    for line in outer:
        stamp = find_stamp(line, (best,))
        after = stamp.end if stamp else 0
        level, end = levels.field_level(line, after, after + 160)
        if stamp is not None and stamp.key_start > 2 and level == UNKNOWN:
            level, end = levels.field_level(line, 0, stamp.key_start)
        if stamp is not None and (stamp.level or best.name == "apache"):
            level = levels.INFO
        found.append(level)
        ends.append(max(after, end))
    ends.sort()
    most, nearly_all = (ends[len(ends) * share // 1000] for share in (980, 998))
    width = min(nearly_all + 1, most + _LONGER_LEVEL, _MAX_WIDTH)
    return Layout(
        False,
        best.name,
        columns.most_common(1)[0][0],
        max(width, 24),
        next((stamp.zone for stamp in stamps if stamp.zone), None),
        _method(found, outer),
        len(stamps) * 10 >= len(outer),
        60,
        reference,
    )


def _is_json(line: bytes) -> bool:
    return (
        line.startswith(b"{")
        and line.rstrip().endswith(b"}")
        and b'":' in line.replace(b'" :', b'":')
    )


def _believable(stamp: Stamp | None) -> bool:
    """Ten digits are a time only if they lie between 2001 and 2065."""
    return stamp is not None and (stamp.format.name != "epoch" or b"1" <= stamp.key < b"3")


def _firm_level(line: bytes) -> int:
    """A level in a line without timestamp: ``a.c:7: warning: …`` is a text, no field."""
    level, end = levels.field_level(line, 0, 160)
    before, word, _ = (
        re.split(rb"([A-Za-z]+)[^A-Za-z]*$", line[: max(end, 0)], maxsplit=1)
        if level != UNKNOWN
        else (b"", b"", b"")
    )
    return level if len(before) <= 2 or word.isupper() else UNKNOWN


def _method(found: list[int], lines: list[bytes]) -> str:
    """Levels are parsed if fields hold them at all often, compared with the words in the text."""
    fields = sum(1 for level in found if level != UNKNOWN)
    if fields * 2 >= len(found):
        return "parsed"
    words = sum(1 for line in lines if levels.keyword_level(line) != UNKNOWN)
    return "parsed" if fields and fields * 2 >= words else "keyword"


def _detect_json(lines: list[bytes], reference: float) -> Layout:
    dated = sum(1 for line in lines if JSON_TIME.search(line))
    has_level = any(levels.JSON_LEVEL.search(line) for line in lines)
    return Layout(
        True,
        "json" if dated else None,
        0,
        32,
        None,
        "parsed" if has_level else "keyword",
        dated > 0,
        60,
        reference,
    )
