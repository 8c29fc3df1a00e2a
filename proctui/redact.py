"""Hides secrets in arguments and environments before anything shows them.

Redaction is by name (``--password=…``, ``API_TOKEN=…``), by the credentials
of a URL, by well-known token shapes and by what some programs call a
password (:mod:`proctui.redact_flags`).  It can't know every secret: it is a courtesy to screens and
transcripts, not a boundary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from proctui.patterns import on_demand
from proctui.redact_flags import GAP, VALUE, hide_flags

__all__ = ["HIDDEN", "redact_argv", "redact_environ", "redact_text"]

HIDDEN = "[redacted]"

_SECRET_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|apikey|access[-_]?key|auth(?:orization)?"
    r"|credential|cred|pw(?=$)|psk|private[-_]?key|signing[-_]?key|encryption[-_]?key|session[-_]?key|cookie"
    r"|bearer|dsn|connection[-_]?string|client[-_]?key|account[-_]?key|master[-_]?key|jwt"
    r"|signature|sig"
)
_ENDS = (
    r"password|passwd|passphrase|secret|token|(?:api|access|secret|private|account)key"
    r"|(?:ssh|db|sql|ftp|smtp|imap|mail|ldap|bind|root|user|admin|key|store|require|become|proxy|http)"
    r"(?:pass|pwd)"
)
_SECRET_NAME = on_demand(
    rf"(?:^|[-_.])(?:[a-z0-9]*(?:{_ENDS})|{_SECRET_WORDS})s?(?:$|[-_.\d])", re.IGNORECASE
)
_ABOUT = on_demand(
    r"[-_](?:mode|type|method|jar|file|path|dir|url|uri|host|port|timeout|ttl|policy|stdin|provider"
    r"|scheme|domain|realm|backend|plugin|server|endpoint|enabled|required|algorithm)$",
    re.IGNORECASE,
)
"""``--auth-mode`` and ``PASSWORD_FILE`` tell something about a secret."""
_SURELY = on_demand(
    r"password|passwd|passphrase|secret|token|credential|(?:api|access|private)[-_]?key", re.I
)
"""Names that say it even where a colon may stand for anything (``auth:8080``, ``auth.py:12``)."""
_INNOCENT_NAMES = frozenset(
    {"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "TOKENIZERS_PARALLELISM", "PROCTUI_SESSION"}
)
_KEY_VARIABLE = on_demand(r"(?:^|(?<!PUBLIC)_)KEY$")
_URL_CREDENTIALS = on_demand(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^/\s:@]*):(?P<secret>[^/\s@]+)@", re.I
)
_URL_TOKEN = on_demand(r"(?P<scheme>\bhttps?://)(?P<secret>[^/\s:@]{16,})@", re.I)
_URL_KEY = on_demand(r"(?P<name>[?&]key=)[\w-]{20,}")
_KNOWN_SHAPES = on_demand(
    r"\b(?=[sghxAynpdShtew])(?:sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_\w{10,}|whsec_\w{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}"
    r"|ya29\.[\w-]{20,}|hf_[A-Za-z0-9]{20,}|gl(?:pat|dt|rt|cbt)-[\w-]{16,}|npm_[A-Za-z0-9]{30,}"
    r"|pypi-[\w-]{32,}|do[opr]_v1_[0-9a-f]{32,}|dckr_pat_[\w-]{20,}|shp(?:at|ca|pa|ss)_[0-9a-f]{32}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|hv[sbr]\.[\w-]{20,}|tskey-[\w-]{16,}|AGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|hooks\.slack\.com/services/[\w/]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{6,})"
)
_PRIVATE_KEY = on_demand(r"(?<=PRIVATE KEY-----)[^-]+")
_SHORTEST_SHAPE = len("xoxb-") + 10
_HEADER = on_demand(
    r"(?P<name>(?:\b|(?<=-H))(?:proxy-)?authorization\s*:\s*(?:\w+\s+)?|\bx-api-key\s*:\s*|\bcookie\s*:\s*|\bbearer\s+)(?P<secret>[^\s'\"]+)",
    re.IGNORECASE,
)
_ASSIGNED = on_demand(r"(?<![\w.-])[A-Za-z_-][\w.-]*=")
_ASSIGNMENT_VALUE = on_demand(r"\"[^\"]*\"|'[^']*'|[^\s&;'\"]+")
_COLON = on_demand(
    r"(?P<name>(?<![\w./-])(?P<quote>[\"']?)[A-Za-z_-][\w.-]*(?P=quote))(?P<sep>\s*:\s*)(?!:)"
    r"(?P<secret>\"[^\"]*\"|'[^']*'|[^\s:,;}'\"][^\s,;}'\"]*)"
)
_OPTION = on_demand(
    rf"(?P<name>(?:(?<={GAP})|^)--?[A-Za-z][\w-]{{3,}})(?P<sep>{GAP}+)"
    rf"(?P<secret>(?!--){VALUE})"
)
_LONG_OPTION = on_demand(r"--[\w.-]+|-[A-Za-z][\w-]{3,}")
_USUAL_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def _is_secret_name(name: str) -> bool:
    return (
        name not in _INNOCENT_NAMES
        and _SECRET_NAME.search(name) is not None
        and _ABOUT.search(name) is None
    )


def _is_secret(name: str, value: str) -> bool:
    """A count of tokens is none."""
    return _is_secret_name(name) and not (value.isdigit() and name.lower().endswith("tokens"))


def _hide_option(match: re.Match[str]) -> str:
    if _is_secret(match["name"].lstrip("-"), match["secret"]):
        return f"{match['name']}{match['sep']}{HIDDEN}"
    return match[0]


def _hide_assignments(text: str) -> str:
    """Within values too: ``--set=db.password=…``, ``-o user=me,pass=…``."""
    done = 0
    out = []
    for match in _ASSIGNED.finditer(text):
        if match.start() < done or not _is_secret_name(match[0].lstrip("-")[:-1]):
            continue
        value = _ASSIGNMENT_VALUE.match(text, match.end())
        if value is not None and _is_secret(match[0].lstrip("-")[:-1], value[0]):
            out += [text[done : match.end()], HIDDEN]
            done = value.end()
    return "".join((*out, text[done:])) if out else text


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
        text = _URL_KEY.sub(rf"\g<name>{HIDDEN}", text)
    if ":" in text or "bearer" in text.lower():
        text = _HEADER.sub(rf"\g<name>{HIDDEN}", text)
        text = _COLON.sub(_hide_after_a_colon, text)
    if len(text) >= _SHORTEST_SHAPE:
        text = _KNOWN_SHAPES.sub(HIDDEN, text)
        if "PRIVATE KEY" in text:
            text = _PRIVATE_KEY.sub(HIDDEN, text)
        if "-" in text:
            text = _OPTION.sub(_hide_option, text)
    return _hide_assignments(text) if "=" in text else text


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Hide secrets of a command line, ``--password X`` in two words included."""
    line = hide_flags("\0".join(argv), HIDDEN)
    out: list[str] = []
    option = before = ""
    for argument in line.split("\0") if argv else ():
        if option and not argument.startswith("--") and _is_secret(option, argument):
            out.append(HIDDEN)
            option = ""
        else:
            out.append(redact_text(argument))
            option = ""
            if _LONG_OPTION.fullmatch(argument):
                option = argument.lstrip("-")
            elif before == "set":  # aws configure set NAME SECRET
                option = argument.rpartition(":")[2]
        before = argument
    return tuple(out)


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Hide the values whose names tell of a secret, and secrets inside the others."""
    return {
        name: HIDDEN
        if value and (_is_secret_name(name) or _KEY_VARIABLE.search(name))
        else redact_text(value)
        for name, value in environ.items()
    }
