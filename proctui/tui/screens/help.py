"""The help: what glyphs and colours mean, every key with what it does, made from the bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label

from proctui.tui.bindings import GROUPS, KEYS
from proctui.tui.cells import GLYPHS, STYLES, Run, fit
from proctui.tui.key_labels import key_label, keys_of
from proctui.tui.marks import MARKS
from proctui.tui.query import FIELDS
from proctui.tui.screens.dialogue import Dialogue
from proctui.tui.widgets.text_pane import TextPane

__all__ = ["HelpScreen", "help_lines"]

Runs = tuple[Run, ...]

_INTRO = (
    "proctui shows one job and what belongs to it. Only what is proven to be the job's",
    "can be signalled, and only from the dialogue that F9 opens. Looking never pauses it.",
)

_HOW = (
    ("CPU %", "100 % is one core; Σ is the sum of a folded subtree"),
    ("MEM", "resident memory; shared pages count in each process"),
    ("HISTORY", "CPU of the last 20 looks, full height is one core"),
    ("S", "R runs, S sleeps, D waits for a device, T stopped, Z ended but not reaped"),
    ("filter", f"{FIELDS}"),
    ("", "words match name and command, a - in front turns one around"),
)


def help_lines(remapped: Mapping[str, str], width: int) -> list[Runs]:
    """All of it; two columns of keys where there is room."""
    out: list[Runs] = [((text, "quiet"),) for text in _INTRO]
    out += [(), (("What the marks mean", "accent"),)]
    marks = list(GLYPHS.items())
    for at in range(0, len(marks), 2):
        runs: list[Run] = []
        for look, (glyph, meaning) in marks[at : at + 2]:
            text = f"{look}: {meaning}" if meaning != look else look
            runs += [(f"  {glyph} ", STYLES[look]), (fit(text, max(20, width // 2 - 6)), "quiet")]
        out.append(tuple(runs))
    out += [(), (("Below the graphs", "accent"),)]
    for at in range(0, len(MARKS), 2):
        runs = []
        for glyph, style, meaning in list(MARKS.values())[at : at + 2]:
            runs += [(f"  {glyph} ", style), (fit(meaning, max(20, width // 2 - 6)), "quiet")]
        out.append(tuple(runs))
    columns = 2 if width >= 90 else 1
    each = width // columns
    for group, title in GROUPS.items():
        keys = [key for key in KEYS if key.group == group]
        out += [(), ((title, "accent"),)]
        for at in range(0, len(keys), columns):
            runs = []
            for key in keys[at : at + columns]:
                label = fit("  " + key_label(keys_of(key, remapped)), 15)
                runs += [(label, "key"), (fit(key.tooltip, each - 15), "quiet")]
            out.append(tuple(runs))
    out += [(), (("What the figures mean", "accent"),)]
    out += [((fit("  " + name, 15), "strong"), (text, "quiet")) for name, text in _HOW]
    out += [
        (),
        (
            ("Keys can be changed: [keys] in the configuration, by the ids of ", "dim"),
            ("proctui help keys", "strong"),
        ),
    ]
    return out


class HelpPane(TextPane):
    """Scrolls; needs no cursor."""

    def on_mount(self) -> None:
        self.show_cursor = False


class HelpScreen(Dialogue[None]):
    """Scrolls with the same keys as every pane; any of Esc, q, ? closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,question_mark,f1", "dismiss(None)", "Back"),
        ("down,j", "scroll(1)", ""),
        ("up,k", "scroll(-1)", ""),
        ("pagedown,space", "scroll(20)", ""),
        ("pageup", "scroll(-20)", ""),
        ("home", "scroll(-1000)", ""),
        ("end", "scroll(1000)", ""),
    ]

    def __init__(self, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self.remapped = remapped

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help-dialog"):
            yield Label(Content("proctui"), classes="dialog-title")
            yield HelpPane(id="help")
            yield Label(Content("↑ ↓ PgUp PgDn scroll · Esc goes back"), classes="dialog-hint")

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        pane = self.query_one(HelpPane)
        pane.set_lines(help_lines(self.remapped, max(30, pane.size.width - 2)))

    def action_scroll(self, lines: int) -> None:
        self.query_one(HelpPane).scroll_lines(lines)
