"""``show_process_tree``: who stands under whom, with roles."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from proctui.awareness.view import View
from proctui.errors import BadArgument, check_pid
from proctui.machine.facts import parse_cmdline, read_cmdline
from proctui.model import Proc, Role
from proctui.tools.common import cpu_share, find, resident
from proctui.tools.context import SHARED, default_root, looking
from proctui.tools.results import ProcessTree, TreeNode
from proctui.units import human_bytes, human_percent

__all__ = ["process_tree", "show_process_tree", "tree_of"]

_DEEPEST = 2000
"""Levels shown at most: JSON writers recurse once per level."""
_LONGEST_COMMAND = 120
"""Characters of a command line in the text; ``cmdline`` has all of it."""
_CROWD = 1000
"""Processes from which on the tree is in a hurry."""
_NATIVE = Path("/proc/self/cmdline").exists()
_MACHINE = 0
"""The kernel itself, parent of all that have none: the root where the machine is shown."""


def show_process_tree(root_pid: int | None = None, depth: int | None = None) -> ProcessTree:
    """The process tree from ``root_pid`` (default: the caller; over MCP the job's leader).

    ``depth`` 1 is the root alone, ``None`` everything.
    """
    if root_pid is not None:
        check_pid(root_pid, name="root_pid")
    _check_depth(depth)
    if root_pid is None and SHARED.get() is None:
        root_pid = os.getpid()
    with _collecting_later(), looking(only=_small(root_pid), tree=True) as look:
        view = look()
        if root_pid is None:
            root_pid = default_root(view)
        return tree_of(view, root_pid, depth)


def process_tree(
    root_pid: int | None = None, depth: int | None = None, *, session: str | None = None
) -> ProcessTree:
    """As the command line means it: without a root the session's leader, else the machine."""
    if root_pid is not None:
        check_pid(root_pid)
    _check_depth(depth)
    with _collecting_later(), looking(session, only=_small(root_pid), tree=True) as look:
        view = look()
        return tree_of(view, default_root(view) if root_pid is None else root_pid, depth)


def _small(root: int | None) -> int | None:
    """A root below which not nearly everything stands; there one full look is the cheaper."""
    return None if root is None or root <= 2 else root


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """A crowd's rows all stay, so looking through them for garbage is a quarter of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _check_depth(depth: object) -> None:
    if depth is not None and (type(depth) is not int or depth < 1):
        raise BadArgument(f"depth must be a whole number of 1 or more, not {repr(depth)[:40]}")


def tree_of(view: View, root: int | None, depth: int | None = None) -> ProcessTree:
    """The tree of one view; ``root`` ``None`` is the whole machine."""
    levels = min(depth or _DEEPEST, _DEEPEST)
    denied: set[str] = set()
    top = _machine(view) if root is None else _node(view, root, denied)
    queue = [(top, 1)]
    cut = False
    deepest = 1
    for node, level in queue:
        deepest = max(deepest, level)
        if level == levels:
            cut = cut or (depth is None and bool(view.children.get(node["pid"])))
            continue
        for child in _children(view, node["pid"]):
            below = _node(view, child, denied)
            node["children"].append(below)
            queue.append((below, level + 1))
    if deepest > 100:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), deepest * 8 + 1000))
    result: ProcessTree = {"root": top, "text": tree_text(view, top), "denied": sorted(denied)}
    if cut:
        warning = f"levels below {_DEEPEST} are not shown"
        result = cast(ProcessTree, {**result, "warnings": [warning]})
    return result


def _children(view: View, pid: int) -> list[int]:
    if pid != _MACHINE:
        return [child for child in view.children.get(pid, ()) if view.proc(child) is not None]
    return sorted(one for one in view.snapshot.procs if view.parent(one) is None)


def _machine(view: View) -> TreeNode:
    return {
        "pid": _MACHINE,
        "identity": None,
        "name": "machine",
        "cmdline": [],
        "role": str(Role.PROTECTED),
        "certainty": "certain",
        "status": "R",
        "rss": None,
        "cpu": None,
        "children": [],
    }


def _node(view: View, pid: int, denied: set[str]) -> TreeNode:
    proc = find(view, pid)
    verdict = view.verdict(pid)
    cmdline = _cmdline(view, proc)
    rss, cpu = resident(proc), cpu_share(proc)
    denied.update(
        name for name, value in (("cmdline", cmdline), ("rss", rss), ("cpu", cpu)) if value is None
    )
    return {
        "pid": pid,
        "identity": str(proc.identity),
        "name": proc.name,
        "cmdline": cmdline,
        "role": str(verdict.role),
        "certainty": str(verdict.certainty),
        "status": proc.state,
        "rss": rss,
        "cpu": cpu,
        "children": [],
    }


def _cmdline(view: View, proc: Proc) -> list[str] | None:
    """The command line, proved to be this process's; in a crowd without that proof.

    The proof, and the facts that come along with it, cost ten system calls
    more each.  A pid that went to another process since the look a moment
    ago would show that one's words; what is signalled goes by identity.
    """
    if proc.kernel:
        return []
    if len(view.snapshot.procs) <= _CROWD or not _NATIVE:
        info = view.info(proc.pid)
        return None if info is None or info.cmdline is None else list(info.cmdline)
    raw = read_cmdline(proc.pid)
    return None if raw is None else list(parse_cmdline(raw))


def tree_text(view: View, top: TreeNode) -> str:
    """The tree as people read it, one process a line."""
    lines: list[str] = []
    stack: list[tuple[TreeNode, str, str]] = [(top, "", "")]
    while stack:
        node, lead, below = stack.pop()
        lines.append(lead + _label(view, node))
        children = node["children"]
        for at in range(len(children) - 1, -1, -1):
            last = at == len(children) - 1
            stack.append(
                (
                    children[at],
                    below + ("└─ " if last else "├─ "),
                    below + ("   " if last else "│  "),
                )
            )
    return "\n".join(lines)


def _label(view: View, node: TreeNode) -> str:
    if node["pid"] == _MACHINE:
        return "machine"
    role = node["role"] + ("?" if node["certainty"] == "likely" else "")
    stray = " stray" if node["pid"] in view.strays else ""
    words = " ".join(node["cmdline"] or ()) or f"[{node['name']}]"
    if len(words) > _LONGEST_COMMAND:
        words = words[: _LONGEST_COMMAND - 1] + "…"
    return (
        f"{node['pid']} {words}  ({role}{stray}, {node['status']}, "
        f"{human_bytes(node['rss'])}, {human_percent(node['cpu'])}%)"
    )
