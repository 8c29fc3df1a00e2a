"""``run --no-tui``: as if proctui were not there, but for the report of strays.

The front passes the captured output on, byte for byte, hands signals and the
window's size to the job, and leaves with the command's status as soon as the
command has ended, whoever of it still lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proctui.jobs import plumbing, strays
from proctui.jobs.keys import Keys
from proctui.jobs.tap import Tap
from proctui.jobs.wire import Page
from proctui.text import sanitize

if TYPE_CHECKING:
    from proctui.jobs.launch import Job
    from proctui.jobs.options import Options
    from proctui.jobs.rescue import Rescue
    from proctui.jobs.watchdog import Watchdog

__all__ = ["Front", "run_plain"]

OUR_FAULT = 125
ENDED_BY_US = 124
"""The exit status where the watchdog ended the job, as timeout(1) has it."""
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_plain(job: Job) -> int:
    """Stand in for a job that :func:`launch` just started, and return its exit status."""
    return Front(job).run()


class Front:
    """The loop of the front process; all its state lives here."""

    def __init__(self, job: Job) -> None:
        assert job.channel is not None and job.page is not None and job.means is not None
        self.job = job
        self.channel = job.channel
        self.page = job.page
        self.watchdog = self._keep_a_watchdog(job.means.options)
        self.taps = [Tap(index, fd, job.page) for index, fd in enumerate(job.targets)]
        self.status: dict[str, Any] = {}
        self._woken = -1
        self._told: dict[str, Any] = {}
        self._cut_off: set[int] = set()
        self.rescue: Rescue | None = None
        self._job_fd = _pidfd(int(self.page.words[Page.JOB]))
        self.keys: Keys | None = None
        terminal = _keyboard() if job.master >= 0 else None
        if terminal is not None:
            self.keys = Keys(terminal, job.master, self._leader, self.stop)
        self._before: dict[int, Any] = {}

    def _leader(self) -> int:
        return int(self.page.words[Page.JOB])

    def run(self) -> int:
        self._let_stdin_go()
        self._take_signals()
        try:
            if self.keys is not None:
                self.keys.enter()
            for word, body, fds in self.job.early:
                self._take(word, body, fds)
            self._look_at_status()
            self._serve()
        finally:
            if self.keys is not None:
                self.keys.leave()
            self._give_signals_back()
        return self._conclude()

    def _keep_a_watchdog(self, options: Options) -> Watchdog | None:
        if options.hang_after is None:
            return None
        from proctui.jobs.watchdog import Watchdog

        return Watchdog(
            self.job,
            options.hang_after,
            then=options.hang_then,
            artifacts=options.artifacts,
            tell=self._write,
        )

    def _let_stdin_go(self) -> None:
        """The job has its own copy; ours would keep a writer from learning that nobody reads."""
        if self.keys is None or self.keys.terminal != 0:
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)

    # Signals

    def _take_signals(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._woken = reading
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for signum in _FORWARDED:
            # Who starts us with a signal ignored (nohup, a background job) wants it ignored.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._handle(signum, self._on_signal)
        self._handle(signal.SIGTSTP, self._on_stop)
        self._handle(signal.SIGCONT, self._on_continue)
        self._handle(signal.SIGWINCH, self._on_resize)
        self.job.unblock()

    def _handle(self, signum: int, handler: Callable[[int, Any], None]) -> None:
        self._before[signum] = signal.signal(signum, handler)

    def _give_signals_back(self) -> None:
        signal.set_wakeup_fd(-1)
        for signum, handler in self._before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)

    def _on_signal(self, signum: int, frame: Any) -> None:
        # Right here, not in the loop: it may be stuck in a write to a reader who is stuck too.
        if self.job.poll() is None:
            self._forward(signum)
        else:
            from proctui.killing import signals

            signals.end_self(signum)

    def _forward(self, signum: int) -> None:
        if self.rescue is None:
            self.job.forward(signum)
            return
        from proctui.killing import signals

        with contextlib.suppress(OSError):
            signals.forward(self._job_fd, signum)

    def _on_stop(self, signum: int, frame: Any) -> None:
        self.stop()

    def stop(self) -> None:
        """Ctrl-Z: TSTP would be discarded by the job's orphaned group, so it gets STOP."""
        from proctui.killing import signals

        self._forward(signal.SIGSTOP)
        raw = self.keys is not None and self.keys.active
        if self.keys is not None:
            self.keys.leave()
        signals.stop_self()
        if raw and self.keys is not None:
            self.keys.enter()

    def _on_continue(self, signum: int, frame: Any) -> None:
        # Who is stopped is not told that the window changes.
        self._resize()
        self._forward(signal.SIGCONT)

    def _on_resize(self, signum: int, frame: Any) -> None:
        if not self._resize():
            self._forward(signal.SIGWINCH)

    def _resize(self) -> bool:
        """Give the job's terminal the size of ours; whether there are two terminals."""
        size = plumbing.size_of(1) or plumbing.size_of(0)
        if size is None or self.job.master < 0:
            return False
        self.job.resize(*size)
        return True

    # The loop

    def _serve(self) -> None:
        due = time.monotonic()
        while not self._finished():
            if self.keys is not None and self.taps[0].available():
                self.keys.follow()
            moved = sum(tap.pass_on() for tap in self.taps)
            self._tell_broken()
            if moved and self.page.words[Page.WAITING]:
                self.page.words[Page.WAITING] = 0
                self.channel.nudge()
            self._wait(0 if moved else self._timeout(due))
            if self.watchdog is not None and time.monotonic() >= due:
                self.watchdog.check()
                due = time.monotonic() + self.watchdog.period

    def _timeout(self, due: float) -> int:
        """Milliseconds to sleep at most; no reader tells us that our terminal came back."""
        limits = [-1.0]
        if self.watchdog is not None:
            limits.append(max(0.0, due - time.monotonic()) * 1000 + 1)
        if (self.keys is not None and not self.keys.active) or self.channel.closed:
            limits.append(500.0)
        if self.rescue is not None and self.rescue.ending:
            limits.append(10.0)
        positive = [limit for limit in limits if limit >= 0]
        return int(min(positive)) if positive else -1

    def _wait(self, timeout: int) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        if not self.channel.closed:
            behind = select.POLLOUT if self.channel.waiting else 0
            poller.register(self.channel.fileno(), select.POLLIN | behind)
        self.page.words[Page.ASLEEP] = 1
        for tap in self.taps:
            if tap.pollable and tap.broken is None:
                # With no events asked for, a pipe still tells that its reader is gone.
                poller.register(tap.target, select.POLLOUT if tap.available() else 0)
            elif tap.available():
                timeout = 0
        if self.keys is not None:
            self.keys.register(poller)
        if self.rescue is not None:
            self.rescue.register(poller)
        ready = dict(poller.poll(timeout))
        self.page.words[Page.ASLEEP] = 0
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        for tap in self.taps:
            if ready.get(tap.target, 0) & (select.POLLERR | select.POLLNVAL):
                tap.fail(OSError(errno.EPIPE, os.strerror(errno.EPIPE)))
        self._tell_broken()
        self.channel.flush()
        if self.keys is not None:
            self.keys.serve(ready)
        for word, body, fds in self.channel.receive():
            self._take(word, body, fds)
        if self.rescue is not None:
            self.rescue.serve(ready)
            self._told = self.rescue.told or self._told
        if self.channel.closed:
            self._look_at_status()
            self._come_to_the_rescue()

    def _come_to_the_rescue(self) -> None:
        """Runner and keeper are both gone and left no status, but the job may live."""
        if self.rescue is None and self._job_fd >= 0 and self.status.get("exit_status") is None:
            from proctui.jobs.rescue import Rescue

            self.rescue = Rescue(self.job, self.taps, self._job_fd)

    def _take(self, word: str, body: Any, fds: list[int]) -> None:
        if word == "segment":
            index, number, base = body
            self.taps[index].add(number, base, fds[0])
        elif word == "ended":
            self._told = body or {}
            self._look_at_status()

    def _tell_broken(self) -> None:
        """Who reads our output is gone: the job's own pipe is closed, so that it learns of it."""
        for tap in self.taps:
            if tap.broken is None or tap.index in self._cut_off:
                continue
            self._cut_off.add(tap.index)
            if tap.broken.errno != errno.EPIPE:
                self._say(f"output is lost: {tap.broken.strerror}")
            self._close_source(tap.index)
            self.page.words[Page.BROKEN] |= 1 << tap.index
            self.channel.send("broken", tap.index)

    def _close_source(self, index: int) -> None:
        assert self.job.means is not None
        source = self.job.means.plumbing.streams[index].source
        if source == self.job.master:
            self.job.master = -1
            self.keys = None
        if self.rescue is not None:
            self.rescue.sinks[index].close()
        else:
            os.close(source)

    def _look_at_status(self) -> None:
        found = self.job.status()
        self.status = found if found.get("exit_status") is not None else self._told or found
        ends = self.status.get("ends")
        if ends is not None and self._is_told():
            for tap in self.taps:
                tap.end = ends[tap.index]

    def _is_told(self) -> bool:
        """Whether somebody said that the job has ended, if not always how."""
        return self.status.get("exit_status") is not None or (
            self.rescue is not None and self.rescue.told is not None
        )

    def _finished(self) -> bool:
        if not self._is_told():
            return self.channel.closed and self._job_fd < 0
        if self.channel.closed and self.rescue is None:
            for tap in self.taps:
                tap.give_up()
            self._tell_broken()
        return (
            all(tap.finished() for tap in self.taps)
            and ("strays" in self.status or self.channel.closed)
            and not self.status.get("cleaning")
        )

    # The end

    def _conclude(self) -> int:
        code = self.status.get("exit_status")
        error = self.status.get("error")
        if error:
            self._say(f"{sanitize(self._command())}: {error['message']}")
        for line in strays.report(self.status, self.job.session_id):
            self._write(line)
        for note in self.status.get("notes") or []:
            self._say(note)
        if not isinstance(code, int):
            self._say("the job's runner and keeper were both killed; its status is unknown")
            code = OUR_FAULT
        if self.watchdog is not None:
            # It may be on its way to say that it ended the job.
            self.watchdog.wait()
            if self.watchdog.ended:
                code = ENDED_BY_US
        self.job.close()
        return code

    def _command(self) -> str:
        return self.job.means.argv[0] if self.job.means is not None else "command"

    def _say(self, text: str) -> None:
        self._write(f"proctui: {text}")

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{line}\n".encode(sys.getfilesystemencoding(), "backslashreplace"))


def _keyboard() -> int | None:
    """Where keys are typed, for a job whose output is on a terminal."""
    if os.isatty(0):
        return 0
    if not os.isatty(1):
        return None
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None


def _pidfd(pid: int) -> int:
    """A pidfd of the job's leader; -1 where it ended already or the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
