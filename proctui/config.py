"""The configuration file: ``proctui/config.toml``, read once, strict.

An unknown key or a value of the wrong type is a :class:`BadArgument` that
names the line: a misspelt ``protect`` that was silently ignored would leave
something unprotected.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

from proctui import paths
from proctui.errors import BadArgument

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Alerts", "Config", "Dashboard", "Protect", "Run", "default_text", "load"]


class Protect(NamedTuple):
    """What is never signalled, beside what proctui protects by itself."""

    names: tuple[str, ...] = ()
    """Process names (comm) or base names of executables: ``["postgres"]``."""
    commands: tuple[str, ...] = ()
    """Regular expressions searched in the whole command line."""
    pids: tuple[int, ...] = ()
    """Pids, turned into identities when proctui starts."""


class Dashboard(NamedTuple):
    interval: float = 1.0
    """Seconds between two looks (0.1 to 60)."""
    theme: str = "proctui-dark"
    """A theme of proctui or of Textual."""
    on_quit: str = "ask"
    """What ``q`` does with a living job: ask, keep or end."""
    history: int = 3600
    """Ticks kept for graphs and the time cursor (60 to 86400)."""
    show: str = "job"
    """What the tree shows first: job or machine."""
    mouse: bool = True
    """Whether the mouse is used at all."""


class Run(NamedTuple):
    strays: str = "report"
    """What becomes of strays when the command ends: report or end."""
    capture_mb: int = 256
    """Megabytes of output kept per session (64 or more)."""


class Alerts(NamedTuple):
    cpu: float = 0.0
    """Percent of a core of the whole job that raises an alert; 0 is off."""
    memory_mb_per_minute: float = 0.0
    """Growth of the job's memory that raises an alert; 0 is off."""
    strays: bool = True
    """Tell when a stray appears."""
    hang: bool = True
    """Tell when a process of the job hangs."""
    bell: bool = False
    """Ring the terminal's bell with an alert."""
    notify: bool = False
    """Send alerts as desktop notifications (OSC 9), where the terminal knows them."""


_NO_KEYS: Mapping[str, str] = MappingProxyType({})


class Config(NamedTuple):
    protect: Protect = Protect()
    dashboard: Dashboard = Dashboard()
    run: Run = Run()
    alerts: Alerts = Alerts()
    keys: Mapping[str, str] = _NO_KEYS
    """Binding id → keys, separated by commas (``proctui help keys`` lists the ids)."""


_CHOICES = {
    "dashboard.on_quit": ("ask", "keep", "end"),
    "dashboard.show": ("job", "machine"),
    "run.strays": ("report", "end"),
}
_BOUNDS = {
    "dashboard.interval": (0.1, 60.0),
    "dashboard.history": (60, 86400),
    "run.capture_mb": (64, 1 << 20),
    "alerts.cpu": (0.0, 1e6),
    "alerts.memory_mb_per_minute": (0.0, 1e6),
}
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
_LISTED = {str: "strings", int: "whole numbers"}


def load(path: Path | None = None) -> Config:
    """Read the configuration; a missing file is the default.

    So is one behind the closed door of another user, whose HOME we were left
    with (sudo, setpriv): it was never ours.  Raises :class:`BadArgument`,
    with ``FILE:LINE`` for anything it does not know.
    """
    place = paths.config_place() if path is None else str(path)
    try:
        if not stat.S_ISREG(os.stat(place).st_mode):  # a FIFO would never answer
            raise BadArgument(f"{place} is no regular file", "mend or remove it")
        with open(place, encoding="utf-8-sig") as file:
            text = file.read()
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, PermissionError) and _is_anothers(place):
            return Config()
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise BadArgument(f"{place} can't be read: {words}", "mend or remove the file") from error
    return parse(text, place)


def _is_anothers(place: str) -> bool:
    """Whether the directory at which we are stopped belongs to somebody else."""
    from pathlib import Path

    owner = os.geteuid()
    for folder in reversed(Path(place).parents):
        try:
            owner = folder.stat().st_uid
        except PermissionError:
            break
        except OSError:
            return False
    return owner != os.geteuid()


def parse(text: str, where: str = "config.toml") -> Config:
    """Parse TOML text; ``where`` stands in the messages."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadArgument(f"{where}: {error}", "the file must be valid TOML") from error
    sections: dict[str, Any] = {}
    hints = get_type_hints(Config)
    for name, table in data.items():
        if name not in hints:
            raise _bad(text, where, (name,), f"unknown key {name!r}", tuple(hints))
        if not isinstance(table, dict):
            raise _bad(text, where, (name,), f"{name!r} must be a table: [{name}]")
        sections[name] = (
            _keys(text, where, table)
            if name == "keys"
            else _section(text, where, name, hints[name], table)
        )
    return Config(**sections)


def _keys(text: str, where: str, table: dict[str, Any]) -> dict[str, str]:
    for name, value in table.items():
        if not isinstance(value, str):
            raise _bad(text, where, ("keys", name), f"keys.{name} must be a string of keys")
    return dict(table)


def _section(text: str, where: str, section: str, schema: Any, table: dict[str, Any]) -> Any:
    hints = get_type_hints(schema)
    values: dict[str, Any] = {}
    for name, value in table.items():
        at = (section, name)
        if name not in hints:
            raise _bad(text, where, at, f"unknown key {section}.{name}", tuple(hints))
        values[name] = _convert(text, where, at, hints[name], value)
    return schema(**values)


def _convert(text: str, where: str, at: tuple[str, str], kind: Any, value: Any) -> Any:
    dotted = ".".join(at)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if not isinstance(value, list) or any(type(one) is not item for one in value):
            raise _bad(text, where, at, f"{dotted} must be a list of {_LISTED[item]}")
        if dotted == "protect.commands":
            for pattern in value:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise _bad(text, where, at, f"{dotted}: {pattern!r}: {error}") from error
        return tuple(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise _bad(text, where, at, f"{dotted} must be {_NAMES[kind]}")
    if value not in _CHOICES.get(dotted, (value,)):
        raise _bad(text, where, at, f"{dotted} must be one of {', '.join(_CHOICES[dotted])}")
    low, high = _BOUNDS.get(dotted, (value, value))
    if not low <= value <= high:
        raise _bad(text, where, at, f"{dotted} must lie between {low} and {high}")
    return value


def _bad(
    text: str, where: str, at: tuple[str, ...], message: str, known: tuple[str, ...] = ()
) -> BadArgument:
    hint = f"known here: {', '.join(known)}" if known else "see `proctui config init`"
    return BadArgument(f"{where}:{_line_of(text, at)}: {message}", hint)


def _line_of(text: str, at: tuple[str, ...]) -> int:
    """The line a key stands in: tomllib does not keep positions."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            section = header[1].strip("\"'")
            if (section,) == at:
                return number
            continue
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if (
            key
            and tuple(filter(None, (*section.split("."), *key[1].replace('"', "").split("."))))[
                : len(at)
            ]
            == at
        ):
            return number
    return 1


def default_text() -> str:
    """A commented file with every key at its default, for ``proctui config init``."""
    docs = _attribute_docs()
    lines = ["# proctui's configuration. Every key is at its default; uncomment to change it.", ""]
    for section, schema in get_type_hints(Config).items():
        lines.append(f"[{section}]")
        if section == "keys":
            lines += [f"# {docs['Config', 'keys']}", '# "process.kill" = "f9,K"', ""]
            continue
        for name, value in schema._field_defaults.items():
            shown = (
                str(value).lower()
                if isinstance(value, bool)
                else str(list(value))
                if isinstance(value, tuple)
                else f'"{value}"'
                if isinstance(value, str)
                else value
            )
            lines += [f"# {docs[schema.__name__, name]}", f"# {name} = {shown}"]
        lines.append("")
    return "\n".join(lines)


def _attribute_docs() -> dict[tuple[str, str], str]:
    """The string under each field, so that a key is described in one place."""
    import ast
    import inspect
    import sys

    tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    docs: dict[tuple[str, str], str] = {}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for one, two in zip(owner.body, owner.body[1:], strict=False):
            if (
                isinstance(one, ast.AnnAssign)
                and isinstance(one.target, ast.Name)
                and isinstance(two, ast.Expr)
                and isinstance(two.value, ast.Constant)
            ):
                docs[owner.name, one.target.id] = str(two.value.value)
    return docs
