"""Hides secrets in arguments and environments before anything shows them.

Redaction is by name (``--password=…``, ``API_TOKEN=…``), by the credentials
of a URL, by well-known token shapes and by what some programs call a
password.  It can't know every secret: it is a courtesy to screens and
transcripts, not a boundary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["HIDDEN", "redact_argv", "redact_environ", "redact_text"]

HIDDEN = "[redacted]"

_SECRET_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|apikey|access[-_]?key|auth(?:orization)?"
    r"|credential|cred|private[-_]?key|signing[-_]?key|encryption[-_]?key|session[-_]?key|cookie"
    r"|bearer|dsn|connection[-_]?string|client[-_]?key|account[-_]?key|master[-_]?key|jwt"
    r"|signature|sig"
)
_SECRET_NAME = re.compile(
    rf"(?:^|[-_.])(?:[a-z0-9]*(?:password|passwd|secret|token|apikey)|{_SECRET_WORDS})s?(?:$|[-_.\d])",
    re.IGNORECASE,
)
_SURELY = re.compile(
    r"password|passwd|passphrase|secret|token|credential|(?:api|access|private)[-_]?key", re.I
)
"""Names that say it even where a colon may stand for anything (``auth:8080``, ``auth.py:12``)."""
_INNOCENT_NAMES = frozenset(
    {"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "TOKENIZERS_PARALLELISM", "PROCTUI_SESSION"}
)
_KEY_VARIABLE = re.compile(r"(?<!PUBLIC)_KEY$")
# Between words: white space, its pictures in what was made harmless, the end of an argument.
_GAP = r"[\s\0␊␉]"
_WORD = r"[^\s\0␊␉'\"]"
_VALUE = rf"(?:\"[^\"\0]*\"|'[^'\0]*'|{_WORD})+"
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^/\s:@]*):(?P<secret>[^/\s@]+)@", re.I
)
_URL_TOKEN = re.compile(r"(?P<scheme>\bhttps?://)(?P<secret>[^/\s:@]{16,})@", re.I)
_KNOWN_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|hf_[A-Za-z0-9]{20,}|glpat-[\w-]{16,}"
    r"|hooks\.slack\.com/services/[\w/]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{6,})"
)
_SHORTEST_SHAPE = len("xoxb-") + 10
_HEADER = re.compile(
    r"(?P<name>\b(?:proxy-)?authorization\s*:\s*(?:\w+\s+)?|\bx-api-key\s*:\s*|\bcookie\s*:\s*|\bbearer\s+)(?P<secret>[^\s'\"]+)",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(
    r"(?P<name>(?<![\w.-])[A-Za-z_-][\w.-]*)(?P<sep>=)(?P<secret>\"[^\"]*\"|'[^']*'|[^\s&;'\"]+)"
)
_COLON = re.compile(
    r"(?P<name>(?<![\w./-])(?P<quote>[\"']?)[A-Za-z_-][\w.-]*(?P=quote))(?P<sep>\s*:\s*)(?!:)"
    r"(?P<secret>\"[^\"]*\"|'[^']*'|[^\s:,;}'\"][^\s,;}'\"]*)"
)
_OPTION = re.compile(
    rf"(?P<name>(?:(?<={_GAP})|^)--?[A-Za-z][\w-]{{3,}})(?P<sep>{_GAP}+)"
    rf"(?P<secret>(?!--){_VALUE})"
)
_LONG_OPTION = re.compile(r"--[\w.-]+|-[A-Za-z][\w-]{3,}")
_USUAL_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def _program(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|{_GAP}|/)(?:{names})(?={_GAP})")


def _flag(flags: str, before: str = "") -> re.Pattern[str]:
    """A whole argument behind the flag, or the word behind it within a line for a shell."""
    head = rf"(?<={_GAP})(?:{flags})"
    return re.compile(
        rf"(?P<apart>{head}\0{before})[^\0]+|(?P<within>{head}(?:{_GAP}|=)?{before}){_VALUE}"
    )


_ANY_PROGRAM = re.compile(r"curl|mysql|mariadb|sshpass|redis-cli|docker|podman|openssl")
_BY_PROGRAM = (
    (_program("curl"), _flag("-u|-U|--user|--proxy-user", rf"(?:(?!:){_WORD})+:")),
    (
        _program(r"mysql(?:dump|admin|import|show|sh)?|mariadb(?:-\w+)?"),
        re.compile(rf"(?P<apart>(?<={_GAP})-p)(?P<within>){_VALUE}"),
    ),
    (_program("sshpass"), _flag("-p")),
    (_program("redis-cli"), _flag("-a")),
    (_program(rf"(?:docker|podman){_GAP}login"), _flag("-p")),
    (_program("openssl"), re.compile(rf"(?P<apart>(?<={_GAP})pass:)(?P<within>){_VALUE}")),
)
"""What passwords are called by programs that have short names for them."""


def _is_secret_name(name: str) -> bool:
    return name not in _INNOCENT_NAMES and bool(_SECRET_NAME.search(name))


def _is_secret(name: str, value: str) -> bool:
    """A count of tokens is none."""
    return _is_secret_name(name) and not (value.isdigit() and name.lower().endswith("tokens"))


def _hide_flag(match: re.Match[str]) -> str:
    return f"{match['apart'] or match['within']}{HIDDEN}"


def _hide_assignment(match: re.Match[str]) -> str:
    if _is_secret(match["name"].lstrip("-"), match["secret"]):
        return f"{match['name']}{match['sep']}{HIDDEN}"
    return match[0]


def _hide_after_a_colon(match: re.Match[str]) -> str:
    name, sep, secret = match["name"], match["sep"], match["secret"]
    told = bool(match["quote"]) or sep != ":" or bool(_SURELY.search(name))
    if told and not secret.startswith("//") and not secret.isdigit():
        plain = name.strip("\"'")
        if _is_secret_name(plain) and plain.lower() not in _USUAL_HEADERS:
            quote = secret[0] if secret[0] in "\"'" else ""
            return f"{name}{sep}{quote}{HIDDEN}{quote}"
    return match[0]


def redact_text(text: str) -> str:
    """Hide URL credentials, known token shapes and what follows secret names in free text."""
    # Most arguments are short words: what can't match is not searched.
    if "://" in text:
        text = _URL_CREDENTIALS.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", text)
        text = _URL_TOKEN.sub(rf"\g<scheme>{HIDDEN}@", text)
    if ":" in text or "bearer" in text.lower():
        text = _HEADER.sub(rf"\g<name>{HIDDEN}", text)
        text = _COLON.sub(_hide_after_a_colon, text)
    if len(text) >= _SHORTEST_SHAPE:
        text = _KNOWN_SHAPES.sub(HIDDEN, text)
        if "-" in text:
            text = _OPTION.sub(_hide_assignment, text)
    return _ASSIGNMENT.sub(_hide_assignment, text) if "=" in text else text


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Hide secrets of a command line, ``--password X`` in two words included."""
    line = "\0".join(argv)
    if _ANY_PROGRAM.search(line):
        for program, flag in _BY_PROGRAM:
            if program.search(line):
                line = flag.sub(_hide_flag, line)
    out: list[str] = []
    option = ""
    for argument in line.split("\0") if argv else ():
        if option and not argument.startswith("--") and _is_secret(option, argument):
            out.append(HIDDEN)
            option = ""
        else:
            out.append(redact_text(argument))
            option = argument.lstrip("-") if _LONG_OPTION.fullmatch(argument) else ""
    return tuple(out)


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Hide the values whose names tell of a secret, and secrets inside the others."""
    return {
        name: HIDDEN
        if value and (_is_secret_name(name) or _KEY_VARIABLE.search(name))
        else redact_text(value)
        for name, value in environ.items()
    }
