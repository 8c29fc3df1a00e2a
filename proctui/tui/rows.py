"""Which processes the tree shows, in which order: a view in, lines out.

Knows nothing of the screen.  A line is built for every process that is
shown, but only from what its place needs (pid, guides, fold); its figures
are looked up when it is painted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from proctui.awareness.view import Tomb, View
from proctui.model import Identity, Proc, Role

if TYPE_CHECKING:
    from proctui.tui.query import Query

__all__ = ["SORTS", "Key", "Line", "Options", "Outline", "own_path", "sort_value"]

Key = tuple[str, int, str, int | None]

TOMB_SECONDS = 30.0
"""How long a process of the job that failed stays in the tree after its death."""
BRIEF_SECONDS = 8.0
"""The same for one that ended well."""
TOMBS_UNDER = 3
"""How many dead stay under one parent: a shell loop would fill the screen with them."""


class Line(NamedTuple):
    """One line: ``guide`` are the tree's branches before the name.

    ``fold`` is ``"open"`` or ``"shut"`` where there is something below,
    else empty; ``context`` marks a line that is only there to hold others.
    ``path`` is not empty on the one line that stands for all of proctui's own
    processes between the shell and the job, the topmost first.
    """

    pid: int
    key: Key
    guide: str = ""
    fold: str = ""
    context: bool = False
    tomb: Tomb | None = None
    path: tuple[int, ...] = ()


class Options(NamedTuple):
    """How the tree is to be shown; a change of it builds the lines anew."""

    tree: bool = True
    machine: bool = False
    sort: str = "start"
    inverted: bool = False
    query: Query | None = None
    folded: frozenset[Key] = frozenset()
    focus: Key | None = None
    whole_path: bool = False
    """A line for each of proctui's own processes above the job, instead of one for all."""


def _cpu(_view: View, proc: Proc) -> float:
    return proc.cpu or 0.0


def _used(_view: View, proc: Proc) -> float:
    return (proc.user_time or 0.0) + (proc.system_time or 0.0)


def _rss(_view: View, proc: Proc) -> float:
    return proc.rss or 0


def _threads(_view: View, proc: Proc) -> float:
    return proc.threads or 0


SORTS: dict[str, tuple[str, Callable[[View, Proc], float | str], bool]] = {
    "start": ("start", lambda _view, proc: proc.started or 0.0, False),
    "pid": ("PID", lambda _view, proc: proc.pid, False),
    "name": ("name", lambda _view, proc: proc.name.lower(), False),
    "cpu": ("CPU", _cpu, True),
    "memory": ("memory", _rss, True),
    "time": ("CPU time", _used, True),
    "threads": ("threads", _threads, True),
    "state": ("state", lambda _view, proc: proc.state, False),
}
"""Column id → (title, value, largest first).  ``start`` is the tree's own order."""

SUMMED = frozenset({"cpu", "memory", "time", "threads"})


def sort_value(sort: str, view: View, proc: Proc) -> float | str:
    return SORTS[sort][1](view, proc)


def _worth_showing(view: View) -> tuple[Tomb, ...]:
    """The job's recent dead: who failed longer than who just finished, few under each parent."""
    now = view.snapshot.wall
    shown: list[Tomb] = []
    under: dict[int | None, int] = {}
    for tomb in reversed(view.tombs):
        keep = TOMB_SECONDS if tomb.exit else BRIEF_SECONDS
        if tomb.role is not Role.SPAWNED or now - tomb.died >= keep:
            continue
        if under.get(tomb.parent, 0) < TOMBS_UNDER:
            under[tomb.parent] = under.get(tomb.parent, 0) + 1
            shown.append(tomb)
    return tuple(reversed(shown))


class Outline:
    """The lines of one tree, kept from tick to tick and rebuilt only where needed."""

    def __init__(self) -> None:
        self.options = Options()
        self.lines: list[Line] = []
        self.index: dict[Key, int] = {}
        self._view: View | None = None
        self._built: Options | None = None
        self._tombs: tuple[Tomb, ...] = ()
        self._before: dict[int, tuple[Identity, Line]] = {}
        self.builds = 0

    def update(self, view: View) -> bool:
        """Take a new view; whether the lines are other ones than before."""
        before = self._view
        self._view = view
        tombs = _worth_showing(view)
        if before is not None and not self._stale(before, view, tombs):
            return False
        self._tombs = tombs
        return self._build(view)

    def change(self, **changes: Any) -> bool:
        """Change options; whether the lines changed."""
        self.options = self.options._replace(**changes)
        return self._build(self._view) if self._view is not None else False

    def _stale(self, before: View, view: View, tombs: tuple[Tomb, ...]) -> bool:
        options = self.options
        if options is not self._built or tombs != self._tombs:
            return True
        if options.sort in SUMMED or options.sort == "state":
            return True
        if options.query is not None and options.query.dynamic:
            return True
        if options.machine and (view.snapshot.born or view.snapshot.died):
            return True
        return (
            view.job is not before.job and view.job != before.job
        ) or view.children is not before.children

    def _build(self, view: View | None) -> bool:
        if view is None:
            return False
        self._built = self.options
        self.builds += 1
        lines = self._tree(view) if self.options.tree else self._flat(view)
        if lines == self.lines:
            return False
        self.lines = lines
        self.index = {line.key: at for at, line in enumerate(lines)}
        procs = view.snapshot.procs
        self._before = {
            line.pid: (procs[line.pid].identity, line) for line in lines if line.tomb is None
        }
        return True

    def line(self, pid: int, identity: Identity, guide: str, fold: str, context: bool) -> Line:
        """The line of before where it is the same one: most of a crowd's stay from build to build."""
        known = self._before.get(pid)
        if known is None or known[0] is not identity:
            return Line(pid, identity.key, guide, fold, context)
        line = known[1]
        if line.guide == guide and line.fold == fold and line.context == context:
            return line
        return Line(pid, line.key, guide, fold, context)

    def shown(self, view: View) -> set[int]:
        """The pids in scope, before the filter: the job with its chain, or the machine."""
        procs = view.snapshot.procs
        if self.options.machine or view.session is None:
            pids = set(procs)
        else:
            pids = set(view.job) | set(_chain(view))
        focus = self.options.focus
        if focus is not None and focus[1] in procs and procs[focus[1]].identity.key == focus:
            pids &= {focus[1], *view.descendants(focus[1])}
        return pids

    def _matching(self, view: View, pids: set[int]) -> set[int]:
        query = self.options.query
        if query is None:
            return pids
        procs = view.snapshot.procs
        return {pid for pid in pids if pid in procs and query.matches(view, procs[pid])}

    def _flat(self, view: View) -> list[Line]:
        procs = view.snapshot.procs
        pids = self._matching(view, self.shown(view))
        ordered = self._ordered(view, [procs[pid] for pid in pids if pid in procs], {})
        lines = [Line(proc.pid, proc.identity.key) for proc in ordered]
        return lines + [Line(t.identity.pid, t.identity.key, tomb=t) for t in self._tombs]

    def _ordered(self, view: View, procs: list[Proc], sums: dict[int, float]) -> list[Proc]:
        sort = self.options.sort
        _title, value, largest = SORTS[sort]
        reverse = largest != self.options.inverted
        if sums:
            return sorted(procs, key=lambda p: (sums.get(p.pid, 0.0), -p.pid), reverse=reverse)
        sign = -1 if reverse else 1
        return sorted(procs, key=lambda p: (value(view, p), sign * p.pid), reverse=reverse)

    def _tree(self, view: View) -> list[Line]:
        pids = self.shown(view)
        matching = self._matching(view, pids)
        context: set[int] = set()
        if len(matching) != len(pids):
            for pid in matching:
                for above in view.ancestors(pid):
                    if above in matching or above in context or above not in pids:
                        break
                    context.add(above)
        path: tuple[int, ...] = ()
        if not (self.options.whole_path or self.options.machine or self.options.query):
            path = own_path(view)
        if len(path) < 2 or not pids.issuperset(path):
            path = ()
        return _Walk(self, view, matching, context, self._tombs, path).lines()


def _chain(view: View) -> list[int]:
    """What the job hangs on: from its leader up to proctui and its shell, or the next ancestor."""
    session = view.session
    leader = session.leader if session is not None else None
    if leader is None or leader.pid not in view.snapshot.procs:
        return []
    above = [pid for pid in view.ancestors(leader.pid) if pid != 1]
    roles = [view.role(pid) for pid in above]
    if Role.SELF in roles:
        return above[: roles.index(Role.SELF) + 2]
    if Role.ANCESTOR in roles:
        return above[: roles.index(Role.ANCESTOR) + 1]
    return above[:2]


def own_path(view: View) -> tuple[int, ...]:
    """proctui's own processes right above the job, the topmost first: itself, keeper, runner."""
    session = view.session
    if session is None:
        return ()
    keys = {one.key for one in (session.keeper, session.runner) if one is not None}
    found: list[int] = []
    for pid in _chain(view):
        if view.role(pid) is not Role.SELF and view.snapshot.procs[pid].identity.key not in keys:
            break
        found.append(pid)
    return tuple(reversed(found))


class _Walk:
    """One walk over the tree; every process once, cycles and lost parents included."""

    def __init__(
        self,
        outline: Outline,
        view: View,
        matching: set[int],
        context: set[int],
        tombs: Iterable[Tomb],
        path: tuple[int, ...],
    ) -> None:
        self.outline = outline
        self.path = path
        self.view = view
        self.procs = view.snapshot.procs
        self.context = context
        self.members = ((matching | context) & set(self.procs)).difference(path[1:])
        self.dead: dict[int | None, list[Tomb]] = {}
        for tomb in tombs:
            under = path[0] if tomb.parent in path else tomb.parent
            self.dead.setdefault(under if under in self.members else None, []).append(tomb)
        self.out: list[Line] = []
        self.seen: set[int] = set()
        self.sums = self._sums() if outline.options.sort in SUMMED else {}

    def lines(self) -> list[Line]:
        members = self.members
        roots = [pid for pid in members if self._parent(pid) not in members]
        self._descend(self._sorted(roots), self.dead.get(None, []), "", top=True)
        lost = members - self.seen - self._hidden()
        if lost:
            self._descend(self._sorted(list(lost)), [], "", top=True)
        return self.out

    def _children(self, pid: int) -> list[int]:
        """Who stands below a line: the one of the path has what hangs on any part of it."""
        kids: Iterable[int] = self.view.children.get(pid, ())
        if self.path and pid == self.path[0]:
            kids = chain.from_iterable(self.view.children.get(part, ()) for part in self.path)
        return [kid for kid in kids if kid in self.members and kid not in self.seen]

    def _parent(self, pid: int) -> int | None:
        above = self.view.parent(pid)
        return self.path[0] if above in self.path else above

    def _hidden(self) -> set[int]:
        """What stands below a shut fold."""
        hidden: set[int] = set()
        for line in self.out:
            if line.fold == "shut":
                hidden.update(self.view.descendants(line.pid))
        return hidden

    def _sums(self) -> dict[int, float]:
        """Own figure and all below it; children are added before their parents."""
        value = SORTS[self.outline.options.sort][1]
        sums = {pid: float(value(self.view, self.procs[pid])) for pid in self.members}
        order: list[int] = []
        seen: set[int] = set()
        queue = [pid for pid in self.members if self._parent(pid) not in self.members]
        for pid in queue:
            if pid in seen:
                continue
            seen.add(pid)
            order.append(pid)
            queue.extend(self._children(pid))
        for pid in reversed(order):
            parent = self._parent(pid)
            if parent is not None and parent in seen:
                sums[parent] += sums[pid]
        return sums

    def _sorted(self, pids: list[int]) -> list[int]:
        options = self.outline.options
        if options.sort == "start":
            pids.sort(reverse=options.inverted, key=self._start)
            return pids
        ordered = self.outline._ordered(self.view, [self.procs[pid] for pid in pids], self.sums)
        return [proc.pid for proc in ordered]

    def _start(self, pid: int) -> tuple[int, int]:
        ticks = self.procs[pid].identity.start_ticks
        return (ticks or 0, pid)

    def _descend(self, pids: list[int], tombs: list[Tomb], prefix: str, *, top: bool) -> None:
        folded = self.outline.options.folded
        stack: list[tuple[int | Tomb, str, str]] = []

        def push(level: list[int], dead: list[Tomb], before: str, at_top: bool) -> None:
            entries: list[int | Tomb] = [*level, *dead]
            for at in range(len(entries) - 1, -1, -1):
                if at_top:
                    stack.append((entries[at], "", ""))
                elif at == len(entries) - 1:
                    stack.append((entries[at], before + "└ ", before + "  "))
                else:
                    stack.append((entries[at], before + "├ ", before + "│ "))

        push(pids, tombs, prefix, top)
        while stack:
            entry, guide, below = stack.pop()
            if isinstance(entry, Tomb):
                key = entry.identity.key
                self.out.append(Line(entry.identity.pid, key, guide, tomb=entry))
                continue
            if entry in self.seen:
                continue
            self.seen.add(entry)
            identity = self.procs[entry].identity
            kids = self._children(entry)
            dead = self.dead.get(entry, [])
            fold = "open" if kids or dead else ""
            if fold and folded and identity.key in folded:
                fold = "shut"
            if self.path and entry == self.path[0]:
                self.out.append(Line(entry, identity.key, guide, fold, path=self.path))
            else:
                context = entry in self.context
                self.out.append(self.outline.line(entry, identity, guide, fold, context))
            if fold == "open":
                push(self._sorted(kids) if len(kids) > 1 else kids, dead, below, False)
