"""How bad a line says it is.

A level is *parsed* where it stands in a field (``ERROR``, ``[error]``,
``level=error``, klog's ``E``), by *keyword* where the text merely says so.
Numbers index :data:`NAMES`.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "CRITICAL",
    "ERROR",
    "NAMES",
    "UNKNOWN",
    "field_level",
    "json_level",
    "keyword_level",
    "letter_level",
    "status_level",
]

NAMES: Final = ("debug", "info", "warning", "error", "critical", "unknown")
DEBUG, INFO, WARNING, ERROR, CRITICAL, UNKNOWN = range(6)

_WORDS: Final = {
    **dict.fromkeys(
        (b"trace", b"debug", b"verbose", b"dbg", b"fine", b"finer", b"finest", b"silly"), DEBUG
    ),
    **dict.fromkeys((b"info", b"notice", b"information", b"inf", b"log", b"success"), INFO),
    **dict.fromkeys((b"warn", b"warning", b"wrn"), WARNING),
    **dict.fromkeys((b"error", b"err", b"severe", b"fail", b"failure"), ERROR),
    **dict.fromkeys(
        (b"critical", b"crit", b"fatal", b"alert", b"emerg", b"emergency", b"panic", b"ftl"),
        CRITICAL,
    ),
}
_UPPER = (
    rb"TRACE|DEBUG|VERBOSE|DBG|FINER|FINEST|FINE|INFO|NOTICE|SUCCESS|WARN|WARNING|WRN|ERROR|ERR|SEVERE"
    rb"|CRITICAL|CRIT|FATAL|ALERT|EMERG|EMERGENCY|PANIC"
)
_LOWER = (
    rb"[Tt]race|[Dd]ebug|[Vv]erbose|[Ii]nfo|[Ii]nformation|[Nn]otice|[Ww]arn|[Ww]arning|[Ee]rror|[Ee]rr"
    rb"|[Ss]evere|[Cc]ritical|[Cc]rit|[Ff]atal|[Aa]lert|[Ee]merg|[Ee]mergency|[Pp]anic"
)
_AHEAD = rb"(?=[\s\])>|:,;/\-\"]|$)"
_FIELD = re.compile(
    rb"(?:^|(?<=[\s\[(<|:=/\-\"]))(?:"
    + _UPPER
    + rb")"
    + _AHEAD
    + rb"|(?:level|lvl|severity|loglevel|levelname)[=:]\"?(?:"
    + _UPPER
    + rb"|"
    + _LOWER
    + rb")\b"
    + rb"|[\[(<](?:\w{1,32}:)?(?:"
    + _LOWER
    + rb")[\])>]"
    + rb"|(?:^|(?<=[\s|]))(?:"
    + _LOWER
    + rb")(?=:(?:\s|$)| ?\|| - )"
    + rb"|^[\s\-:]*(?:"
    + _LOWER
    + rb")(?=\s|:|$)"
)
OWN_ENTRY: Final = re.compile(
    rb"(?:" + _UPPER + rb"):|[\[(<](?:" + _UPPER + rb"|" + _LOWER + rb")[\])>]"
    rb"|(?:level|lvl|severity)="
)
"""How an undated line must begin to be an entry of its own in a log that has timestamps."""

_LETTERS = re.compile(rb"[A-Za-z]+(?=[\])>\"]?$)")
_FIELDS_BEFORE: Final = 6
"""A level stands within the first fields; later in the line it is what the text talks about."""

_KEYWORD = re.compile(
    rb"(?:(?<![\w-])(?:(trace|debug)|(info|notice)|(warn|warning|deprecated)|(err|severe)"
    rb"|(critical|fatal|panic|emergency))|(error|exception))(?![\w-])",
    re.IGNORECASE,
)
_KEYWORD_LEVELS: Final = (DEBUG, INFO, WARNING, ERROR, CRITICAL, ERROR)
_KEYWORD_LIMIT: Final = 512

JSON_LEVEL: Final = re.compile(
    rb'"(?:level|lvl|severity|levelname|loglevel|log\.level|level_name|log_level|@l)"\s*:\s*'
    rb'(?:"([A-Za-z]{3,12})"|(\d{1,2})(?=[\s,}]))'
)

_STATUS = re.compile(rb'"\s(\d)\d\d(?=\s|$)')


def field_level(line: bytes, start: int, end: int) -> tuple[int, int]:
    """The level that stands in a field of ``line[start:end]``: (level, where it ends).

    ``(UNKNOWN, -1)`` if there is none; ``start`` is where the timestamp ends.
    """
    found = _FIELD.search(line, start, end)
    if found is None or len(line[start : found.start()].split()) > _FIELDS_BEFORE:
        return UNKNOWN, -1
    word = _LETTERS.search(found[0].rstrip(b'])>"'))
    assert word is not None
    return _WORDS.get(word[0].lower(), UNKNOWN), found.end()


def keyword_level(line: bytes, start: int = 0) -> int:
    """The first word of ``line`` that names a level."""
    found = _KEYWORD.search(line, start, start + _KEYWORD_LIMIT)
    if found is None:
        return UNKNOWN
    return _KEYWORD_LEVELS[(found.lastindex or 1) - 1]


def json_level(line: bytes) -> int:
    """The level of a JSON line: a word, pino's 10–60 or syslog's 0–7."""
    found = JSON_LEVEL.search(line)
    if found is None:
        return UNKNOWN
    if found[1] is not None:
        return _WORDS.get(found[1].lower(), UNKNOWN)
    number = int(found[2])
    if number >= 10:
        return min(max(number // 10 - 2, DEBUG), CRITICAL)
    return (CRITICAL, CRITICAL, CRITICAL, ERROR, WARNING, INFO, INFO, DEBUG)[min(number, 7)]


def letter_level(letter: bytes) -> int:
    """klog's and tornado's first letter."""
    return {b"D": DEBUG, b"I": INFO, b"W": WARNING, b"E": ERROR}.get(letter, CRITICAL)


def status_level(line: bytes, start: int) -> int:
    """What the status of an access log line says: 5xx error, 4xx warning."""
    found = _STATUS.search(line, start, start + 4096)
    if found is None:
        return UNKNOWN
    return {b"5": ERROR, b"4": WARNING}.get(found[1], INFO)
