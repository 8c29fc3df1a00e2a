"""Every key of the dashboard, declared once: the screen, the footer and the help read it here.

The id is what ``[keys]`` of the configuration maps to other keys.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding, BindingType

__all__ = ["GROUPS", "KEYS", "Context", "Key", "applies", "footer_keys", "to_bindings"]

GROUPS = {
    "move": "Moving",
    "find": "Finding",
    "tree": "Tree",
    "sort": "Sorting",
    "tag": "Tagging",
    "act": "Acting",
    "debug": "Debugging",
    "time": "Time",
    "app": "proctui",
}


class Key(NamedTuple):
    """``keys`` as Textual names them; ``weight`` orders the footer, 0 keeps it out of it."""

    id: str
    keys: str
    action: str
    label: str
    tooltip: str
    weight: int = 0
    panes: str = ""

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]


KEYS = (
    Key("move.up", "up,k", "move(-1)", "Up", "One line up (k never kills)"),
    Key("move.down", "down,j", "move(1)", "Down", "One line down"),
    Key("move.page_up", "pageup", "page(-1)", "Page up", "One page up"),
    Key("move.page_down", "pagedown", "page(1)", "Page down", "One page down"),
    Key("move.home", "home", "home", "Top", "To the first line"),
    Key("move.end", "end", "end", "Bottom", "To the last line"),
    Key("move.left", "left", "sideways(-1)", "Left", "Fold, previous tab, or scroll left"),
    Key("move.right", "right", "sideways(1)", "Right", "Unfold, next tab, or scroll right"),
    Key("move.next_pane", "tab", "next_pane(1)", "Pane", "Go to the next pane", 82),
    Key("move.previous_pane", "shift+tab", "next_pane(-1)", "Back a pane", "Go to the pane before"),
    Key("move.zoom", "z", "zoom", "Zoom", "Give the pane the whole screen, or take it back", 40),
    Key("find.search", "slash,f3", "search", "Search", "Find a line in this pane", 70, "lines"),
    Key("find.filter", "backslash,f4", "filter", "Filter", "Show only what matches", 72, "lines"),
    Key("find.next", "n", "find(1)", "Next", "Next line that matches", 0, "lines"),
    Key("find.previous", "N", "find(-1)", "Previous", "The line before that matches", 0, "lines"),
    Key("find.error", "E", "error(1)", "Next error", "The next error in the log", 66, "log"),
    Key(
        "tree.flat",
        "t,f5",
        "toggle_tree",
        "Tree/flat",
        "As a tree, or as a flat list",
        44,
        "processes",
    ),
    Key(
        "tree.unfold",
        "plus",
        "unfold",
        "Unfold",
        "Show what is below; in a graph: less time",
        0,
        "foldable",
    ),
    Key(
        "tree.fold",
        "minus",
        "fold",
        "Fold",
        "Hide what is below, show its sum; in a graph: more time",
        0,
        "foldable",
    ),
    Key(
        "tree.fold_all",
        "asterisk",
        "fold_all",
        "Fold all",
        "Fold or unfold everything",
        0,
        "foldable",
    ),
    Key(
        "tree.machine",
        "m",
        "toggle_machine",
        "Job/machine",
        "The job alone, or every process",
        60,
        "processes",
    ),
    Key(
        "tree.follow",
        "F",
        "follow",
        "Follow",
        "Keep the selected process in sight",
        0,
        "processes log",
    ),
    Key(
        "sort.choose",
        "f6",
        "choose_sort",
        "Sort",
        "Choose what the tree is sorted by",
        50,
        "processes",
    ),
    Key(
        "sort.previous",
        "less_than_sign",
        "sort_step(-1)",
        "Sort left",
        "Sort by the column before",
        0,
        "processes",
    ),
    Key(
        "sort.next",
        "greater_than_sign",
        "sort_step(1)",
        "Sort right",
        "Sort by the next column",
        0,
        "processes",
    ),
    Key("sort.cpu", "P", "sort('cpu')", "By CPU", "Sort by CPU", 0, "processes"),
    Key(
        "sort.memory", "M", "sort('memory')", "By memory", "Sort by resident memory", 0, "processes"
    ),
    Key("sort.time", "T", "sort('time')", "By time", "Sort by CPU time used", 0, "processes"),
    Key("sort.invert", "I", "sort_invert", "Invert", "Turn the order around", 0, "processes"),
    Key("tag.toggle", "space", "tag", "Tag", "Tag the process for a kill", 46, "processes"),
    Key(
        "tag.subtree",
        "c",
        "tag_subtree",
        "Tag subtree",
        "Tag it and everything below",
        0,
        "processes",
    ),
    Key("tag.clear", "U", "untag", "Untag all", "Remove every tag", 0, "processes"),
    Key(
        "act.inspect",
        "enter",
        "inspect",
        "Inspect",
        "Everything about the process; elsewhere: open what is folded",
        90,
        "processes log stack",
    ),
    Key(
        "act.kill",
        "f9,K",
        "kill",
        "Kill…",
        "Plan a kill; nothing is sent before you confirm",
        88,
        "process",
    ),
    Key(
        "act.strays",
        "e",
        "end_strays",
        "End strays…",
        "Plan to end every certain stray",
        30,
        "process",
    ),
    Key("act.copy", "y", "copy", "Copy", "Copy the line to the clipboard (OSC 52)", 20, "lines"),
    Key("act.edit", "o", "edit", "Editor", "Open the log or this text in $EDITOR", 18, "text"),
    Key("debug.stack", "s", "stack", "Stack", "Stack of the selected process", 80, "process"),
    Key(
        "debug.stacks",
        "S",
        "stacks",
        "All stacks",
        "Stacks of the subtree, identical ones merged",
        62,
        "process",
    ),
    Key(
        "debug.hangs",
        "h",
        "hangs",
        "Hangs",
        "Who waits for whom, and is it a deadlock",
        76,
        "process",
    ),
    Key(
        "debug.logs",
        "l",
        "logs",
        "Logs",
        "Which logs it writes, and what stands there",
        74,
        "process",
    ),
    Key(
        "debug.hot",
        "p",
        "hot",
        "Hot functions",
        "What its Python functions, and those below it, spend their time in",
        0,
        "process",
    ),
    Key(
        "debug.save_profile",
        "w",
        "save_profile",
        "Save profile",
        "Write the last hot functions as a speedscope file",
        0,
        "process",
    ),
    Key("debug.threads", "H", "threads", "Threads", "Its threads in the inspector", 42, "process"),
    Key(
        "time.back",
        "left_square_bracket",
        "time(-1)",
        "Earlier",
        "Step back in time: every pane shows that moment",
        36,
    ),
    Key("time.forward", "right_square_bracket", "time(1)", "Later", "Step forward in time", 0),
    Key(
        "time.trouble_back",
        "left_curly_bracket",
        "trouble(-1)",
        "Trouble before",
        "Back to the last moment of trouble: a hang, a kill, a failure, a stray, an alert",
        24,
    ),
    Key(
        "time.trouble_forward",
        "right_curly_bracket",
        "trouble(1)",
        "Trouble after",
        "On to the next moment of trouble",
    ),
    Key(
        "time.graph",
        "g",
        "graph",
        "Graph",
        "Graphs of the selected process and all below it, or of job and machine again",
        64,
        "process",
    ),
    Key("time.pause", "Z", "pause", "Pause", "Hold the screen; the job goes on", 34),
    Key("app.redraw", "ctrl+l", "redraw", "Redraw", "Draw the whole screen again"),
    Key("app.palette", "colon,ctrl+p", "palette", "Commands", "Find any command by its name", 38),
    Key(
        "app.help", "question_mark,f1", "help", "Help", "What the keys, colours and marks mean", 92
    ),
    Key("app.suspend", "ctrl+z", "app.suspend_process", "Suspend", "Back to the shell; fg returns"),
    Key(
        "app.quit",
        "q,f10",
        "quit",
        "Quit",
        "Leave; asks what becomes of a job that proctui started",
        94,
    ),
    Key("app.back", "escape", "back", "Back", "Undo the last step: filter, zoom, time, pane", 0),
)


class Context(NamedTuple):
    """Where the keyboard is; decides which keys apply."""

    pane: str = "processes"
    selected: bool = True
    session: bool = True
    strays: int = 0
    read_only: bool = False
    past: bool = False
    prompt: bool = False


_LINES = {"processes", "inspector", "stack", "log"}


def applies(key: Key, context: Context) -> bool:
    """Whether a key does anything here."""
    if context.read_only and key.id in ("act.kill", "act.strays"):
        return False
    if key.id == "act.strays":
        return context.strays > 0
    if key.id in ("time.forward", "time.trouble_forward"):
        return context.past
    needs = key.panes.split()
    if not needs:
        return True
    if "lines" in needs:
        return context.pane in _LINES
    if "text" in needs:
        return context.pane in ("inspector", "stack", "log")
    if "foldable" in needs:
        return context.pane in ("processes", "stack", "cpu", "memory")
    if "process" in needs:
        return context.selected
    if key.id == "act.inspect":
        return context.pane != "processes" or context.selected
    if key.group in ("tree", "sort", "tag"):
        return True
    return context.pane in needs


def footer_keys(context: Context) -> list[Key]:
    """The keys the footer shows, most useful first; those of other panes are left out."""
    shown = []
    for key in KEYS:
        if not key.weight or not applies(key, context):
            continue
        panes = key.panes.split()
        if "processes" in panes and context.pane not in panes:
            continue
        shown.append(key)
    if context.past:
        shown.append(next(key for key in KEYS if key.id == "time.forward"))
        shown.append(next(key for key in KEYS if key.id == "app.back"))
        return sorted(shown, key=lambda key: -(key.weight or 99))
    return sorted(shown, key=lambda key: -key.weight)


def to_bindings() -> list[BindingType]:
    """What Textual needs: ids, tooltips and groups included."""
    groups = {name: Binding.Group(title) for name, title in GROUPS.items()}
    return [
        Binding(
            key.keys,
            key.action,
            key.label,
            show=bool(key.weight),
            tooltip=key.tooltip,
            id=key.id,
            group=groups[key.group],
            priority=key.id in ("move.next_pane", "move.previous_pane"),
        )
        for key in KEYS
    ]
