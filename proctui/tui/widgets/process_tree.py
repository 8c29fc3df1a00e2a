"""The process tree: one line a process, the selection an identity, only changed lines painted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual import events
from textual.message import Message

from proctui.awareness.view import View
from proctui.model import Identity
from proctui.stacks.names import label
from proctui.tui.cells import Marks, row
from proctui.tui.columns import Column, columns_for
from proctui.tui.rows import SORTS, Key, Line, Outline, own_path
from proctui.tui.tree_head import head_runs, title_of
from proctui.tui.trends import Trends
from proctui.tui.widgets.line_view import LineView, Runs

if TYPE_CHECKING:
    from proctui.tui.query import Query

__all__ = ["ProcessTree"]

FRESH_SECONDS = 2.5
MANY = 200
"""Names of the dead that may be kept beside twice as many as there are lines."""


class ProcessTree(LineView):
    """Shows one :class:`View` at a time; keeps order, folds, tags and the selection."""

    BORDER_TITLE = "Processes"

    class Selected(Message):
        """Another process is selected; ``None`` where the selected one is gone."""

        def __init__(self, tree: ProcessTree, identity: Identity | None) -> None:
            super().__init__()
            self.tree = tree
            self.identity = identity

    class Chosen(Message):
        """A process was double-clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.outline = Outline()
        self.view: View | None = None
        self.trends: Trends | None = None
        self.selected: Key | None = None
        self.follow = False
        self.tags: set[Key] = set()
        self.hung: Mapping[object, str] = {}
        self.names: Mapping[object, str] = {}
        self._identities: dict[Key, Identity] = {}
        self._columns: list[Column] = []
        self._head: tuple[Runs, ...] = ((),)
        self._born: dict[Key, float] = {}
        self._marks = Marks()
        self._home: str | None = None
        self._sparks = False
        self._labels: dict[Key, tuple[object, str | None]] = {}

    # Data

    def update_view(self, view: View, trends: Trends) -> None:
        """Take a tick."""
        first = self.view is None
        self.view, self.trends = view, trends
        self._note_births(view, first)
        changed = self.outline.update(view)
        if first:
            own = view.info(os.getpid())
            self._home = None if own is None else own.container
            self._renew_marks()
        if changed or first:
            self._lines_changed()
            self._forget_the_dead(view)
        self.paint()

    def _forget_the_dead(self, view: View) -> None:
        """Let go of what is known of those who ended, once they are many."""
        if len(self._labels) <= 2 * len(self.outline.lines) + MANY:
            return
        procs = view.snapshot.procs
        living = {procs[key[1]].identity.key for key in self._labels if key[1] in procs}
        self._labels = {key: known for key, known in self._labels.items() if key in living}
        self.set_marks(
            hung={key: verdict for key, verdict in self.hung.items() if key in living},
            names={key: name for key, name in self.names.items() if key in living},
        )

    def _note_births(self, view: View, first: bool) -> None:
        now = view.snapshot.boottime
        if not first:
            for pid in view.snapshot.born:
                proc = view.snapshot.procs.get(pid)
                if proc is not None and (pid in view.job or self.outline.options.machine):
                    self._born[proc.identity.key] = now
        if self._born:
            self._born = {k: t for k, t in self._born.items() if 0 <= now - t < FRESH_SECONDS}

    def set_marks(
        self,
        *,
        hung: Mapping[object, str] | None = None,
        names: Mapping[object, str] | None = None,
    ) -> None:
        """What else is known: hang verdicts and better names, by identity key."""
        if hung is not None:
            self.hung = hung
        if names is not None:
            self.names = names
        self._renew_marks()
        self.paint()

    def _renew_marks(self) -> None:
        self._marks = Marks(frozenset(self.tags), self.hung, self.names, self._home)

    def change(self, **options: object) -> None:
        """Change how the tree is shown: sort, query, folds, scope."""
        self.outline.change(**options)
        self._lines_changed()
        self._make_head()
        self._title()
        self.paint()

    def _lines_changed(self) -> None:
        index = self.outline.index
        if self.selected is None:
            if self.outline.lines and not self._identities:
                session = self.view.session if self.view is not None else None
                leader = session.leader if session is not None else None
                self._select(index.get(leader.key, 0) if leader is not None else 0)
            return
        at = index.get(self.selected)
        if at is None:
            at = self._fallback()
            if at is None:
                self.selected = None
                self.post_message(self.Selected(self, None))
                return
            self._select(at)
        drift = at - self.cursor
        self.cursor = at
        inside = self.top <= at - drift < self.top + self.page
        if self.follow or inside:
            self.top = max(0, min(self.top, at), at - self.page + 1)

    def _fallback(self) -> int | None:
        """Where a selection goes that is alive but hidden: to the fold that hides it."""
        view, selected = self.view, self.selected
        if view is None or selected is None:
            return None
        proc = view.proc(selected[1])
        if proc is None or proc.identity.key != selected:
            return None
        for pid in view.ancestors(proc.pid):
            above = view.proc(pid)
            if above is not None and above.identity.key in self.outline.index:
                return self.outline.index[above.identity.key]
        return 0 if self.outline.lines else None

    def _select(self, at: int) -> None:
        line = self.outline.lines[at]
        self.cursor = at
        if line.key == self.selected:
            return
        self.selected = line.key
        identity = self.identity_of(line)
        if identity is not None:
            self._identities = {line.key: identity}
        self.post_message(self.Selected(self, identity))

    def identity_of(self, line: Line) -> Identity | None:
        if line.tomb is not None:
            return line.tomb.identity
        proc = self.view.proc(line.pid) if self.view is not None else None
        return proc.identity if proc is not None and proc.identity.key == line.key else None

    def selected_identity(self) -> Identity | None:
        """Whom the selection means: an identity, never a row."""
        return self._identities.get(self.selected) if self.selected is not None else None

    def name_of(self, identity: Identity) -> str:
        """What a process is called: by what it does, else by its own name."""
        proc = self.view.proc(identity.pid) if self.view is not None else None
        return self.names.get(identity.key) or ("?" if proc is None else proc.name)

    def select_identity(self, key: Key) -> bool:
        """Select a process if it is on a line."""
        at = self.outline.index.get(key)
        if at is None:
            return False
        self.move_to(at)
        return True

    # Lines

    def length(self) -> int:
        return len(self.outline.lines)

    def cursor_line(self) -> int:
        return -1 if self.selected is None else self.cursor

    def head(self) -> tuple[Runs, ...]:
        return self._head

    def fit(self) -> None:
        self._columns = columns_for(max(20, self.extent.width - 1))
        self._sparks = any(column.id == "history" for column in self._columns)
        self._make_head()
        self._title()
        super().fit()

    def _make_head(self) -> None:
        self._head = (head_runs(self._columns, self.outline.options),)

    def _title(self) -> None:
        self.set_title("Processes  " + title_of(self.outline.options, self.follow))

    def runs(self, index: int) -> Runs:
        view, trends = self.view, self.trends
        if view is None or trends is None:
            return ()
        line = self.outline.lines[index]
        total = self._total(view, line) if line.fold == "shut" else None
        identity = self.identity_of(line)
        history = trends.cpu_of(identity, 20) if identity is not None and self._sparks else ()
        fresh = line.key in self._born
        if line.tomb is None:
            self._label(view, line)
        return row(view, line, self._columns, history, self._marks, total, fresh)

    def _label(self, view: View, line: Line) -> None:
        """Call a process by what it does, where its arguments tell."""
        info = view.info(line.pid)
        cmdline = info.cmdline if info is not None else None
        if self._labels.get(line.key, (None, None))[0] is cmdline:
            return
        found = label(info) if info is not None else None
        self._labels[line.key] = (cmdline, found)
        if (self._marks.names or {}).get(line.key) != found:
            names = dict(self.names)
            if found:
                names[line.key] = found
            else:
                names.pop(line.key, None)
            self.names = names
            self._renew_marks()

    def _total(self, view: View, line: Line) -> tuple[float, int]:
        procs = view.snapshot.procs
        pids = [line.pid, *view.descendants(line.pid)]
        mine = [procs[pid] for pid in pids if pid in procs]
        return sum(p.cpu or 0.0 for p in mine), sum(p.rss or 0 for p in mine)

    def plain(self, index: int) -> str:
        line = self.outline.lines[index]
        if line.tomb is not None:
            return f"{line.pid} {line.tomb.name}"
        proc = self.view.proc(line.pid) if self.view is not None else None
        if proc is None or self.view is None:
            return str(line.pid)
        if line.path:
            above = [one for pid in line.path if (one := self.view.proc(pid)) is not None]
            return " ".join(f"{one.pid} {one.name}" for one in above)
        return (
            f"{line.pid} {proc.name} {self.names.get(line.key, '')} {self.view.command(proc.pid)}"
        )

    # Moving, folding, tagging

    def move_to(self, index: int) -> None:
        if not self.outline.lines:
            return
        index = max(0, min(index, self.length() - 1))
        self._select(index)
        super().move_to(index)

    def set_query(self, query: Query | None) -> None:
        self.change(query=query)

    def current(self) -> Line | None:
        """The selected line."""
        if self.selected is None:
            return None
        at = self.outline.index.get(self.selected)
        return None if at is None else self.outline.lines[at]

    def fold(self) -> None:
        """Fold the selected process; on one that is folded or has nothing, go to its parent."""
        line = self.current()
        if line is None:
            return
        if (
            self.outline.options.whole_path
            and self.view is not None
            and line.pid in own_path(self.view)
        ):
            self.change(whole_path=False)
            return
        if line.fold == "open":
            self.change(folded=self.outline.options.folded | {line.key})
            return
        parent = self.view.parent(line.pid) if self.view is not None else None
        proc = self.view.proc(parent) if self.view is not None and parent is not None else None
        if proc is not None:
            self.select_identity(proc.identity.key)

    def unfold(self) -> None:
        line = self.current()
        if line is not None and line.fold == "shut":
            self.change(folded=self.outline.options.folded - {line.key})
        elif line is not None and line.path:
            self.change(whole_path=True)

    def fold_all(self) -> None:
        """Fold everything below the top, or unfold everything if anything is folded."""
        options = self.outline.options
        if options.folded:
            self.change(folded=frozenset())
            return
        keys = {line.key for line in self.outline.lines if line.fold and line.guide}
        keys = keys or {line.key for line in self.outline.lines if line.fold}
        self.change(folded=frozenset(keys))

    def toggle_tag(self, *, subtree: bool = False) -> None:
        """Tag or untag the selected process, or it and everything below it."""
        line, view = self.current(), self.view
        if line is None or view is None or line.tomb is not None:
            return
        pids = [line.pid, *(view.descendants(line.pid) if subtree else ())]
        keys = {proc.identity.key for pid in pids if (proc := view.proc(pid)) is not None}
        if line.key in self.tags:
            self.tags -= keys
        else:
            self.tags |= keys
        self._renew_marks()
        if not subtree:
            self.move_lines(1)
        self.paint()

    def clear_tags(self) -> None:
        self.tags.clear()
        self._renew_marks()
        self.paint()

    def targets(self) -> list[Identity]:
        """Whom an action is meant for: the tagged ones that live, else the selected one."""
        view = self.view
        if view is not None and self.tags:
            tagged = [
                proc.identity
                for key in self.tags
                if (proc := view.proc(key[1])) is not None and proc.identity.key == key
            ]
            if tagged:
                return sorted(tagged, key=lambda identity: identity.pid)
        identity = self.selected_identity()
        return [] if identity is None else [identity]

    def sort_by(self, sort: str) -> None:
        """Sort by a column; by the same once more turns it around."""
        options = self.outline.options
        self.change(sort=sort, inverted=not options.inverted if options.sort == sort else False)

    def sort_step(self, step: int) -> None:
        sorts = list(SORTS)
        at = sorts.index(self.outline.options.sort)
        self.change(sort=sorts[(at + step) % len(sorts)], inverted=False)

    def on_click(self, event: events.Click) -> None:
        line = self.line_at(event)
        if line == -1:
            self._click_head(event)
            return
        super().on_click(event)
        if event.chain >= 2 and line is not None and line >= 0:
            self.post_message(self.Chosen())

    def _click_head(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        x = 0 if offset is None else offset.x
        at = 0
        for column in self._columns:
            if at <= x <= at + column.width and column.sort is not None:
                self.sort_by(column.sort)
                return
            at += column.width + 1
