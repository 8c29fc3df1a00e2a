"""Which locks a Python thread holds, read from its source and the values of its locals.

A ``threading.Lock`` has no owner.  But a frame that stands inside ``with a:``
or behind an ``a.acquire()`` without its ``release()`` holds ``a``, and the
addresses of the frame's locals tell which object ``a`` is.  What is found
this way is good evidence and no proof: it leads to *suspected*, never to
*proven*.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from proctui.stacks import origins, trace

__all__ = ["Held", "Holding", "cycles", "holding"]

_DEEPEST = 200


class Held(NamedTuple):
    """A lock by what names it: ``key`` is equal where the object is the same."""

    key: Hashable
    text: str
    line: int


class Holding(NamedTuple):
    """What a thread holds, and the lock its innermost frame waits for."""

    tid: int
    holds: tuple[Held, ...]
    wants: Held | None


@functools.lru_cache(maxsize=64)
def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def holding(pid: int, tid: int, frames: Sequence[Mapping[str, Any]], *, waits: bool) -> Holding:
    """What a thread holds by its frames (with ``addresses`` of locals), and wants if it ``waits``."""
    holds: list[Held] = []
    wants: Held | None = None
    for depth, frame in enumerate(frames[:_DEEPEST]):
        if origins.owner_of(frame) == origins.STANDARD or not frame.get("line"):
            continue
        tree = _parse(trace.source_of(pid, frame.get("file")))
        if tree is None:
            continue
        found, wanted = _in_frame(tree, frame, at_leaf=waits and depth == 0)
        holds += found
        wants = wants or wanted
    return Holding(tid, tuple(holds), wants)


def _in_frame(
    tree: ast.Module, frame: Mapping[str, Any], *, at_leaf: bool
) -> tuple[list[Held], Held | None]:
    line = int(frame["line"])
    scope = _innermost_function(tree, line)
    holds: list[Held] = []
    wants: Held | None = None
    acquired: dict[Hashable, Held] = {}
    for node in _statements(scope):
        if isinstance(node, ast.With | ast.AsyncWith):
            named = [held for item in node.items if (held := _name(item.context_expr, frame))]
            first, last = node.body[0].lineno, node.end_lineno or node.lineno
            if named and at_leaf and node.lineno <= line < max(first, node.lineno + 1):
                # ``with a, b:`` takes them in turn; the one it waits for is taken for the last.
                wants = named[-1]
                holds += named[:-1]
            elif first <= line <= last:
                holds += named
        for call in _own_calls(node):
            held = _name(call.func.value, frame) if isinstance(call.func, ast.Attribute) else None
            if held is None or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr == "acquire":
                if at_leaf and call.lineno <= line <= (call.end_lineno or call.lineno):
                    # Of several on one line the last is taken for the one it waits for.
                    if wants is not None and wants.key != held.key:
                        acquired[wants.key] = wants
                    wants = held
                elif call.lineno < line:
                    acquired[held.key] = held
            elif call.func.attr == "release" and call.lineno < line:
                acquired.pop(held.key, None)
    return [*holds, *acquired.values()], wants


def _innermost_function(tree: ast.Module, line: int) -> ast.AST:
    best: ast.AST = tree
    for node in ast.walk(tree):
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        ) and node.lineno <= line <= (node.end_lineno or line):
            best = node
    return best


def _statements(scope: ast.AST) -> Iterable[ast.AST]:
    """Every statement inside a function in the order of the source, without functions inside it."""
    for name in ("body", "handlers", "orelse", "finalbody"):
        inner = getattr(scope, name, None)
        for node in inner if isinstance(inner, list) else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            yield node
            yield from _statements(node)


def _own_calls(node: ast.AST) -> Iterable[ast.Call]:
    """The calls of a statement itself, not of the blocks inside it."""
    if isinstance(
        node, ast.If | ast.While | ast.For | ast.With | ast.AsyncWith | ast.AsyncFor | ast.Try
    ):
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            yield inner


def _name(expression: ast.expr, frame: Mapping[str, Any]) -> Held | None:
    """A lock is a name or an attribute path; ``open(…)`` and the like are none."""
    path: list[str] = []
    node = expression
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    address = (frame.get("addresses") or {}).get(node.id)
    root: Hashable = address if address is not None else (frame.get("file"), node.id)
    return Held((root, tuple(reversed(path))), ast.unparse(expression), expression.lineno)


def cycles(holdings: Sequence[Holding]) -> list[list[Holding]]:
    """Closed chains: each thread wants a lock that the next one holds (one alone: itself)."""
    owners: dict[Hashable, Holding] = {}
    for one in holdings:
        for held in one.holds:
            owners[held.key] = one
    found: list[list[Holding]] = []
    done: set[int] = set()
    for start in holdings:
        chain: list[Holding] = []
        current: Holding | None = start
        while current is not None and current.tid not in done and current not in chain:
            chain.append(current)
            current = owners.get(current.wants.key) if current.wants else None
        if current is not None and current in chain:
            found.append(chain[chain.index(current) :])
        done.update(one.tid for one in chain)
    return found


def owner_of(wanted: Held, holdings: Iterable[Holding]) -> Holding | None:
    """Who holds a lock."""
    return next(
        (one for one in holdings if any(held.key == wanted.key for held in one.holds)), None
    )
