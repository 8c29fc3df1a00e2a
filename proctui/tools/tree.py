"""``show_process_tree``: who stands under whom, with roles."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

from proctui.awareness.view import UNSEEN, View
from proctui.errors import BadArgument, ProctuiError, check_pid
from proctui.machine.facts import command_lines
from proctui.machine.identity import identify
from proctui.model import Proc, Role
from proctui.tools.common import cpu_share, find, resident
from proctui.tools.context import ON_BEHALF, default_root, looking
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
    """The process tree from ``root_pid`` (default: the caller).

    Over MCP, and by ``proctui call``, the default is the job's leader.

    ``depth`` 1 is the root alone, ``None`` everything.
    """
    if root_pid is not None:
        check_pid(root_pid, name="root_pid")
    elif not ON_BEHALF.get():
        root_pid = os.getpid()
    return process_tree(root_pid, depth)


def process_tree(
    root_pid: int | None = None, depth: int | None = None, *, session: str | None = None
) -> ProcessTree:
    """As the command line means it: without a root the session's leader, else the machine."""
    if root_pid is not None:
        check_pid(root_pid)
    if depth is not None and (type(depth) is not int or depth < 1):
        raise BadArgument(f"depth must be a whole number of 1 or more, not {repr(depth)[:40]}")
    with _collecting_later():
        # In a frame of its own, so that what the look holds is free by then.
        return _look(root_pid, depth, session)


def _look(root_pid: int | None, depth: int | None, session: str | None) -> ProcessTree:
    # Below the first two nearly everything stands.
    only = None if root_pid in (None, 1, 2) else root_pid
    with looking(session, once=True, only=only, tree=True) as look:
        view = look()
        return tree_of(view, default_root(view) if root_pid is None else root_pid, depth)


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


def tree_of(view: View, root: int | None, depth: int | None = None) -> ProcessTree:
    """The tree of one view; ``root`` ``None`` is the whole machine."""
    levels = min(depth or _DEEPEST, _DEEPEST)
    cut = False
    deepest = 1
    with _nodes(view) as (node_of, denied):
        top = _machine(view) if root is None else node_of(find(view, root))
        procs, children = view.snapshot.procs, view.children
        seen = {top["pid"]}
        queue = [(top, 1)]
        for node, level in queue:
            deepest = max(deepest, level)
            pid, kids = node["pid"], node["children"]
            below = _tops(view) if pid == _MACHINE else children.get(pid, ())
            if level == levels:
                cut = cut or (depth is None and bool(below))
                continue
            for child in below:
                proc = procs.get(child)
                if proc is not None and child not in seen:
                    seen.add(child)
                    kid = node_of(proc)
                    kids.append(kid)
                    if child in children:
                        queue.append((kid, level + 1))
    if deepest > 100:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), deepest * 8 + 1000))
    result: ProcessTree = {"root": top, "text": tree_text(view, top), "denied": sorted(denied)}
    if cut:
        warning = f"levels below {_DEEPEST} are not shown"
        result = cast(ProcessTree, {**result, "warnings": [warning]})
    return result


def _tops(view: View) -> list[int]:
    return sorted(one for one in view.snapshot.procs if view.parent(one) is None)


def _machine(view: View) -> TreeNode:
    """The kernel with the sums of all."""
    rows, now = view.snapshot.procs.values(), time.time()
    return {
        "pid": _MACHINE,
        "identity": None,
        "name": "machine",
        "cmdline": [],
        "role": str(Role.PROTECTED),
        "certainty": "certain",
        "status": "R",
        "rss": sum(resident(proc) or 0 for proc in rows),
        "cpu": round(sum(cpu_share(proc, now) or 0.0 for proc in rows), 1),
        "children": [],
    }


@contextlib.contextmanager
def _nodes(view: View) -> Iterator[tuple[Callable[[Proc], TreeNode], set[str]]]:
    """What makes a node of a process, and the names of figures that could not be read."""
    denied: set[str] = set()
    verdicts, now = view.verdicts, time.time()

    def node_of(proc: Proc) -> TreeNode:
        role, certainty, *_ = verdicts.get(proc.pid, UNSEEN)
        words = () if proc.kernel else words_of(proc)
        rss, cpu = resident(proc), cpu_share(proc, now)
        if words is None or rss is None or cpu is None:
            figures = {"cmdline": words, "rss": rss, "cpu": cpu}
            denied.update(name for name, value in figures.items() if value is None)
        return {
            "pid": proc.pid,
            "identity": str(proc.identity),
            "name": proc.name,
            "cmdline": None if words is None else list(words),
            "role": str(role),
            "certainty": str(certainty),
            "status": proc.state,
            "rss": rss,
            "cpu": cpu,
            "children": [],
        }

    with _command_lines(view) as words_of:
        yield node_of, denied


@contextlib.contextmanager
def _command_lines(view: View) -> Iterator[Callable[[Proc], Sequence[str] | None]]:
    """What reads a command line, proved to be that process's; in a crowd without that proof.

    It costs three system calls more each.  A pid that went to another process
    since the look a moment ago would show that one's words; what is
    signalled goes by identity.
    """
    if not _NATIVE:
        yield lambda proc: None if (info := view.lookup(proc.identity)) is None else info.cmdline
        return
    with command_lines() as read:

        def proved(proc: Proc) -> Sequence[str] | None:
            words = read(proc)
            try:
                return words if identify(proc.pid).same(proc.identity) else None
            except ProctuiError:
                return None

        yield read if len(view.snapshot.procs) > _CROWD else proved


def tree_text(view: View, top: TreeNode) -> str:
    """The tree as people read it, one process a line."""
    lines: list[str] = []
    strays = view.strays
    stack: list[tuple[TreeNode, str, str]] = [(top, "", "")]
    while stack:
        node, lead, below = stack.pop()
        lines.append(lead + _label(node, stray=node["pid"] in strays))
        kids = node["children"]
        if kids:
            stack.append((kids[-1], below + "└─ ", below + "   "))
            here, further = below + "├─ ", below + "│  "
            stack += [(kid, here, further) for kid in kids[-2::-1]]
    return "\n".join(lines)


_bytes = functools.lru_cache(maxsize=4096)(human_bytes)
_percent = functools.lru_cache(maxsize=4096)(human_percent)
"""The figures of a crowd are much alike."""


def _label(node: TreeNode, *, stray: bool) -> str:
    if node["pid"] == _MACHINE:
        return "machine"
    role = node["role"] + ("?" if node["certainty"] == "likely" else "")
    words = " ".join(node["cmdline"] or ()) or f"[{node['name']}]"
    if len(words) > _LONGEST_COMMAND:
        words = words[: _LONGEST_COMMAND - 1] + "…"
    return (
        f"{node['pid']} {words}  ({role}{' stray' if stray else ''}, {node['status']}, "
        f"{_bytes(node['rss'])}, {_percent(node['cpu'])}%)"
    )
