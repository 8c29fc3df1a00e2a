"""The main screen: takes a view a tick and gives each pane its part."""

from __future__ import annotations

import os

from textual import events
from textual.screen import Screen

from proctui.awareness.view import View
from proctui.model import Role
from proctui.tui.actions.arranging import ArrangeActions
from proctui.tui.actions.debugging import DebugActions
from proctui.tui.actions.killing import KillActions
from proctui.tui.actions.logs import LogActions
from proctui.tui.actions.moving import MoveActions
from proctui.tui.actions.timing import TimeActions
from proctui.tui.bindings import KEYS, Key, applies, to_bindings
from proctui.tui.feed import Feed, Tick
from proctui.tui.news import Newsroom
from proctui.tui.trends import job_sums
from proctui.tui.widgets.footer import KeyFooter
from proctui.tui.widgets.header import HeaderFacts
from proctui.tui.widgets.process_tree import ProcessTree
from proctui.units import clock_text

__all__ = ["MainScreen"]

_KEYS_OF_ACTION: dict[str, list[Key]] = {}
for _key in KEYS:
    _KEYS_OF_ACTION.setdefault(_key.action.partition("(")[0], []).append(_key)


class MainScreen(
    TimeActions, DebugActions, MoveActions, ArrangeActions, KillActions, LogActions, Screen[None]
):
    """Wires feed, panes and actions; shows, but samples nothing."""

    BINDINGS = to_bindings()
    AUTO_FOCUS = "#processes"

    def on_mount(self) -> None:
        self.app.app_resume_signal.subscribe(self, lambda _app: self.action_redraw())
        if self.dashboard.options.choices:
            self.pick_session()
        else:
            self.begin()

    def pick_session(self) -> None:
        """Several jobs live: which one is meant?"""
        from proctui.tui.screens.choose import ChooseScreen

        options = self.dashboard.options
        entries = [
            (one.id, one.label, f"{one.state} · {one.id[:12]} · {clock_text(one.created.wall)}")
            for one in options.choices
        ]

        def picked(chosen: str | None) -> None:
            if chosen is not None and options.choose is not None:
                self.feed.watch.close()
                self.feed.watch = options.choose(chosen)
            self.begin()

        self.app.push_screen(ChooseScreen("Which job?", entries), picked)
        self.call_after_refresh(self.dashboard.drawn)

    def begin(self) -> None:
        """Start to look: where that is soon done, the first frame has it all."""
        feed = self.dashboard.feed
        view = feed.first()
        if view is not None:
            self._take(view)
        self.run_worker(
            feed.run(self.post_message),
            name="sampling",
            group="sampling",
            description="one look at the processes a tick",
            exclusive=True,
        )

    @property
    def feed(self) -> Feed:
        return self.dashboard.feed

    def on_tick(self, message: Tick) -> None:
        """The one message of a tick."""
        message.stop()
        self._slowed = message.slowed
        self._take(message.view)
        self.look_at_output()

    def _take(self, view: View) -> None:
        first = self.live is None
        self.live = view
        if first:
            options = self.dashboard.options
            machine = view.session is None or options.config.dashboard.show == "machine"
            self.processes.change(machine=machine)
        if not self.paused and not self.in_past:
            self.view = view
            self.show_view(view)
        self.show_header()
        self._tell_news(view)
        self._tell_end(view)
        self.tell_hang()
        if first:
            self.context_changed()
            self.call_after_refresh(self._first_shown)

    def _first_shown(self) -> None:
        """The first full frame stands: now for what it did not need."""
        self.prompt.fill()
        self.run_worker(
            self.follow_output(),
            name="output",
            group="output",
            description="follows the job's output",
            exclusive=True,
        )
        strange = set(self.remapped) - {key.id for key in KEYS}
        if strange:
            text = f"[keys] of the configuration names no key of proctui: {', '.join(strange)}"
            self.say(f"{text}. proctui help keys lists them.", severity="warning")
        self.dashboard.settled()

    def _tell_news(self, view: View) -> None:
        """Alerts as toasts, everything as events in the log."""
        if self._newsroom is None:
            self._newsroom = Newsroom(self.dashboard.options.config.alerts)
        for news in self._newsroom.take(view):
            self.event(news.text, news.kind, news.moment)
            if news.loud:
                self.alert(news.text)

    _newsroom: Newsroom | None = None
    _slowed = 1
    _ended = False

    def _tell_end(self, view: View) -> None:
        """Tell once that the job ended, and how."""
        if self._ended or view.session is None:
            return
        status = self.dashboard.exit_status(view)
        if status is None and (view.leader_alive or self.dashboard.options.job is not None):
            return
        self._ended = True
        job = self.dashboard.options.job
        trouble = job.status().get("error") if job is not None else None
        trouble = trouble.get("message") if isinstance(trouble, dict) else trouble
        text = f"{view.session.label}: {self.dashboard.job_state(view)}"
        if trouble:
            text += f"\n{trouble}"
        leader = view.session.leader
        if leader and any(tomb.oom and tomb.identity.same(leader) for tomb in view.tombs):
            text += "\nKilled by the kernel: there was no memory left for it"
        if view.strays:
            text += f"\n{len(view.strays)} of its processes live on as strays: e ends them"
        self.say(text, title="The job ended", severity="error" if status else "information")

    def show_view(self, view: View) -> None:
        """Give every pane its part of a moment."""
        self.trends = self.trends_at(None)
        self.show_panes(view)

    def show_panes(self, view: View) -> None:
        """The same with the trends as they are."""
        self.processes.update_view(view, self.trends)
        self.cpu.update_view(view, self.trends)
        self.memory.update_view(view, self.trends)
        self.inspector.show(view, self.processes.selected_identity(), self.trends)
        if self.inspector.needs_details and view.snapshot.tick % 3 == 0:
            self.inspector_shown()

    def show_header(self) -> None:
        """Tell in the header about the moment that is shown."""
        if self.live is not None:
            self.header_line.show(self.header_facts(self.live))

    def tell_time(self) -> None:
        self.show_header()

    def header_facts(self, live: View) -> HeaderFacts:
        """What the header tells: figures of the moment shown, and what this look costs."""
        view = self.view if self.in_past and self.view is not None else live
        session, system = view.session, view.snapshot.system
        own = live.snapshot.procs.get(os.getpid()) if live.role(os.getpid()) is Role.SELF else None
        cpu, memory = job_sums(view)
        if session is None:
            usage = system.cpu.usage
            cpu = None if usage is None else usage * system.cores
            memory = system.memory.used
        elapsed = None
        if session is not None:
            elapsed = view.snapshot.boottime - session.created.boottime
        return HeaderFacts(
            job=None if session is None else session.label,
            state="" if self.in_past else self.dashboard.job_state(view),
            processes=len(view.snapshot.procs) if session is None else len(view.job),
            strays=len(view.strays),
            cpu=cpu,
            memory=memory,
            elapsed=elapsed,
            own_cpu=own.cpu if own else None,
            own_memory=own.rss if own else None,
            note=self._note(live),
            mode=self.moment_text() or ("paused" if self.paused else ""),
        )

    def _note(self, live: View) -> str:
        """What is wrong with the looks, if anything."""
        if self.feed.trouble:
            return self.feed.trouble
        if live.blocked:
            return "kills blocked"
        if self._slowed > 1:
            return f"slow machine: every {self.feed.pace.current:g} s"
        return f"{len(live.warnings)} warnings" if live.warnings else ""

    def on_process_tree_selected(self, message: ProcessTree.Selected) -> None:
        message.stop()
        self.inspector.show(self.view, message.identity)
        self.inspector_shown()
        self.context_changed()

    def on_process_tree_chosen(self, message: ProcessTree.Chosen) -> None:
        message.stop()
        self.action_inspect()

    def action_inspect(self) -> None:
        """Give the inspector the keyboard; in the other panes open what is folded."""
        if self.active == "log":
            self.log_pane.toggle_fold()
        elif self.active == "stack":
            self.stack.toggle()
        elif self.active == "processes" and self.processes.selected is not None:
            self.activate("inspector")
            self.inspector_shown()

    def action_pause(self) -> None:
        self.paused = not self.paused
        if not self.paused and self.live is not None:
            self.view = self.live
            self.show_view(self.live)
        self.show_header()

    def action_palette(self) -> None:
        self.app.action_command_palette()

    def action_help(self) -> None:
        from proctui.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.remapped))

    def action_quit(self) -> None:
        self.dashboard.leave()

    async def on_key_footer_pressed(self, message: KeyFooter.Pressed) -> None:
        message.stop()
        await self.run_action(message.action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing here are off."""
        keys = _KEYS_OF_ACTION.get(action)
        if keys is None or not self.is_mounted:
            return True
        if self.prompt.display and action not in ("next_pane", "back", "quit"):
            return True
        context = self.context()
        return any(applies(key, context) for key in keys)

    _resized = False

    def on_resize(self, _event: events.Resize) -> None:
        if not self._resized and self.dashboard.options.job is not None:
            self._resized = True
            self.call_after_refresh(self._tell_the_job)

    def _tell_the_job(self) -> None:
        """Its window is the log pane."""
        self._resized = False
        size = self.log_pane.size
        if size.width > 1 and size.height:
            self.dashboard.options.job.resize(size.width - 1, size.height)
