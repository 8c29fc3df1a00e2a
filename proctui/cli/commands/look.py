"""Commands that look: tree, memory, cpu, system."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.output import Line, Span, emit, span, table
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["cpu", "memory", "role_span", "system", "tree"]

_SHOWN = 200
"""Rows of a text table; ``--json`` has them all."""
_FEW = 20
"""Up to so many rows even those that say nothing are shown."""


def role_span(role: str, certainty: str = "certain") -> Span:
    return span(role + ("?" if certainty == "likely" else ""), f"role.{role}")


def tree(args: Namespace) -> int:
    from proctui.tools.tree import process_tree

    return emit(process_tree(args.pid, args.depth, session=args.session), args, _tree, fit=True)


def _tree(result: Mapping[str, Any]) -> Iterable[Line]:
    roles = {}
    queue = [result["root"]]
    for node in queue:
        roles[node["pid"]] = node["role"]
        queue.extend(node["children"])
    for line in result["text"].split("\n"):
        pid = line.lstrip("│├└─ ").partition(" ")[0]
        role = roles.get(int(pid), "unknown") if pid.isdigit() else "unknown"
        yield [(line, f"role.{role}")]


def memory(args: Namespace) -> int:
    from proctui.tools.memory import get_memory_profile

    return emit(get_memory_profile(args.pid, args.tree), args, _memory, fit=True)


def _memory(result: Mapping[str, Any]) -> Iterable[Line]:
    system_wide = result["system"]
    yield [
        span("total ", "head"),
        f"{human_bytes(result['total'])} in {_count(len(result['processes']))}; machine: "
        f"{human_bytes(system_wide['used'])} of {human_bytes(system_wide['total'])} used "
        f"({human_percent(system_wide['percent'])}%), swap {human_bytes(system_wide['swap_used'])} "
        f"of {human_bytes(system_wide['swap_total'])}",
    ]
    names = ("rss", "vms", "shared", "swap", "pss", "uss")
    rows = sorted(result["processes"], key=lambda row: -(row["rss"] or 0))
    rows, without = _parted(rows, "rss", "vms")
    exact = any(row["pss"] is not None for row in rows)
    shown = names if exact else names[:4]
    columns = [("PID", ">"), *((name.upper(), ">") for name in shown), ("ROLE", "<"), ("NAME", "<")]
    yield from table(
        columns,
        (
            [
                str(row["pid"]),
                *(human_bytes(row[name]) for name in shown),
                role_span(row["role"]),
                span(row["name"]),
            ]
            for row in rows[:_SHOWN]
        ),
    )
    yield from _rest(rows)
    if without:
        yield [span(f"and {without} that have none (kernel threads, zombies)", "dim")]


def _parted(rows: list[Any], *names: str) -> tuple[list[Any], int]:
    """The rows without those where all these figures are 0, and how many these are.

    A few are worth a line each.
    """
    if len(rows) <= _FEW:
        return rows, 0
    kept = [row for row in rows if any(row[name] != 0 for name in names)]
    return kept, len(rows) - len(kept)


def _count(number: int) -> str:
    return f"{number} process" if number == 1 else f"{number} processes"


def _rest(rows: list[Any]) -> Iterable[Line]:
    if len(rows) > _SHOWN:
        yield [span(f"… and {len(rows) - _SHOWN} more (--json has all)", "dim")]


def cpu(args: Namespace) -> int:
    from proctui.tools.cpu import cpu_of

    result = cpu_of(args.pid, args.duration, tree=args.tree, save=args.output)
    return emit(result, args, _cpu, fit=True)


def _cpu(result: Mapping[str, Any]) -> Iterable[Line]:
    of = "a core" if result["basis"] == "core" else f"the machine ({result['cores']} cores)"
    yield [
        span("usage ", "head"),
        f"{human_percent(result['usage'])}% of {of} over {human_seconds(result['duration'])}; "
        f"user {human_seconds(result['user'])}, system {human_seconds(result['system'])}",
    ]
    rows, idle = result["processes"], 0
    if result["basis"] == "machine":
        rows = sorted(rows, key=lambda row: -(row["usage"] or 0))
        rows, idle = _parted(rows, "user", "system", "usage")
    columns = [
        ("PID", ">"),
        ("CPU%", ">"),
        ("USER", ">"),
        ("SYS", ">"),
        ("THR", ">"),
        ("ROLE", "<"),
        ("NAME", "<"),
    ]
    yield from table(
        columns,
        (
            [
                str(row["pid"]),
                human_percent(row["usage"]),
                human_seconds(row["user"]),
                human_seconds(row["system"]),
                "?" if row["threads"] is None else str(row["threads"]),
                role_span(row["role"]),
                span(row["name"]),
            ]
            for row in rows[:_SHOWN]
        ),
    )
    yield from _rest(rows)
    if idle:
        yield [span(f"and {idle} that used none", "dim")]
    if result.get("hot"):
        yield ""
        yield [span("hottest functions", "head")]
        for one in result["hot"][:20]:
            where = f"{one['file']}:{one['line']}"
            yield [
                f"{one['share'] * 100:5.1f}%  ",
                span(one["function"], "key"),
                span(f"  {where}", "dim"),
            ]
    if result.get("saved"):
        yield [span(f"saved in {result['saved']}; open it at https://www.speedscope.app", "good")]


def system(args: Namespace) -> int:
    from proctui.tools.system import get_system_resources

    return emit(get_system_resources(args.metrics or None), args, _system)


def _system(result: Mapping[str, Any]) -> Iterable[Line]:
    if "cpu" in result:
        one = result["cpu"]
        load = " ".join(f"{value:.2f}" for value in one["load"] or ())
        cores = " ".join(human_percent(value) for value in one["per_core"] or ())
        yield [
            span("cpu      ", "head"),
            f"{human_percent(one['usage'])}% of {one['cores']} cores, load {load}",
        ]
        yield f"         per core {cores} %"
        yield from _pressure(one)
    if "memory" in result:
        one = result["memory"]
        yield [
            span("memory   ", "head"),
            f"{human_bytes(one['used'])} of {human_bytes(one['total'])} used "
            f"({human_percent(one['percent'])}%), {human_bytes(one['available'])} available, "
            f"swap {human_bytes(one['swap_used'])} of {human_bytes(one['swap_total'])}",
        ]
        yield from _pressure(one)
    if "disk" in result:
        for at, one in enumerate(result["disk"]):
            yield [
                span("disk     " if at == 0 else "         ", "head"),
                span(
                    f"{one['mount']}: {human_bytes(one['used'])} of {human_bytes(one['total'])} used "
                    f"({human_percent(one['percent'])}%), {human_bytes(one['free'])} free"
                ),
            ]
    if "network" in result:
        for at, one in enumerate(result["network"]):
            yield [
                span("network  " if at == 0 else "         ", "head"),
                span(
                    f"{one['nic']}: {human_bytes(one['bytes_sent'])} sent, "
                    f"{human_bytes(one['bytes_recv'])} received"
                ),
            ]


def _pressure(section: Mapping[str, Any]) -> Iterable[Line]:
    pressure = section.get("pressure")
    if pressure:
        text = ", ".join(
            f"{kind} {human_percent(figures['avg10'])}% of 10 s"
            for kind, figures in pressure.items()
        )
        yield f"         pressure {text}"
