"""Hides secrets in arguments and environments before anything shows them.

Redaction is by name (``--password=…``, ``API_TOKEN=…``), by the credentials
of a URL and by well-known token shapes.  It can't know every secret: it is a
courtesy to screens and transcripts, not a boundary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["HIDDEN", "redact_argv", "redact_environ", "redact_text"]

HIDDEN = "[redacted]"

_SECRET_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|apikey|access[-_]?key|auth(?:orization)?"
    r"|credential|cred|private[-_]?key|signing[-_]?key|encryption[-_]?key|session[-_]?key|cookie"
    r"|bearer|dsn|connection[-_]?string|client[-_]?key|account[-_]?key"
)
_SECRET_NAME = re.compile(
    rf"(?:^|[-_.])(?:[a-z0-9]*(?:password|passwd|secret|token|apikey)|{_SECRET_WORDS})s?(?:$|[-_.\d])",
    re.IGNORECASE,
)
_INNOCENT_NAMES = frozenset(
    {"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "TOKENIZERS_PARALLELISM", "PROCTUI_SESSION"}
)
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^/\s:@]*):(?P<secret>[^/\s@]+)@", re.I
)
_URL_TOKEN = re.compile(r"(?P<scheme>\bhttps?://)(?P<secret>[^/\s:@]{16,})@", re.I)
_KNOWN_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|hf_[A-Za-z0-9]{20,}|glpat-[\w-]{16,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{6,})"
)
_SHORTEST_SHAPE = len("xoxb-") + 10
_HEADER = re.compile(
    r"(?P<name>\b(?:proxy-)?authorization\s*:\s*(?:\w+\s+)?|\bx-api-key\s*:\s*|\bcookie\s*:\s*|\bbearer\s+)(?P<secret>[^\s'\"]+)",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(
    r"(?P<name>(?<![\w.-])[A-Za-z_-][\w.-]*)(?P<sep>=)(?P<secret>\"[^\"]*\"|'[^']*'|[^\s&;'\"]+)"
)


def _is_secret_name(name: str) -> bool:
    return name not in _INNOCENT_NAMES and bool(_SECRET_NAME.search(name))


def _hide_assignment(match: re.Match[str]) -> str:
    if _is_secret_name(match["name"].lstrip("-")):
        return f"{match['name']}{match['sep']}{HIDDEN}"
    return match[0]


def redact_text(text: str) -> str:
    """Hide URL credentials, known token shapes and ``name=value`` of secret names in free text."""
    if "://" in text:
        text = _URL_CREDENTIALS.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", text)
        text = _URL_TOKEN.sub(rf"\g<scheme>{HIDDEN}@", text)
    # Most arguments are short words: what can't match is not searched.
    if ":" in text or "bearer" in text.lower():
        text = _HEADER.sub(rf"\g<name>{HIDDEN}", text)
    if len(text) >= _SHORTEST_SHAPE:
        text = _KNOWN_SHAPES.sub(HIDDEN, text)
    return _ASSIGNMENT.sub(_hide_assignment, text) if "=" in text else text


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Hide secrets of a command line, ``--password X`` in two words included."""
    out: list[str] = []
    hide_next = False
    for argument in argv:
        if hide_next and not (argument.startswith("--") and len(argument) > 2):
            out.append(HIDDEN)
            hide_next = False
            continue
        hide_next = (
            argument.startswith("-")
            and "=" not in argument
            and " " not in argument
            and argument.startswith("--")
            and _is_secret_name(argument.lstrip("-"))
        )
        out.append(redact_text(argument))
    return tuple(out)


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Hide the values whose names tell of a secret, and secrets inside the others."""
    return {
        name: HIDDEN if value and _is_secret_name(name) else redact_text(value)
        for name, value in environ.items()
    }
