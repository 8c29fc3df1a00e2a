"""What the command palette finds: actions, panes and processes."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from proctui.tui.bindings import KEYS, applies
from proctui.tui.key_labels import key_label, keys_of
from proctui.tui.layout import PANES
from proctui.tui.screens.main import MainScreen

__all__ = ["ActionProvider", "PaneProvider", "ProcessProvider"]

_SHOWN = 40


class _MainProvider(Provider):
    """Only over the main screen."""

    @property
    def main(self) -> MainScreen | None:
        return self.screen if isinstance(self.screen, MainScreen) else None


class ActionProvider(_MainProvider):
    """Every action that applies here, with its key."""

    def _entries(self) -> list[tuple[str, str, str]]:
        main = self.main
        if main is None:
            return []
        context = main.context()
        return [
            (key.label, f"{key.tooltip}  ({key_label(keys_of(key, main.remapped))})", key.action)
            for key in KEYS
            if key.group != "move" and applies(key, context)
        ]

    async def discover(self) -> Hits:
        for label, help_text, action in self._entries():
            yield DiscoveryHit(
                Content(label), partial(self.screen.run_action, action), help=help_text
            )

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for label, help_text, action in self._entries():
            score = max(matcher.match(label), matcher.match(help_text) * 0.7)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(label),
                    partial(self.screen.run_action, action),
                    help=help_text,
                    text=label,
                )


class PaneProvider(_MainProvider):
    """Going to a pane by its name."""

    async def discover(self) -> Hits:
        main = self.main
        for name in PANES if main is not None else ():
            assert main is not None
            yield DiscoveryHit(Content(f"Go to {name}"), partial(main.activate, name))

    async def search(self, query: str) -> Hits:
        main, matcher = self.main, self.matcher(query)
        for name in PANES if main is not None else ():
            assert main is not None
            text = f"Go to {name}"
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), partial(main.activate, name), text=text)


class ProcessProvider(_MainProvider):
    """Selecting a process by name, command or pid."""

    async def search(self, query: str) -> Hits:
        main = self.main
        if main is None or main.view is None or len(query) < 2:
            return
        view, needle, shown = main.view, query.lower(), 0
        for line in list(main.processes.outline.lines):
            proc = view.proc(line.pid)
            if proc is None or shown >= _SHOWN:
                continue
            command = view.command(proc.pid)
            if needle not in f"{proc.pid} {proc.name} {command}".lower():
                continue
            shown += 1
            yield Hit(
                0.9 if needle in proc.name.lower() else 0.6,
                Content(f"{proc.name} {proc.pid}") + Content(f"  {command[:120]}").stylize("dim"),
                partial(main.processes.select_identity, line.key),
                text=f"{proc.name} {proc.pid}",
            )
