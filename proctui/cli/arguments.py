"""Argument types of the command line and the parser that turns misuse into our own errors."""

from __future__ import annotations

import argparse
import math
import os
import re

from proctui.errors import BadArgument

TYPE_CHECKING = False  # typing's own costs a third of `--help`
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Parser", "add_json", "add_session", "count", "integer", "seconds", "signal_number"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the width itself: argparse imports ``shutil`` for it, whenever a parser is made."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """As :func:`shutil.get_terminal_size` has it: ``COLUMNS``, the terminal, 80."""
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """Errors are :class:`BadArgument`, so that ``--json`` gets its document for them too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def parse_command(self, words: list[str]) -> argparse.Namespace:
        """Parse a command line; what no option knows is an error of the command, not of all of proctui."""
        parsed, unknown = self.parse_known_args(words)
        if unknown:
            named = f"{self.prog} {words[0]}" if words[0][:1] != "-" else self.prog
            raise BadArgument(
                f"unrecognized arguments: {' '.join(unknown)}", f"see `{named} --help`"
            )
        return parsed

    def error(self, message: str) -> NoReturn:
        raise BadArgument(message, f"see `{self.prog} --help`")


def integer(text: str) -> int:
    """A plain decimal number; range checks belong to the function that takes it."""
    if not _INTEGER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def count(text: str) -> int:
    """A number of 0 or more."""
    value = integer(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return value


def seconds(text: str) -> float:
    """A finite number of seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def signal_number(text: str) -> int:
    """``TERM``, ``SIGTERM`` or ``15``."""
    import signal

    name = text.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name in signal.Signals.__members__:
        return int(signal.Signals[name])
    if _INTEGER.fullmatch(text) and int(text) in set(signal.Signals):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no signal (such as TERM, INT, KILL)")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print exactly one JSON document")


def add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session",
        metavar="ID",
        help="the session meant (default: the one the caller runs in, else the only one)",
    )
