"""Logs whose truth is known because they are made here, in the formats programs write."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

LEVELS = ("debug", "info", "warning", "error", "critical")
NAMES = {
    "debug": "DEBUG",
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
}
START = 1_700_000_000

MESSAGES = {
    "failed to open <path>": lambda r: (
        f"failed to open /data/part{r.randrange(99)}/f{r.randrange(10**6)}.bin"
    ),
    "timeout after <num> ms from <ip>": lambda r: (
        f"timeout after {r.randrange(9999)} ms from 10.0.{r.randrange(255)}.{r.randrange(255)}"
    ),
    "bad checksum <hex>": lambda r: f"bad checksum 0x{r.randrange(2**31):08x}",
    "no such user <str>": lambda r: f"no such user '{r.choice(['ann', 'bob', 'eve'])}'",
}


def traceback(r: random.Random, exception: str) -> list[str]:
    return [
        "Traceback (most recent call last):",
        '  File "/app/main.py", line 10, in main',
        "    run()",
        f'  File "/app/{exception.lower()}.py", line 7, in run',
        "    raise it",
        f"{exception}: number {r.randrange(10**6)}",
    ]


def chained(r: random.Random) -> list[str]:
    return [
        *traceback(r, "KeyError"),
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        *traceback(r, "ServiceError"),
    ]


def _clock(form: str) -> Callable[[float], str]:
    return lambda moment: time.strftime(form, time.localtime(moment))


def _iso_utc(moment: float) -> str:
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
        + f".{int(moment * 1000) % 1000:03d}Z"
    )


FORMATS: dict[str, Callable[[float, str, str], str]] = {
    "python": lambda t, level, text: (
        f"{_clock('%Y-%m-%d %H:%M:%S')(t)},000 {NAMES[level]} app.module: {text}"
    ),
    "python-dashes": lambda t, level, text: (
        f"{_clock('%Y-%m-%d %H:%M:%S')(t)},000 - app.x.long.logger - {NAMES[level]} - {text}"
    ),
    "level-first": lambda t, level, text: (
        f"{NAMES[level]}: {_clock('%Y-%m-%d %H:%M:%S')(t)} {text}"
    ),
    "iso": lambda t, level, text: f"{_iso_utc(t)} [{NAMES[level].lower()}] {text}",
    "logfmt": lambda t, level, text: (
        f'time="{_iso_utc(t)}" level={NAMES[level].lower()} msg="{text}"'
    ),
    "syslog": lambda t, level, text: (
        f"{_clock('%b %e %H:%M:%S')(t)} host app[812]: {NAMES[level]}: {text}"
    ),
    "epoch": lambda t, level, text: f"{int(t)}.250 {NAMES[level]} {text}",
    "klog": lambda t, level, text: (
        f"{'C' if level == 'critical' else NAMES[level][0]}{_clock('%m%d %H:%M:%S')(t)}.000000    1 a.go:7] {text}".replace(
            "C", "F", 1
        )
    ),
    "nginx": lambda t, level, text: (
        f"{_clock('%Y/%m/%d %H:%M:%S')(t)} [{NAMES[level].lower()}] 12#12: {text}"
    ),
    "bare": lambda t, level, text: f"{NAMES[level]}:app:{text}",
    "json": lambda t, level, text: json.dumps(
        {"timestamp": _iso_utc(t), "level": level, "message": text}
    ),
}


@dataclass
class Truth:
    lines: list[str] = field(default_factory=list)
    levels: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    tracebacks: Counter[str] = field(default_factory=Counter)
    first_trace: dict[str, int] = field(default_factory=dict)
    last_trace: dict[str, int] = field(default_factory=dict)
    dated: int = 0
    times: list[float] = field(default_factory=list)
    error_times: list[float] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


def make(form: str, count: int, seed: int = 0, *, traces: bool = True) -> Truth:
    """A log of ``count`` entries."""
    r = random.Random(seed)
    truth = Truth()
    moment = float(START)
    for number in range(count):
        moment += r.choice((0, 0, 1, 1, 2))
        level = r.choices(LEVELS, (20, 50, 10, 8, 2))[0]
        if level in ("error", "critical"):
            template, text_of = r.choice(list(MESSAGES.items()))
            text = text_of(r)
            truth.errors[template, level] += 1
            truth.error_times.append(moment)
        else:
            text = f"processed item {number} with {r.randrange(5)} errors left"
        truth.lines.append(FORMATS[form](moment, level, text))
        truth.levels[level] += 1
        truth.times.append(moment)
        if form != "bare":
            truth.dated += 1
        if traces and level == "error" and r.random() < 0.5:
            kind = r.choice(("KeyError", "my.pkg.OddError", "chain"))
            lines = chained(r) if kind == "chain" else traceback(r, kind)
            kind = "ServiceError" if kind == "chain" else kind
            truth.tracebacks[kind] += 1
            truth.first_trace.setdefault(kind, len(truth.lines) + 1)
            truth.last_trace[kind] = len(truth.lines) + 1
            truth.lines += lines
        elif traces and r.random() < 0.05:
            truth.lines.append("    a continuation that mentions ERROR and CRITICAL")
    return truth
