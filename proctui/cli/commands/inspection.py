"""``proctui inspect``: everything about one process, as a person reads it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proctui.cli.commands.look import role_span
from proctui.cli.output import Line, emit, fields, span, table
from proctui.units import human_bytes, human_percent, human_seconds

__all__ = ["inspect"]

_NUMBERS = frozenset(
    {"tid", "cpu", "user", "system", "processor", "fd", "position", "size", "local_port"}
    | {"remote_port", "inode", "send_queue", "recv_queue", "peer"}
)
"""Columns that stand right-aligned."""
_PEOPLE = 20
"""Children and ancestors told by name; ``--json`` has all."""
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in an uninterruptible wait",
    "T": "stopped",
    "t": "stopped by its tracer",
    "Z": "a zombie: ended, its parent has not collected it",
    "X": "dead",
    "I": "idle",
}


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
    yield from fields(((name, span(words)) for name, words in _facts(result)), wrap=True)
    for name in ("threads", "files", "connections"):
        rows = result.get(name)
        if isinstance(rows, list) and (rows or name != "connections"):
            yield ""
            yield [span(name, "head")]
            yield from _rows(rows)
    if result["denied"]:
        yield ""
        yield [span("could not be read: ", "warn"), span(", ".join(result["denied"]))]


def _facts(result: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "evidence", "; ".join(result["evidence"]) or "none"
    if result["unchecked"]:
        yield "unchecked", "; ".join(result["unchecked"])
    command = result["cmdline"]
    yield "command", "?" if command is None else " ".join(command) or "none"
    yield "executable", result["exe"] or "?"
    yield "directory", result["cwd"] or "?"
    yield "user", result["user"] or "?"
    yield "status", f"{result['status']} ({_STATES.get(result['status'], 'unknown')})"
    yield "waits", result["wait"] or "?"
    yield "started", f"{result['started'] or '?'} ({human_seconds(result['age'])} ago)"
    yield "parent", _people([result["parent"]] if result["parent"] else [])
    yield "ancestors", _people(result["ancestors"])
    yield "children", _people(result["children"])
    yield "group", f"{result['pgid']}, session {result['sid']}, terminal {result['tty'] or 'none'}"
    yield "cpu", _cpu(result["cpu"])
    yield "memory", _memory(result["memory"])
    yield "io", _io(result["io"])
    yield "switches", _parts(result["ctx_switches"], "{} voluntary", "{} involuntary")
    if result.get("faults") is not None:
        yield "faults", _parts(result["faults"], "{} minor", "{} major")
    processors = result["affinity"]
    on = "?" if processors is None else ",".join(map(str, processors))
    yield "nice", f"{_number(result['nice'])}, on processors {on}"
    threads = result["threads"]
    yield "threads", _number(len(threads) if isinstance(threads, list) else threads)
    yield "descriptors", _descriptors(result)
    if result.get("oom") is not None:
        yield "oom", _parts(result["oom"], "score {}", "adjusted by {}")
    yield from _security(result)
    yield "cgroup", result["cgroup"] or "?"
    yield "container", result["container"] or "none"


def _people(refs: Sequence[Mapping[str, Any]]) -> str:
    words = [f"{one['pid']} {one['name']} ({one['role']})" for one in refs[:_PEOPLE]]
    if len(refs) > _PEOPLE:
        words.append(f"and {len(refs) - _PEOPLE} more")
    return ", ".join(words) or "none"


def _number(value: object) -> str:
    return "?" if value is None else str(value)


def _parts(values: Mapping[str, Any] | None, *words: str) -> str:
    if values is None:
        return "?"
    return ", ".join(
        word.format(_number(value)) for word, value in zip(words, values.values(), strict=False)
    )


def _cpu(cpu: Mapping[str, Any] | None) -> str:
    if cpu is None:
        return "?"
    words = (
        f"{human_percent(cpu['usage'])}% of a core"
        f"{' over its life' if cpu.get('basis') == 'lifetime' else ''}; "
        f"user {human_seconds(cpu['user'])}, system {human_seconds(cpu['system'])}"
    )
    ended = (cpu.get("children_user") or 0) + (cpu.get("children_system") or 0)
    return f"{words}; its ended children {human_seconds(ended)}" if ended else words


def _memory(memory: Mapping[str, Any] | None) -> str:
    if memory is None:
        return "?"
    size = {name: human_bytes(value) for name, value in memory.items()}
    words = f"rss {size['rss']}"
    if size.get("peak_rss") is not None:
        words += f" (peak {size['peak_rss']})"
    own = [f"{name} {size[name]}" for name in ("pss", "uss", "swap", "vms") if name in size]
    kinds = [f"{name} {size[name]}" for name in ("anonymous", "file", "shmem") if memory.get(name)]
    words += f", {', '.join(own)}"
    return f"{words}; resident: {', '.join(kinds)}" if kinds else words


def _io(io: Mapping[str, Any] | None) -> str:
    if io is None:
        return "?"
    words = (
        f"{human_bytes(io['read_bytes'])} read from disk, {human_bytes(io['write_bytes'])} written"
    )
    if io.get("read_chars") is not None:
        words += (
            f"; {human_bytes(io['read_chars'])} in {_number(io.get('read_calls'))} reads and "
            f"{human_bytes(io.get('write_chars'))} in {_number(io.get('write_calls'))} writes"
            " of any file"
        )
    return words


def _descriptors(result: Mapping[str, Any]) -> str:
    limit = ((result["limits"] or {}).get("nofile") or {}).get("soft")
    words = _number(result["fds"])
    return words if limit is None else f"{words} of at most {limit}"


def _security(result: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What it may do beyond its user, and what it may not."""
    held = (result.get("capabilities") or {}).get("effective")
    if held:
        shown = ", ".join(held[:4]) + (f" and {len(held) - 4} more" if len(held) > 4 else "")
        yield "capabilities", shown
    seccomp = result.get("seccomp")
    if seccomp is not None and seccomp.get("mode") not in (None, "disabled"):
        yield "seccomp", f"{seccomp['mode']}, {_number(seccomp.get('filters'))} filters"
    spaces = result.get("namespaces")
    if spaces is not None:
        other = [name for name, one in spaces.items() if not one["ours"]]
        if other:
            yield "namespaces", f"{', '.join(other)} of its own"
    if result.get("tracer"):
        yield "tracer", _number(result["tracer"])
    environ = result["environ"]
    yield "environ", "?" if environ is None else f"{len(environ)} variables (--json shows them)"


def _word(value: Any) -> str:
    """Nothing for what is absent or false, a list as its words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def _rows(rows: list[Mapping[str, Any]]) -> Iterable[Line]:
    """A table of whatever keys the rows have, without the columns that say nothing."""
    if not rows:
        yield "  none"
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    words = [{name: _word(row.get(name)) for name in names} for row in rows]
    names = [name for name in names if any(row[name] for row in words)]
    yield from table(
        [(name.upper(), ">" if name in _NUMBERS else "<") for name in names],
        ([span(row[name]) for name in names] for row in words),
    )
