"""Timestamps as programs write them: found at a line's start, turned into Unix seconds.

Each format names the part of the line that orders it (``k``, fixed in width,
so that cutting it off gives minutes or hours).  A stamp without a zone is
taken in the local one, one without a year gets the year that does not lie in
the future of the file's own modification time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, NamedTuple

__all__ = ["FORMATS", "Clock", "Format", "Stamp", "find_stamp"]

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),
        1,
    )
}
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_FRACTION = rb"(?:[.,](?P<f>\d{1,9}))?"
_ZONE = rb"(?: ?(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d))?(?![\w.])"
_PREFIX = (
    rb"(?:[\w.\-/]{1,48} {0,20}\| ?)?"
    rb"(?:<\d{1,3}>(?:\d )?|[\[(]?[A-Z]{3,8}[\])]?[ :|-]{1,3}[\[(]?"
    rb"|(?:time|ts|t|timestamp|date|datetime)=\"?|[\[(\"])?"
)


class Stamp(NamedTuple):
    """Where a line's timestamp stands and what it says, still as bytes."""

    format: Format
    key_start: int
    key: bytes
    fraction: bytes | None
    zone: bytes | None
    year: bytes | None
    end: int
    level: bytes | None


@dataclass(frozen=True, eq=False)
class Format:
    """One way to write a time.

    ``seconds``, ``minutes``, ``hours``: how many bytes of the key hold the
    time down to that unit.
    """

    name: str
    pattern: re.Pattern[bytes]
    seconds: int
    minutes: int
    hours: int


def _format(name: str, pattern: bytes, seconds: int, minutes: int, hours: int) -> Format:
    return Format(name, re.compile(pattern), seconds, minutes, hours)


FORMATS: Final = (
    _format(
        "iso8601",
        _PREFIX + rb"(?P<k>\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d)" + _FRACTION + _ZONE,
        19,
        16,
        13,
    ),
    _format(
        "syslog",
        rb"(?:<\d{1,3}>)?(?P<k>" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d)" + _FRACTION + rb"(?= |$)",
        15,
        12,
        9,
    ),
    _format(
        "apache",
        rb"[^\s\[]{1,256} [^\s\[]{1,128} [^\[]{1,128} "
        rb"\[(?P<k>\d\d/" + _MONTH + rb"/\d{4}:\d\d:\d\d:\d\d)(?: (?P<z>[+-]\d{4}))?\]",
        20,
        17,
        14,
    ),
    _format(
        "ctime",
        rb"\[?"
        + _DAY
        + rb" (?P<k>"
        + _MONTH
        + rb" [ \d]\d \d\d:\d\d:\d\d)"
        + _FRACTION
        + rb" (?:[A-Z]{3,4} )?(?P<y>\d{4})\]?",
        15,
        12,
        9,
    ),
    _format(
        "klog", rb"(?P<l>[DIWEF])(?P<k>\d{4} \d\d:\d\d:\d\d)" + _FRACTION + rb"(?= )", 13, 10, 7
    ),
    _format(
        "tornado",
        rb"\[(?P<l>[DIWEC]) (?P<k>\d{6} \d\d:\d\d:\d\d)" + _FRACTION,
        15,
        12,
        9,
    ),
    _format(
        "compact",
        _PREFIX + rb"(?P<k>\d{8}[ T-]\d\d:\d\d:\d\d)" + _FRACTION + _ZONE,
        17,
        14,
        11,
    ),
    _format(
        "us", _PREFIX + rb"(?P<k>\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)(?: (?P<z>[AP]M))?", 19, 16, 13
    ),
    _format(
        "epoch",
        _PREFIX + rb"(?P<k>\d{10})(?:\.(?P<f>\d{1,9})|(?P<m>\d{3}))?(?=[\s:,|\]\"]|$)",
        10,
        9,
        8,
    ),
    _format(
        "clock", _PREFIX + rb"(?P<k>\d\d:\d\d:\d\d)" + _FRACTION + rb"(?=[\s\]):|]|$)", 8, 5, 2
    ),
)
"""Tried in this order; the first that most lines of a file fit is the file's."""

BY_NAME: Final = {one.name: one for one in FORMATS}

JSON_TIME: Final = re.compile(
    rb'"(?:@?timestamp|time|ts|t|datetime|date|asctime|@t|eventTime)"\s*:\s*'
    rb'(?:"([^"\\]{8,40})"|(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\s,}]))'
)
"""A time in a JSON line: group 1 as text, group 2 as seconds, ms, µs or ns."""


def find_stamp(line: bytes, formats: tuple[Format, ...] = FORMATS) -> Stamp | None:
    """The timestamp at the start of ``line``, or ``None``."""
    for one in formats:
        found = one.pattern.match(line)
        if found is None:
            continue
        groups = found.groupdict()
        start = found.start("k")
        fraction = groups.get("f") or groups.get("m")
        return Stamp(
            one,
            start,
            found["k"],
            fraction,
            groups.get("z"),
            groups.get("y"),
            found.end(),
            groups.get("l"),
        )
    return None


class Clock:
    """Turns stamps into Unix seconds for one file.

    ``reference`` is when the file was last written (Unix seconds): the year
    or day of stamps that name none.
    """

    def __init__(self, reference: float) -> None:
        self.reference = reference
        self._latest = datetime.fromtimestamp(reference, UTC).astimezone() + timedelta(days=2)
        self._cache: dict[tuple[str, bytes, bytes | None, bytes | None], float | None] = {}

    def seconds(self, stamp: Stamp) -> float | None:
        """Unix seconds with the fraction, ``None`` for an impossible date."""
        whole = self.key_seconds(stamp.format, stamp.key, stamp.zone, stamp.year)
        if whole is None or stamp.fraction is None:
            return whole
        return whole + int(stamp.fraction) / 10.0 ** len(stamp.fraction)

    def key_seconds(
        self, form: Format, key: bytes, zone: bytes | None = None, year: bytes | None = None
    ) -> float | None:
        """Unix seconds of a key, or of one cut off at minutes or hours."""
        cached = (form.name, key, zone, year)
        if cached in self._cache:
            return self._cache[cached]
        try:
            value = self._convert(form.name, key, zone, year)
        except (ValueError, KeyError, OverflowError):
            value = None
        if len(self._cache) < 100_000:
            self._cache[cached] = value
        return value

    def _convert(self, name: str, key: bytes, zone: bytes | None, year: bytes | None) -> float:
        if name == "epoch":
            return float(key.ljust(10, b"0"))
        if name == "iso8601":
            return _at(_zone(zone), key[:4], key[5:7], key[8:10], key[11:])
        if name == "compact":
            return _at(_zone(zone), key[:4], key[4:6], key[6:8], key[9:])
        if name == "tornado":
            return _at(None, b"20" + key[:2], key[2:4], key[4:6], key[7:])
        if name == "apache":
            return _at(_zone(zone), key[7:11], str(_MONTHS[key[3:6]]).encode(), key[:2], key[12:])
        if name == "us":
            return _us(key, zone)
        if name in ("syslog", "ctime"):
            month, day, rest = str(_MONTHS[key[:3]]).encode(), key[4:6].strip(), key[7:]
            if year is not None:
                return _at(None, year, month, day, rest)
            return self._yearless(month, day, rest)
        if name == "klog":
            return self._yearless(key[:2], key[2:4], key[5:])
        today = datetime.fromtimestamp(self.reference, UTC).astimezone()
        year, month, date = today.strftime("%Y %m %d").encode().split()
        return _at(None, year, month, date, key)

    def _yearless(self, month: bytes, day: bytes, rest: bytes) -> float:
        year = self._latest.year
        for back in range(9):
            try:
                value = _at(None, str(year - back).encode(), month, day, rest)
            except ValueError:
                continue
            if value <= self._latest.timestamp():
                return value
        raise ValueError("no year fits")

    def json_seconds(self, found: re.Match[bytes]) -> float | None:
        """Unix seconds of a :data:`JSON_TIME` match."""
        number = found[2]
        if number is not None:
            digits = len(number.split(b".")[0])
            return float(number) / 10.0 ** (digits - 10)
        stamp = find_stamp(found[1])
        return self.seconds(stamp) if stamp else None


def _at(zone: tzinfo | None, year: bytes, month: bytes, day: bytes, rest: bytes) -> float:
    hour, minute, second = int(rest[:2]), int(rest[3:5] or 0), int(rest[6:8] or 0)
    leap = second == 60
    moment = datetime(int(year), int(month), int(day), hour, minute, 59 if leap else second)
    return moment.replace(tzinfo=zone).timestamp() + leap


def _us(key: bytes, half: bytes | None) -> float:
    first, second, rest = key[:2], key[3:5], key[10:].lstrip(b", ")
    hour = int(rest[:2])
    if half is not None:
        hour = hour % 12 + (12 if half == b"PM" else 0)
    if int(first) > 12:
        first, second = second, first
    return _at(None, key[6:10], first, second, b"%02d" % hour + rest[2:])


def _zone(text: bytes | None) -> tzinfo | None:
    if text is None:
        return None
    if text[:1] not in b"+-":
        return UTC
    digits = text[1:].replace(b":", b"")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return timezone(-offset if text[:1] == b"-" else offset)
