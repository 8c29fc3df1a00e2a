"""The filter of the process pane: ``cpu>50 role:stray name:python -user:root``.

Terms are joined by *and*.  A bare word is looked for in name and command, a
``-`` or ``!`` in front turns a term around, quotes hold spaces together.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from proctui.awareness.view import View
from proctui.errors import BadArgument
from proctui.model import Proc

__all__ = ["FIELDS", "Query", "parse"]

_Test = Callable[[View, Proc], bool]
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_COMPARE = re.compile(r"(?P<field>[a-z]+)(?P<sign><=|>=|=|<|>)(?P<value>.+)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[a-z%]?)i?b?")

FIELDS = "cpu> mem> threads> age> pid: ppid: name: cmd: user: role: state: container: is:stray"


class Query(NamedTuple):
    """A parsed filter; ``dynamic`` where its answer can change without births or deaths."""

    text: str
    tests: tuple[_Test, ...]
    dynamic: bool

    def matches(self, view: View, proc: Proc) -> bool:
        return all(test(view, proc) for test in self.tests)


def parse(text: str) -> Query | None:
    """Read a filter; ``None`` for an empty one, :class:`BadArgument` says what is wrong."""
    try:
        words = shlex.split(text, posix=True)
    except ValueError:
        words = text.replace('"', " ").replace("'", " ").split()
    tests: list[_Test] = []
    dynamic = False
    for word in words:
        negated = len(word) > 1 and word[0] in "-!"
        test, changes = _term(word[1:] if negated else word)
        dynamic = dynamic or changes
        tests.append(_negate(test) if negated else test)
    return Query(text, tuple(tests), dynamic) if tests else None


def _negate(test: _Test) -> _Test:
    return lambda view, proc: not test(view, proc)


def _term(word: str) -> tuple[_Test, bool]:
    compare = _COMPARE.fullmatch(word.lower())
    if compare and compare["field"] in _FIGURES:
        return _comparison(compare["field"], compare["sign"], compare["value"]), True
    name, colon, value = word.partition(":")
    if colon and name.lower() in _WORDS:
        if not value:
            raise BadArgument(f"{name}: needs a value", f"known: {FIELDS}")
        return _WORDS[name.lower()](value.lower()), name.lower() in ("role", "is", "state")
    return _text(word.lower()), False


def _comparison(field: str, sign: str, value: str) -> _Test:
    figure, units = _FIGURES[field]
    match = _NUMBER.fullmatch(value)
    if match is None or match["unit"] not in units:
        raise BadArgument(f"{field}{sign}{value}: no number", "for example cpu>50 mem>1.5G age<10m")
    limit = float(match["number"]) * units[match["unit"]]
    operators: dict[str, Callable[[float], bool]] = {
        ">": lambda x: x > limit,
        "<": lambda x: x < limit,
        ">=": lambda x: x >= limit,
        "<=": lambda x: x <= limit,
        "=": lambda x: x == limit,
    }
    holds = operators[sign]

    def test(view: View, proc: Proc) -> bool:
        known = figure(view, proc)
        return known is not None and holds(known)

    return test


def _age(view: View, proc: Proc) -> float | None:
    return None if proc.started is None else view.snapshot.wall - proc.started


def _used(_view: View, proc: Proc) -> float | None:
    if proc.user_time is None or proc.system_time is None:
        return None
    return proc.user_time + proc.system_time


_Figure = Callable[[View, Proc], float | None]
_FIGURES: dict[str, tuple[_Figure, dict[str, int]]] = {
    "cpu": (lambda _view, proc: proc.cpu, {"": 1, "%": 1}),
    "mem": (lambda _view, proc: proc.rss, _SIZES),
    "rss": (lambda _view, proc: proc.rss, _SIZES),
    "threads": (lambda _view, proc: proc.threads, {"": 1}),
    "age": (_age, _TIMES),
    "time": (_used, _TIMES),
    "pid": (lambda _view, proc: proc.pid, {"": 1}),
}


def _text(word: str) -> _Test:
    def test(view: View, proc: Proc) -> bool:
        return (
            word in proc.name.lower()
            or word == str(proc.pid)
            or word in view.command(proc.pid).lower()
        )

    return test


def _user(word: str) -> _Test:
    def test(view: View, proc: Proc) -> bool:
        info = view.info(proc.pid)
        return word == str(proc.uid) or (info is not None and word == (info.user or "").lower())

    return test


def _container(word: str) -> _Test:
    def test(view: View, proc: Proc) -> bool:
        info = view.info(proc.pid)
        return info is not None and word in (info.container or "").lower()

    return test


def _role(word: str) -> _Test:
    def test(view: View, proc: Proc) -> bool:
        if word.startswith("stray"):
            return proc.pid in view.strays
        verdict = view.verdict(proc.pid)
        return verdict.role.value.startswith(word) or verdict.certainty.value == word

    return test


_WORDS: dict[str, Callable[[str], _Test]] = {
    "name": lambda word: lambda _view, proc: word in proc.name.lower(),
    "cmd": lambda word: lambda view, proc: word in view.command(proc.pid).lower(),
    "user": _user,
    "role": _role,
    "is": _role,
    "container": _container,
    "state": lambda word: lambda _view, proc: proc.state.lower() == word,
    "pid": lambda word: lambda _view, proc: word == str(proc.pid),
    "ppid": lambda word: lambda _view, proc: word == str(proc.ppid),
}
