"""Commands that look: tree, inspect, memory, cpu, system."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from proctui.cli.output import Line, Span, emit, fields, span, table
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["cpu", "inspect", "memory", "system", "tree"]

_SHOWN = 200
"""Rows of a text table; ``--json`` has them all."""


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
    rows = result["processes"]
    if result["basis"] == "machine":
        rows = sorted(rows, key=lambda row: -(row["usage"] or 0))
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
        yield f"         per core {cores}"
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
            f"{kind} {figures['avg10']}% of 10 s" for kind, figures in pressure.items()
        )
        yield f"         pressure {text}"


def inspect(args: Namespace) -> int:
    from proctui.tools.inspection import inspect_in

    result = inspect_in(
        args.pid, include_threads=args.threads, include_files=args.files, session=args.session
    )
    return emit(result, args, _inspect)


def _inspect(result: Mapping[str, Any]) -> Iterable[Line]:
    yield [
        span(f"{result['name']} ", "head"),
        span(result["identity"] or ""),
        "  ",
        role_span(result["role"], result["certainty"]),
    ]
    yield from fields(_facts(result))
    if isinstance(result.get("threads"), list):
        yield ""
        yield [span("threads", "head")]
        yield from _generic(result["threads"])
    if isinstance(result.get("files"), list):
        yield ""
        yield [span("files", "head")]
        yield from _generic(result["files"])
    if result["connections"]:
        yield ""
        yield [span("connections", "head")]
        yield from _generic(result["connections"])
    if result["denied"]:
        yield ""
        yield [span("could not be read: ", "warn"), span(", ".join(result["denied"]))]


def _facts(result: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    def people(refs: Any) -> str:
        return ", ".join(f"{one['pid']} {one['name']} ({one['role']})" for one in refs) or "none"

    yield "evidence", span("; ".join(result["evidence"]) or "none")
    if result["unchecked"]:
        yield "unchecked", span("; ".join(result["unchecked"]))
    yield "command", span(" ".join(result["cmdline"] or ()) or "?")
    yield "executable", span(result["exe"] or "?")
    yield "directory", span(result["cwd"] or "?")
    yield "user", span(result["user"] or "?")
    yield "status", span(result["status"])
    yield "waits", span(result["wait"] or "?")
    yield "started", span(f"{result['started']} ({human_seconds(result['age'])} ago)")
    yield "parent", span(people([result["parent"]] if result["parent"] else []))
    yield "ancestors", span(people(result["ancestors"]))
    yield "children", span(people(result["children"]))
    yield (
        "group",
        span(f"{result['pgid']}, session {result['sid']}, terminal {result['tty'] or 'none'}"),
    )
    yield "cpu", span(_object(result["cpu"]))
    yield "memory", span(_object(result["memory"], all_bytes=True))
    yield "io", span(_object(result["io"]))
    yield "switches", span(_object(result["ctx_switches"]))
    yield "nice", span(f"{result['nice']}, on processors {_word(result['affinity'])}")
    threads = result["threads"]
    yield "threads", str(len(threads) if isinstance(threads, list) else threads)
    yield "descriptors", str(result["fds"] if result["fds"] is not None else "?")
    yield "cgroup", span(result["cgroup"] or "?")
    yield "container", span(result["container"] or "none")


def _object(value: Any, *, all_bytes: bool = False) -> str:
    if not isinstance(value, Mapping):
        return "?"
    return ", ".join(
        f"{name} {human_bytes(one) if _is_bytes(name, one, all_bytes) else _word(one)}"
        for name, one in _flat_all(value)
    )


def _is_bytes(name: str, value: Any, all_bytes: bool) -> bool:
    return isinstance(value, (int, float)) and (
        all_bytes or name.endswith(("_bytes", "_chars", "_rate"))
    )


def _word(value: Any) -> str:
    """Nothing for what is absent or false, a list as its words."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def _flat_all(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat_all(one, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", one


def _generic(rows: list[Mapping[str, Any]]) -> Iterable[Line]:
    """A table of whatever keys the rows have, without the columns that say nothing."""
    if not rows:
        yield "  none"
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    words = [
        {name: "" if row.get(name) is None else _word(row[name]) for name in names} for row in rows
    ]
    names = [name for name in names if any(row[name] for row in words)]
    yield from table(
        [(name.upper(), "<") for name in names],
        ([span(row[name]) for name in names] for row in words),
    )
