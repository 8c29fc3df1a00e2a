"""The inspector's lines: a process and what was read about it in, runs of text out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rich.cells import cell_len

from proctui.awareness.view import Tomb, View
from proctui.model import Certainty, Identity, Proc, Role, Verdict
from proctui.tui.braille import ceiling, spark
from proctui.tui.cells import GLYPHS, STYLES, Run, ending, fit, look_of
from proctui.units import clock_text, human_bytes, human_percent, human_seconds

__all__ = ["TABS", "gone", "lines"]

Runs = tuple[Run, ...]

TABS = {
    "overview": "info",
    "threads": "thr",
    "files": "files",
    "network": "net",
    "environment": "env",
    "limits": "limit",
    "evidence": "why",
}
"""Tab → its short name for narrow panes."""

_LABEL = 10


def lines(
    tab: str,
    view: View,
    proc: Proc,
    details: Mapping[str, Any] | None,
    width: int,
    past: Sequence[float | None] = (),
) -> list[Runs]:
    """The lines of a tab, none wider than ``width`` unless it is one long word.

    ``past`` are the process's CPU figures, newest last.
    """
    if tab == "overview":
        return _overview(view, proc, details or {}, width, past)
    if tab == "evidence":
        return _evidence(view, proc, width)
    if details is None:
        return [(("reading …", "dim"),)]
    if "trouble" in details:
        return pair("", str(details["trouble"]), width, "warn")
    out = _DETAILS[tab](details, width)
    denied = [str(one) for one in details.get("denied", ())]
    if denied:
        out.append(())
        out += pair("not read", ", ".join(denied), width, "warn")
    return out or [(("none", "dim"),)]


def pair(label: str, text: str, width: int, style: str = "quiet") -> list[Runs]:
    """A label and its text, wrapped under itself."""
    first, *rest = _wrapped(text, max(10, width - _LABEL))
    out: list[Runs] = [((fit(label, _LABEL), "dim"), (first, style))]
    return out + [((" " * _LABEL, ""), (part, style)) for part in rest]


@lru_cache(64)
def _wrapped(text: str, room: int) -> tuple[str, ...]:
    """The same evidence and command line come at every look."""
    parts = textwrap.wrap(text, room, break_on_hyphens=False) if cell_len(text) > room else [text]
    return tuple(parts or [""])


def columns(pairs: Sequence[tuple[str, str, str]], width: int) -> list[Runs]:
    """Several short ``(label, text, style)`` side by side."""
    each = max(22, width // max(1, width // 26))
    out: list[Runs] = []
    runs: list[Run] = []
    used = 0
    for label, text, style in pairs:
        if used and used + each > width:
            out.append(tuple(runs))
            runs, used = [], 0
        runs += [(fit(label, _LABEL), "dim"), (fit(text, each - _LABEL - 1) + " ", style)]
        used += each
    if runs:
        out.append(tuple(runs))
    return out


def _known(value: object) -> str:
    return "?" if value is None else str(value)


def _overview(
    view: View,
    proc: Proc,
    details: Mapping[str, Any],
    width: int,
    past: Sequence[float | None],
) -> list[Runs]:
    info = view.info(proc.pid)
    look = look_of(view, proc.pid)
    verdict = view.verdict(proc.pid)
    role = "spawned · stray" if look == "stray" else verdict.role.value
    if verdict.role is Role.SPAWNED:
        role += f" · {verdict.certainty.value}"
    out: list[Runs] = [
        (
            (fit("role", _LABEL), "dim"),
            (f"{GLYPHS[look][0]} ", STYLES[look]),
            (role, STYLES[look]),
            ("   " + (_may_be_signalled(verdict) or GLYPHS[look][1]), "dim"),
        )
    ]
    for at, reason in enumerate(verdict.evidence[:2]):
        out += pair("because" if at == 0 else "", reason, width)
    command = " ".join(info.cmdline) if info and info.cmdline else f"[{proc.name}]"
    out += pair("command", command, width, "strong")[:3]
    if info is not None and info.container:
        out += pair("container", info.container, width)
    cwd = details.get("cwd")
    if cwd:
        out += pair("cwd", str(cwd), width)
    parent = view.parent(proc.pid)
    above = view.proc(parent) if parent is not None else None
    age = None if proc.started is None else view.snapshot.wall - proc.started
    started = "?" if proc.started is None else clock_text(proc.started)
    user = (info.user if info else None) or _known(proc.uid)
    out += columns(
        [
            ("identity", str(proc.identity), "quiet"),
            ("user", user, "quiet"),
            ("parent", f"{above.name} {above.pid}" if above else _known(proc.ppid), "quiet"),
            ("group", f"{proc.pgid} / {proc.sid}", "quiet"),
            ("started", started, "quiet"),
            ("age", human_seconds(age), "quiet"),
            ("state", _state(proc.state), "quiet"),
            ("threads", _known(proc.threads), "figure"),
        ],
        width,
    )
    out.append(())
    below = [p for pid in view.descendants(proc.pid) if (p := view.proc(pid)) is not None]
    used = None
    if proc.user_time is not None and proc.system_time is not None:
        used = proc.user_time + proc.system_time
    figures = [
        ("CPU", f"{human_percent(proc.cpu)} %", "figure"),
        ("CPU time", human_seconds(used), "figure"),
        ("memory", human_bytes(proc.rss), "figure"),
    ]
    if below:
        cpu = (proc.cpu or 0.0) + sum(p.cpu or 0.0 for p in below)
        rss = (proc.rss or 0) + sum(p.rss or 0 for p in below)
        figures += [
            ("Σ CPU", f"{human_percent(cpu)} %", "figure"),
            ("Σ memory", human_bytes(rss), "figure"),
            ("Σ below", str(len(below)), "figure"),
        ]
    if past:
        bars = spark(past, max(4, width - _LABEL), ceiling(max(v or 0 for v in past)))
        out.append(((fit("CPU", _LABEL), "dim"), (bars, "spark")))
    io = view.snapshot.io.get(proc.pid)
    if io is not None:
        figures += [
            ("read", f"{human_bytes(io.read_rate)}/s", "figure"),
            ("written", f"{human_bytes(io.write_rate)}/s", "figure"),
        ]
    out += columns(figures, width)
    wait = details.get("wait")
    if wait:
        out += pair("waits", str(wait), width)
    return out


_STATES = {
    "R": "R running",
    "S": "S sleeping",
    "D": "D uninterruptible",
    "Z": "Z zombie",
    "T": "T stopped",
    "t": "t traced",
    "I": "I idle",
    "X": "X dead",
}


def _state(letter: str) -> str:
    return _STATES.get(letter, letter)


def _may_be_signalled(verdict: Verdict) -> str | None:
    """What the guard allows, ``None`` if nothing."""
    if verdict.role is not Role.SPAWNED:
        return None
    if verdict.certainty is Certainty.LIKELY:
        return "may be signalled once you confirm it"
    return "may be signalled"


def _evidence(view: View, proc: Proc, width: int) -> list[Runs]:
    verdict = view.verdict(proc.pid)
    look = look_of(view, proc.pid)
    out = pair("role", f"{verdict.role.value} · {verdict.certainty.value}", width, STYLES[look])
    for at, reason in enumerate(verdict.evidence or ("no evidence",)):
        out += pair("because" if at == 0 else "", reason, width)
    for at, reason in enumerate(verdict.unchecked):
        out += pair("unchecked" if at == 0 else "", reason, width, "warn")
    out.append(())
    text = _may_be_signalled(verdict) or f"never signalled: {verdict.role.value}"
    out += pair("kill", text, width)
    chain = [p for pid in view.ancestors(proc.pid) if (p := view.proc(pid)) is not None]
    for at, above in enumerate(chain):
        look = look_of(view, above.pid)
        text = f"{GLYPHS[look][0]} {above.name} {above.pid} · {view.role(above.pid).value}"
        out += pair("above" if at == 0 else "", text, width, STYLES[look])
    return out


def gone(identity: Identity, tomb: Tomb | None, width: int) -> list[Runs]:
    """What is left of a process that ended."""
    out = pair("identity", str(identity), width)
    if tomb is None:
        return [*out, (("this process is gone", "warn"),)]
    return [
        *pair("name", tomb.name, width, "strong"),
        *out,
        *pair("ended", f"{ending(tomb)} at {clock_text(tomb.died)}", width, "warn"),
        *pair("lived", human_seconds(tomb.lifetime), width),
        *pair("CPU time", human_seconds(tomb.cpu_seconds), width),
        *pair("peak", human_bytes(tomb.peak_rss), width),
    ]


def _threads(details: Mapping[str, Any], width: int) -> list[Runs]:
    threads = details.get("threads")
    if not isinstance(threads, list):
        return [((f"{_known(threads)} threads, none could be listed", "warn"),)]
    name = max(12, width - 32)
    head = f"    TID {fit('NAME', name)} S   CPU%  CPU TIME"
    out: list[Runs] = [((head, "title"),)]
    for one in threads:
        state = str(one.get("state") or "?")[:1]
        cpu, user, system = one.get("cpu"), one.get("user"), one.get("system")
        used = None if user is None or system is None else user + system
        out.append(
            (
                (f"{_known(one.get('tid')):>7} ", "quiet"),
                (fit(str(one.get("name") or "?"), name), "strong"),
                (f" {state} ", "good" if state == "R" else "dim"),
                (f"{human_percent(cpu):>6}", "figure" if cpu else "dim"),
                (f"{human_seconds(used):>10}", "figure" if used else "dim"),
            )
        )
    return out


def _files(details: Mapping[str, Any], width: int) -> list[Runs]:
    files = details.get("files")
    if not isinstance(files, list):
        return [((f"{_known(details.get('fds'))} open, none could be listed", "warn"),)]
    out: list[Runs] = [(("  FD MODE     SIZE  FILE", "title"),)]
    for one in files:
        path = str(one.get("path") or one.get("target") or "?")
        size = one.get("size")
        out.append(
            (
                (f"{_known(one.get('fd')):>4} ", "quiet"),
                (fit(str(one.get("mode") or "?"), 4), "dim"),
                (f"{'' if size is None else human_bytes(size):>9}  ", "dim"),
                (path, "strong" if one.get("kind") == "file" else "quiet"),
                ("  deleted" if one.get("deleted") else "", "warn"),
            )
        )
    return out


def _network(details: Mapping[str, Any], width: int) -> list[Runs]:
    connections = details.get("connections")
    if not isinstance(connections, list):
        return [(("could not be read", "warn"),)]
    out: list[Runs] = []
    for one in connections:
        unix = one.get("family") == "unix"
        kind = "unix" if unix else str(one.get("type") or "?")
        remote = one.get("remote")
        if remote is None and unix and one.get("peer") is not None:
            remote = f"socket {one['peer']}"
        state = str(one.get("state") or "")
        out.append(
            (
                (f"{_known(one.get('fd')):>4} ", "quiet"),
                (fit(kind, 6), "dim"),
                (str(one.get("local") or "unnamed"), "strong"),
                ("" if remote is None else f" → {remote}", "strong"),
                (f"  {state}", "good" if state == "listen" else "quiet"),
            )
        )
    return out


def _named(values: Iterable[tuple[object, object]], width: int) -> list[Runs]:
    return [((f"{name} ", "dim"), (str(value), "strong")) for name, value in values]


def _environment(details: Mapping[str, Any], width: int) -> list[Runs]:
    environ = details.get("environ")
    if not isinstance(environ, Mapping):
        return [(("could not be read", "warn"),)]
    return _named(sorted(environ.items()), width)


def _limits(details: Mapping[str, Any], width: int) -> list[Runs]:
    limits = details.get("limits")
    if not isinstance(limits, Mapping):
        return [(("could not be read", "warn"),)]
    out: list[Runs] = []
    for name, value in limits.items():
        text = value
        if isinstance(value, Mapping):
            unit = value.get("unit") or ""
            text = f"{_limit(value.get('soft'), unit)} of {_limit(value.get('hard'), unit)}"
        elif isinstance(value, list | tuple):
            text = " / ".join(_known(one) for one in value)
        out.append(((fit(str(name), 22), "dim"), (str(text), "figure")))
    for name in ("nice", "affinity", "cgroup", "container", "ctx_switches"):
        if details.get(name) is not None:
            out.append(((fit(name, 22), "dim"), (str(details[name]), "figure")))
    return out


def _limit(value: object, unit: str) -> str:
    if isinstance(value, int) and unit == "bytes":
        return human_bytes(value)
    return _known(value)


_DETAILS = {
    "threads": _threads,
    "files": _files,
    "network": _network,
    "environment": _environment,
    "limits": _limits,
}
