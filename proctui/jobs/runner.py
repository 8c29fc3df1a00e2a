"""The runner: parent of the job, mover of its output, owner of its session.

One poll loop.  It sleeps until there is output, a child's end, a message of
the front or a question on the socket, and looks once a second whether the
job has grown.  A keeper whose runner was killed becomes one by
:meth:`Runner.take_over`; everything it needs is inherited, on disk or in the
shared page.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from proctui.awareness import cgroup
from proctui.awareness.session import MARKER_VARIABLE, marker_value
from proctui.ident import Identity
from proctui.jobs import birth, capture, family, start, status
from proctui.jobs.arrangement import Arrangement
from proctui.jobs.capture import Sink, Store
from proctui.jobs.census import Census
from proctui.jobs.loop import Loop
from proctui.jobs.members import Members
from proctui.jobs.service import Service
from proctui.jobs.wire import Page
from proctui.machine import identity

__all__ = ["Runner"]

TICK = 1.0
_IN_MEMORY = 64 << 20
"""Bytes of output that are kept where the state directory lies in memory: no more than must be."""
_BATCH = 8
"""Chunks of one stream that are moved before anybody else has his turn."""
_SETTLE = 0.1
"""Seconds that what ends together with the job's leader gets before it is called a stray."""


class Runner(Loop):
    """The loop and its state; :meth:`run` returns when no process of the job is left."""

    def __init__(self, arrangement: Arrangement) -> None:
        super().__init__()
        self.means = arrangement
        self.page = arrangement.page
        self.writer = arrangement.writer
        self.own = identity.own()
        self.job: Identity | None = None
        self.job_fd = -1
        self.page.words[Page.RUNNER] = self.own.pid
        self.oom_before = status.oom_kills()
        self.status: dict[str, Any] = {}
        self.ended = False
        self.census: Census | None = None
        self.helpers: dict[int, Callable[[int], None]] = {}
        self.store = Store(self.writer.directory_fd, arrangement.bound, self.page, self._announce)
        self.sinks = [
            Sink(self.store, index, stream.name, stream.source, stream.through)
            for index, stream in enumerate(arrangement.plumbing.streams)
        ]
        if arrangement.log is not None:
            for sink in self.sinks:
                sink.log = arrangement.log.take
        self.members = Members(self)
        self.service = Service(self)

    # Beginning

    def begin(self) -> None:
        """Own the session, start the command; raises only before the command is there."""
        listed = Census()
        self._own_session(None if listed.large else listed)
        if capture.in_memory(self.writer.directory_fd):
            self.store.bound = min(self.store.bound, _IN_MEMORY)
        for sink in self.sinks:
            sink.begin()
        self._listen()
        plumbing, means = self.means.plumbing, self.means
        self.page.words[Page.STARTED] = int(time.monotonic() * 1000)
        means.environ[MARKER_VARIABLE] = marker_value(
            means.environ.get(MARKER_VARIABLE), self.writer.session.id
        )
        pid, failure = start.start(
            means.argv, means.environ, plumbing.stdio, means.options, self.page, self._nest().fork
        )
        plumbing.close_job_ends()
        self._know_job(pid)
        self.status = self._fresh_status(pid)
        if failure is not None:
            self.status["error"] = {"status": failure.status, "message": failure.message}
        self._write_status()
        if listed.large:
            self.census = listed
            self.after("census", 0.0, self._count_on)
        # Whoever hears of the job may want to end it at once: it is certain from the beginning.
        self.members.look()
        self.means.channel.send("started", {"pid": pid})

    def _nest(self) -> birth.Nest:
        """A control group of the job's own, where we may make one."""
        nest = birth.Nest(self.writer.session.id)
        self._know_group(nest.name)
        return nest

    def _know_group(self, name: str | None) -> None:
        if name is not None:
            caps = self.writer.session.caps._replace(cgroup_kill=True)
            self.writer.update(cgroup=name, caps=caps)

    def _fresh_status(self, pid: int) -> dict[str, Any]:
        names = [sink.name for sink in self.sinks]
        return status.fresh(self.writer.session.id, pid, names)

    def _own_session(self, census: Census | None) -> None:
        self.writer.take_over(
            controllers=self.means.controllers(self.own), keeper=self.means.keeper
        )
        if census is not None:
            self.writer.write_baseline_lines(*census.take())

    def _count_on(self) -> None:
        """One step of a large census; the job runs already, but who was before it is settled."""
        if self.census is not None and not self.census.step():
            self.after("census", 0.0, self._count_on)
        else:
            self.end_census()

    def end_census(self) -> None:
        """Look at whoever is left, for somebody who has to know now."""
        if self.census is not None:
            listed, self.census = self.census, None
            self.writer.write_baseline_lines(*listed.take())

    def _know_job(self, pid: int) -> None:
        self.job = identity.identify(pid)
        if hasattr(os, "pidfd_open"):
            self.job_fd = os.pidfd_open(pid)
        line = family.read(pid)
        self.members.tty = 0 if line is None else line.tty
        self.writer.update(leader=self.job, pgid=pid, sid=pid, tty=self.members.tty)

    def take_over(self) -> None:
        """Become the runner of a job whose runner was killed: we are its reaper now."""
        pid = int(self.page.words[Page.JOB])
        directory = self.writer.directory_fd
        self.status = status.read(directory) or self._fresh_status(pid)
        self._own_session(Census(self.writer.session.created.boottime))
        self._know_group(birth.recall(self.writer.session.id))
        with contextlib.suppress(ProcessLookupError):
            self._know_job(pid)
        for sink in self.sinks:
            sink.resume()
            if self.page.words[Page.BROKEN] & (1 << sink.index):
                sink.close()
        if self.means.log is not None:
            self.means.log.resume(self.sinks)
        self._listen()
        self.status.setdefault("notes", []).append(
            "the runner was killed; its keeper went on in its place"
        )
        if self.status.get("exit_status") is not None:
            self.ended = True
            if "strays" not in self.status:
                self.after("settle", _SETTLE, self._settle)
            elif self.status.get("cleaning"):
                self._end_strays()
        self._write_status()
        # The runner may have been killed before it could say so.
        self.means.channel.send("started", {"pid": pid})

    def _listen(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._woken = reading
        self.watch(reading, self._reap)
        self.service.open()
        # Children may have ended before the handler stood.
        self.after("reap", 0.0, self._reap)
        self.after("tick", TICK, self._tick)

    # The loop

    def run(self) -> None:
        """Serve until the job and all it left behind are gone."""
        while not self._finished():
            self._arm()
            self.turn()
        self._finish()

    def _arm(self) -> None:
        """Listen to each stream, but not to one the front has to catch up with first."""
        channel = self.means.channel
        if not channel.closed:
            behind = select.POLLOUT if channel.waiting else 0
            self.watch(channel.fileno(), self._hear, select.POLLIN | behind)
        waiting = False
        for sink in self.sinks:
            if not sink.open:
                continue
            if sink.held_back():
                waiting = True
                self.forget(sink.source)
            else:
                self.watch(sink.source, lambda sink=sink: self._pump(sink))  # type: ignore[misc]
        self.page.words[Page.WAITING] = int(waiting)
        if waiting:
            # The front looks at the flag after it moved on; that look may have come too early.
            self.after("lag", 0.2, lambda: None)

    def _pump(self, sink: Sink) -> None:
        for _ in range(_BATCH):
            moved = sink.pump()
            if moved is None:
                self.forget(sink.source)
                sink.close()
            self._tell_front()
            if not moved or moved < capture.CHUNK // 16 or sink.held_back():
                break

    def _tell_front(self) -> None:
        if self.page.words[Page.ASLEEP]:
            self.page.words[Page.ASLEEP] = 0
            self.means.channel.nudge()

    def _announce(self, sink: Sink) -> None:
        if self.page.words[Page.FLOW]:
            self.means.channel.send(
                "segment", [sink.index, sink.number, sink.base], (sink.segment,)
            )
        if sink.number > 0 and self.status:
            self._write_status()

    def _hear(self) -> None:
        channel = self.means.channel
        for word, body, _ in channel.receive():
            if word == "signal":
                self._forward(int(body))
            elif word == "broken":
                self._break(int(body))
        channel.flush()
        if channel.closed:
            self._front_gone()

    def _front_gone(self) -> None:
        """Nobody to wait for."""
        self.page.words[Page.FLOW] = 0
        self.forget(self.means.channel.fileno())
        self.means.channel.close()

    def _forward(self, signum: int) -> None:
        from proctui.killing import signals

        if self.job_fd >= 0 and not self.ended:
            with contextlib.suppress(OSError):
                signals.forward(self.job_fd, signum)

    def _break(self, index: int) -> None:
        """Nobody reads this stream any more: the job shall get EPIPE, as without us."""
        sink = self.sinks[index]
        self.page.words[Page.BROKEN] |= 1 << index
        if sink.open:
            self.forget(sink.source)
            sink.close()
        if self.means.link[1] >= 0:
            with contextlib.suppress(OSError):
                os.write(self.means.link[1], bytes([index]))

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self.members.none_left = True
                break
            if found is None:
                break
            if self.job is not None and found.si_pid == self.job.pid and not self.ended:
                self._job_ended(found)
            else:
                _, code = os.waitpid(found.si_pid, 0)
                call = self.helpers.pop(found.si_pid, None)
                if call is not None:
                    call(code)
        if self.ended and "strays" not in self.status and not self.members.look():
            self._settle()

    def _job_ended(self, found: Any) -> None:
        """Write down how it ended *before* it is reaped, so that a killed runner can't lose it."""
        for sink in self.sinks:
            sink.drain()
        self.ended = True
        self.status |= status.certificate(found, self._began(), self.oom_before)
        self.status["ends"] = [sink.total for sink in self.sinks]
        self._write_status()
        _, _, usage = os.wait4(found.si_pid, 0)
        self.status["cpu"] = {"user": usage.ru_utime, "system": usage.ru_stime}
        self.status["max_rss"] = usage.ru_maxrss * 1024
        self.after("settle", _SETTLE, self._settle)

    def _began(self) -> float:
        return float(self.page.words[Page.STARTED]) / 1000

    def _settle(self) -> None:
        """What still lives when the leader's end has settled are strays; told to the front."""
        self.cancel("settle")
        if "strays" in self.status:
            return
        self.members.look()
        self.status["strays"] = self.members.describe()
        if self.means.options.strays == "end" and self.status["strays"]:
            self.status["cleaning"] = True
            self._end_strays()
        self.status["state"] = "orphaned" if self.status["strays"] else "ended"
        self._tell_losses()
        self._write_status()
        self._tell_end()
        self.writer.update(exit_status=self.status["exit_status"])

    def _end_strays(self) -> None:
        from proctui.jobs.strays import fork_cleaner

        self.helpers[fork_cleaner(self)] = self._cleaned

    def _cleaned(self, _: int) -> None:
        self.status["cleaned"] = status.read(self.writer.directory_fd, "cleaned.json")
        self.status["cleaning"] = False
        self._write_status()
        self._tell_end()

    def _tick(self) -> None:
        self.after("tick", TICK, self._tick)
        self.writer.settle()
        self.members.look_if_changed()
        if self._tell_losses():
            self._write_status()

    def _tell_losses(self) -> bool:
        """Add what of the output is not kept to the status; whether that is news."""
        known = self.status.setdefault("notes", [])
        log = self.means.log
        losses = (None if log is None else log.trouble, self.store.loss())
        news = [text for text in losses if text is not None and text not in known]
        known += news
        return bool(news)

    def _write_status(self) -> None:
        words = self.page.words
        self.status["cut"] = [int(words[Page.CUT + sink.index]) for sink in self.sinks]
        self.status["notes"] = self.status.get("notes", [])
        with contextlib.suppress(OSError):
            status.write(self.writer.directory_fd, self.status)

    def _tell_end(self) -> None:
        """The status as a message too: somebody may have removed the session's directory."""
        self.means.channel.send("ended", self.status)

    def _finished(self) -> bool:
        return (
            self.ended
            and "strays" in self.status
            and self.members.none_left
            and not self.helpers
            and not self.members.adopted_left()
        )

    def _finish(self) -> None:
        for sink in self.sinks:
            while sink.open and sink.pump():
                pass
        self.status["state"] = "ended"
        self.status["ends"] = self.status.get("ends") or [sink.total for sink in self.sinks]
        self._write_status()
        self.service.close()
        self.writer.settle()
        if self.writer.session.cgroup is not None:
            cgroup.remove(self.writer.session.cgroup)
        self.writer.end(self.status.get("exit_status"))
        self._tell_end()
        # What the front has no room for yet would be lost with us.
        self.means.channel.drain()
        from proctui.awareness.sweeping import sweep_if_due

        sweep_if_due()
