"""The short way of ``proctui run … -- CMD``: without argparse, in less time and less memory.

The three processes of a run share what was loaded before they were forked
for as long as the job lives.  Only what is surely meant is read here;
everything else, every mistake among it, is left to the parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

__all__ = ["read_run"]

_FLAGS = {
    "--fence": "fence",
    "--isolate": "isolate",
    "--pty": "pty",
    "--pipes": "pipes",
    "--no-tui": "no_tui",
}
_VALUES = {
    "--name": ("name", ()),
    "--log": ("log", ()),
    "--artifacts": ("artifacts", ()),
    "--strays": ("strays", ("report", "end")),
    "--on-quit": ("on_quit", ("ask", "keep", "end")),
    "--then": ("then", ("report", "end")),
    "--hang-after": ("hang_after", ()),
}


def read_run(words: Sequence[str], command: Sequence[str] | None) -> SimpleNamespace | None:
    """The options of ``run``, as the parser would give them; ``None`` where it shall decide."""
    if not command or not words or words[0] != "run":
        return None
    read = SimpleNamespace(**dict.fromkeys(_FLAGS.values(), False))
    read.__dict__.update(dict.fromkeys((name for name, _ in _VALUES.values()), None))
    read.command = list(command)
    rest = iter(words[1:])
    for word in rest:
        flag = _FLAGS.get(word)
        if flag is not None:
            setattr(read, flag, True)
            continue
        option, joined, value = word.partition("=")
        if option not in _VALUES:
            return None
        if not joined:
            value = next(rest, "")
        name, choices = _VALUES[option]
        if not value or value.startswith("-") or (choices and value not in choices):
            return None
        setattr(read, name, value)
    if read.pty and read.pipes:
        return None
    if read.hang_after is not None:
        try:
            read.hang_after = float(read.hang_after)
        except ValueError:
            return None
        if not 0 < read.hang_after < 1e9:
            return None
    return read
