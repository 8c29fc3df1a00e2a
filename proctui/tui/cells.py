"""One line of the process tree as text: columns, widths, figures; pure functions.

Styles are names (``"dim"``, ``"stray"``), the widget knows their colours.
What is outside text here was made harmless where it entered.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from proctui.awareness.view import Tomb, View
from proctui.model import Certainty, Proc, Role
from proctui.tui.braille import spark
from proctui.tui.columns import Column
from proctui.tui.rows import Line
from proctui.units import human_bytes, human_seconds

__all__ = [
    "GLYPHS",
    "Marks",
    "Run",
    "age_text",
    "ending",
    "exit_text",
    "fit",
    "row",
    "status_text",
]

Run = tuple[str, str]
"""Text and the name of its style."""

GLYPHS: dict[str, tuple[str, str]] = {
    "self": ("◆", "proctui itself"),
    "ancestor": ("▲", "above proctui: shell, terminal, ssh"),
    "protected": ("■", "protected"),
    "baseline": ("·", "was there before the job"),
    "spawned": ("●", "the job's, certain"),
    "likely": ("○", "the job's, likely"),
    "stray": ("✱", "the job's, left its tree"),
    "unknown": ("?", "no evidence either way"),
    "dead": ("×", "ended"),
}
"""Look → (glyph, meaning): no meaning hangs on colour alone."""

STYLES = {
    "self": "protected",
    "ancestor": "protected",
    "protected": "protected",
    "baseline": "baseline",
    "spawned": "spawned",
    "likely": "spawned",
    "stray": "stray",
    "unknown": "unknown",
    "dead": "dim",
}


class Marks(NamedTuple):
    """What is known about processes beside the view, by identity key."""

    tagged: frozenset[object] = frozenset()
    hung: Mapping[object, str] | None = None
    names: Mapping[object, str] | None = None
    home: str | None = None
    """The container that proctui itself lives in: not worth telling of any other."""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells; what is cut ends in ``…``."""
    if text.isascii():
        length = len(text)
        if length <= width:
            return text.rjust(width) if right else text.ljust(width)
        return text[: width - 1] + "…" if width > 0 else ""
    return _fit_wide(text, width, right)


@lru_cache(512)
def _fit_wide(text: str, width: int, right: bool) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width > 0 else ""
    pad = " " * (width - length)
    return pad + text if right else text + pad


def age_text(seconds: float | None) -> str:
    """At most four characters and one unit, so that it changes rarely: ``42s 3m 5h 12d``."""
    if seconds is None:
        return "?"
    whole = max(0, int(seconds))
    for unit, size in (("s", 60), ("m", 60), ("h", 48)):
        if whole < size:
            return f"{whole}{unit}"
        whole //= size if unit != "h" else 24
    return f"{whole}d" if whole < 1000 else "999d"


def look_of(view: View, pid: int) -> str:
    """Which of :data:`GLYPHS` a living process has."""
    verdict = view.verdict(pid)
    if verdict.role is Role.SPAWNED:
        if pid in view.strays:
            return "stray"
        return "likely" if verdict.certainty is Certainty.LIKELY else "spawned"
    return verdict.role.value


def exit_text(code: int | None) -> str:
    """How something ended: ``exited 0``, ``SIGKILL``; negative codes are signals."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def ending(tomb: Tomb) -> str:
    """How a process ended, and that the kernel had no memory left for it."""
    return exit_text(tomb.exit) + (" out of memory" if tomb.oom else "")


def status_text(status: int | None) -> str:
    """A command's exit status as a shell shows it: ``exit 3``, ``exit 143 SIGTERM``."""
    if status is None:
        return "ended"
    if 128 < status < 193:
        return f"exit {status} {exit_text(128 - status)}"
    return f"exit {status}"


_STATES = {"R": "good", "D": "bad", "Z": "warn", "T": "warn", "t": "warn", "X": "dim"}


# Figures come again, in rows and over time: a cell that was made once costs a look into a table.
@lru_cache(2048)
def _cpu(value: float | None, width: int) -> Run:
    if value is None:
        return ("–".rjust(width), "dim")
    text = f"{value:.1f}" if value < 9999 else f"{value:.0f}"
    style = "dim" if value < 0.05 else "hot" if value >= 80 else "figure"
    return (text.rjust(width), style)


@lru_cache(2048)
def _size(count: int | None, width: int) -> Run:
    return (human_bytes(count).rjust(width), "figure" if count else "dim")


@lru_cache(2048)
def _used(seconds: float, width: int) -> Run:
    return (human_seconds(seconds).rjust(width), "dim" if seconds < 0.05 else "quiet")


@lru_cache(2048)
def _age(seconds: int | None, width: int) -> Run:
    return (age_text(seconds).rjust(width), "quiet")


def row(
    view: View,
    line: Line,
    columns: Sequence[Column],
    history: Sequence[float | None],
    marks: Marks,
    total: tuple[float, int] | None = None,
    fresh: bool = False,
) -> tuple[Run, ...]:
    """The runs of one line, as many cells as the columns and the gaps between them.

    ``total`` is (CPU %, bytes) of what a shut fold hides together with
    itself; it is shown in its place with ``Σ``.
    """
    if line.tomb is not None:
        return _tomb_row(line, line.tomb, columns)
    proc = view.snapshot.procs.get(line.pid)
    if proc is None or proc.identity.key != line.key:
        return ((fit("", sum(c.width + 1 for c in columns) - 1), "dim"),)
    look = look_of(view, line.pid)
    style = "dim" if line.context else STYLES[look]
    runs: list[Run] = []
    for column in columns:
        if column.id == "role":
            glyph = GLYPHS[look][0]
            if line.key in marks.tagged:
                runs += [(glyph, STYLES[look]), ("▌", "tag")]
            else:
                runs.append((f"{glyph} ", STYLES[look]))
        elif column.id == "name":
            if line.path:
                runs += _path(view, line, column.width)
            else:
                runs += _name(line, proc, look, style, column.width, marks, fresh)
        else:
            # The gap before a cell is its own: a run less for each of them to be styled.
            text, name = _cell(view, proc, column, history, total, marks, line.context)
            runs.append((f" {text}", name))
    return tuple(runs)


def _path(view: View, line: Line, width: int) -> list[Run]:
    """proctui's own processes in one line; whom its role's glyph does not stand for has one here."""
    shut = line.guide[:-1] + "▸" if line.guide else "▸ "
    runs: list[Run] = [(shut, "guide")]
    room = width - len(shut)
    for pid in line.path:
        look, proc = look_of(view, pid), view.proc(pid)
        text = "? " if proc is None else f"{proc.name} "
        if pid != line.pid:
            text = GLYPHS[look][0] + text.removeprefix("proctui-")
        if room > 0:
            runs.append((fit(text, min(room, cell_len(text))), STYLES[look]))
        room -= cell_len(text)
    runs.append((" " * max(0, room), ""))
    return runs


def _name(
    line: Line, proc: Proc, look: str, style: str, width: int, marks: Marks, fresh: bool
) -> tuple[Run, ...]:
    hung = marks.hung.get(line.key) if marks.hung else None
    name = _short((marks.names or {}).get(line.key)) or proc.name
    note = " hung" if hung == "deadlock-proven" else " hung?" if hung else ""
    if look == "stray":
        note += " stray"
    style = "fresh" if fresh else style
    return _named(name, style, line.guide, line.fold == "shut", note, bool(hung), width)


@lru_cache(2048)
def _named(
    name: str, style: str, guide: str, shut: bool, note: str, hung: bool, width: int
) -> tuple[Run, ...]:
    if shut:
        guide = guide[:-1] + "▸" if guide else "▸ "
    room = width - len(note)
    guide = guide if len(guide) < room - 4 else "…" + guide[-max(0, room - 8) :]
    room -= len(guide)
    runs: list[Run] = [(guide, "guide")]
    cut = fit(name, max(0, room))
    shown = cut.rstrip(" ")
    runs.append((shown, style))
    if note:
        runs.append((note, "bad" if hung else "stray"))
    pad = width - len(guide) - (len(shown) if shown.isascii() else cell_len(shown)) - len(note)
    runs.append((" " * max(0, pad), ""))
    return tuple(runs)


_RUNNING = re.compile(r"pytest worker( \w+)?, running (?:.*/)?(?P<test>.+)")


def _short(name: str | None) -> str | None:
    """What matters first: a worker's test before the word that it is one."""
    match = _RUNNING.fullmatch(name or "")
    return f"{match['test']}{match[1] or ''}" if match else name


def _cell(
    view: View,
    proc: Proc,
    column: Column,
    history: Sequence[float | None],
    total: tuple[float, int] | None,
    marks: Marks,
    context: bool,
) -> Run:
    width = column.width
    match column.id:
        case "pid":
            return (str(proc.pid).rjust(width), "dim" if context else "quiet")
        case "cpu":
            if total is not None:
                return (f"Σ{total[0]:.0f}".rjust(width), "figure" if total[0] >= 0.5 else "dim")
            return _cpu(proc.cpu, width)
        case "history":
            return (spark(history, width, 100.0), "spark")
        case "rss":
            if total is not None:
                return (("Σ" + human_bytes(total[1])).rjust(width), "figure")
            return _size(proc.rss, width)
        case "threads":
            count = proc.threads
            text = "?" if count is None else str(count)
            return (text.rjust(width), "dim" if count in (0, 1, None) else "figure")
        case "time":
            if proc.user_time is None or proc.system_time is None:
                return ("?".rjust(width), "dim")
            return _used(proc.user_time + proc.system_time, width)
        case "age":
            age = None if proc.started is None else int(view.snapshot.wall - proc.started)
            return _age(age, width)
        case "state":
            return (proc.state[:1].ljust(width), _STATES.get(proc.state, "dim"))
        case _:
            text = view.command(proc.pid) or f"[{proc.name}]"
            info = view.info(proc.pid)
            if info is not None and info.container not in (None, marks.home):
                text = f"{info.container} · {text}"
            return (fit(text, width), "dim" if context else "quiet")


def _tomb_row(line: Line, tomb: Tomb, columns: Sequence[Column]) -> tuple[Run, ...]:
    runs: list[Run] = []
    how = ending(tomb)
    for column in columns:
        width = column.width
        if runs:
            runs.append((" ", ""))
        match column.id:
            case "role":
                runs.append((GLYPHS["dead"][0], "dim"))
            case "name":
                name = fit(line.guide + tomb.name, max(0, width - len(how) - 1)).rstrip()
                bad = tomb.exit not in (None, 0)
                runs.append((name + " ", "dim"))
                runs.append((fit(how, width - cell_len(name) - 1), "warn" if bad else "dim"))
            case "pid":
                runs.append((str(line.pid).rjust(width), "dim"))
            case "rss":
                runs.append((human_bytes(tomb.peak_rss).rjust(width), "dim"))
            case "time":
                runs.append((human_seconds(tomb.cpu_seconds).rjust(width), "dim"))
            case "age":
                runs.append((age_text(tomb.lifetime).rjust(width), "dim"))
            case "command":
                lived = human_seconds(tomb.lifetime)
                used = human_seconds(tomb.cpu_seconds)
                peak = human_bytes(tomb.peak_rss)
                runs.append((fit(f"lived {lived}, CPU {used}, peak {peak}", width), "dim"))
            case _:
                runs.append((" " * width, ""))
    return tuple(runs)
