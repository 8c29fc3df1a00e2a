"""Starting a job so that nothing is lost, and taking up one that runs already.

``shell → front → keeper → runner → job``: the front (this process) passes
output and status on, the keeper sleeps on the runner, the runner is the
job's parent.  All forks happen here, in a process with one thread, before
anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import select
import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from proctui import config
from proctui.awareness.session import Caps, Session
from proctui.awareness.writer import create_session
from proctui.errors import BadArgument, NoSuchSession, ProctuiError
from proctui.jobs import plumbing, status
from proctui.jobs.arrangement import CRASHED, Arrangement, write_down
from proctui.jobs.logfile import LogFile, open_log
from proctui.jobs.options import Options
from proctui.jobs.program import inherited_environment
from proctui.jobs.titles import rename
from proctui.jobs.wire import Channel, Page
from proctui.machine import identity

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Job", "attach", "launch"]


_INTERPRETER = re.compile(r"(python|pypy|node|ruby|perl|php|lua|bash|dash|ksh|zsh|sh)[\d.]*")
_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP)


class Job:
    """A job that :func:`launch` started or :func:`attach` found.

    ``capture`` are the files that hold its output, current ones, by stream:
    ``output`` where stdout and stderr are one, else ``stdout`` and
    ``stderr``.  ``hang`` is the report of a watchdog, as long as it holds.
    An older part of a stream stands beside it as
    ``NAME.00001.log`` and so on.
    """

    def __init__(self, session_id: str, place: str, streams: Sequence[str]) -> None:
        self.session_id = session_id
        self.place = place
        self.streams = tuple(streams)
        self.master = -1
        self.targets: tuple[int, ...] = ()
        self.channel: Channel | None = None
        self.page: Page | None = None
        self.means: Arrangement | None = None
        self.early: list[tuple[str, Any, list[int]]] = []
        self.keeper = -1
        self.hang: dict[str, Any] | None = None
        self.blocked: set[Any] | None = None
        self._stamp: tuple[int, int] | None = None
        self._status: dict[str, Any] = {}

    @property
    def directory(self) -> Path:
        """The session's directory, :attr:`place`, for whoever walks on from there."""
        from pathlib import Path

        return Path(self.place)

    @property
    def capture(self) -> dict[str, Path]:
        return {name: self.directory / f"{name}.log" for name in self.streams}

    @property
    def pid(self) -> int | None:
        """The leader's pid, ``None`` before it is known."""
        found = self.status().get("pid")
        return found if isinstance(found, int) else None

    def status(self) -> dict[str, Any]:
        """The runner's latest word (``status.json``), read again only when it changed."""
        try:
            info = os.stat(f"{self.place}/{status.NAME}")
        except OSError:
            return self._status
        stamp = (info.st_ino, info.st_mtime_ns)
        if stamp != self._stamp:
            from proctui.awareness import files

            with (
                contextlib.suppress(OSError, files.FileProblem),
                files.open_directory(self.place) as directory,
            ):
                found = status.read(directory)
                if found is not None:
                    self._status, self._stamp = found, stamp
        return self._status

    def poll(self) -> int | None:
        """The exit status as a shell shows it, ``None`` while the command runs."""
        if self.keeper > 0:
            # It ends when nothing of the job is left; unreaped it would stay as a zombie.
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self.keeper, os.WNOHANG)[0]:
                    self.keeper = -1
        code = self.status().get("exit_status")
        return code if isinstance(code, int) else None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the command's end; ``None`` if ``timeout`` seconds were not enough."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(0.02)
        return code

    def runner(self) -> int | None:
        """The pid of the process that serves the job now, the parent of all it left behind."""
        if self.page is not None:
            return int(self.page.words[Page.RUNNER]) or None
        from proctui.jobs.progress import runner_of

        return runner_of(self.directory)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the job's terminal its size; nothing where it has none."""
        if self.master >= 0:
            plumbing.set_size(self.master, columns, rows)
        elif self.channel is None:
            self._ask({"ask": "resize", "columns": columns, "rows": rows})

    def forward(self, signum: int) -> None:
        """Have the runner pass a signal to the job's group."""
        if self.channel is not None:
            self.channel.send("signal", signum)

    def unblock(self) -> None:
        """Let the signals through that were held back during the start."""
        if self.blocked is not None:
            blocked, self.blocked = self.blocked, None
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def end(self) -> dict[str, Any]:
        """End the whole job through the guard; the document of ``proctui kill --tree``."""
        from proctui.jobs import ending

        return ending.end_job(self.session_id)

    def close(self) -> None:
        """Let go of the job: it goes on alone."""
        if self.channel is not None:
            self.channel.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        from proctui.awareness import live, registry

        with contextlib.suppress(ProctuiError):
            return live.ask(registry.load_session(self.session_id), request)
        return {}


def attach(session: Session) -> Job:
    """Take up a session whose job was started by another front."""
    if session.place is None:
        raise NoSuchSession(f"session {session.id} has no directory")
    streams = session.extra.get("streams")
    known = streams if isinstance(streams, list) else []
    return Job(session.id, session.place, [name for name in known if isinstance(name, str)])


def launch(argv: Sequence[str], options: Options | None = None) -> Job:
    """Start ``argv`` as a session; returns once the command runs or is known not to.

    A command that can't be started gives a job that has ended with 127 or
    126, and the reason under ``error`` in its status.  Raises
    :class:`ProctuiError` where proctui itself failed; then nothing runs.
    """
    options = options or Options()
    if not argv:
        raise BadArgument("no command to run", "proctui run -- CMD…")
    _need_one_thread()
    closed = plumbing.ensure_stdio()
    if options.front and not options.dashboard:
        # Loaded before the forks, their memory is shared.
        import proctui.jobs.front
        import proctui.jobs.keeper  # noqa: F401
    try:
        means, near = _arrange(list(argv), options, closed)
    except ProctuiError:
        raise
    except OSError as error:
        raise ProctuiError(f"the job was not started: {error.strerror or error}") from error
    gc.collect()
    gc.freeze()
    # Until the front has its handlers a Ctrl-C must not end it and leave the job behind.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        child = os.fork()
        if child == 0:
            near.close()
            _become_keeper(means)
        job = _become_front(means, near)
        job.keeper = child
    except BaseException as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if isinstance(error, OSError) and not isinstance(error, ProctuiError):
            raise ProctuiError(f"the job was not started: {error.strerror or error}") from error
        raise
    job.blocked = blocked
    if options.dashboard or not options.front:
        job.unblock()
    return job


def _become_keeper(means: Arrangement) -> NoReturn:
    """In the fork; what is not loaded yet is loaded while the front loads its dashboard."""
    try:
        from proctui.jobs.keeper import keep

        gc.freeze()
    except BaseException:  # noqa: BLE001 - a fork must never return into the front's code
        write_down(means)
        os._exit(CRASHED)
    keep(means)


def _need_one_thread() -> None:
    try:
        threads = len(os.listdir("/proc/self/task"))
    except OSError:
        return
    if threads > 1:
        raise ProctuiError(
            f"a job must be started before there are threads (there are {threads})",
            "start it from a process of its own: proctui run --no-tui",
        )


def _arrange(
    argv: list[str], options: Options, closed: frozenset[int]
) -> tuple[Arrangement, Channel]:
    run = config.load().run
    log = None if options.log is None else open_log(options.log)
    laid = plumbing.lay(options, closed)
    streams = [stream.name for stream in laid.streams]
    writer = create_session(
        options.label or _label(argv),
        kind=options.kind,
        lifetime=options.lifetime,
        caps=Caps(
            pidfd=hasattr(os, "pidfd_open"),
            pidfs=identity.has_pidfs(),
            subreaper=True,
            fence=options.fenced,
        ),
        extra={"capture": f"{streams[0]}.log", "streams": streams},
        lock=False,
        hurried=True,
    )
    near, far = Channel.pair()
    page = Page()
    page.words[Page.FLOW] = int(options.front and not options.dashboard)
    means = Arrangement(
        argv=argv,
        environ=dict(inherited_environment() if options.environ is None else options.environ),
        options=options,
        writer=writer,
        front=identity.own(),
        plumbing=laid,
        channel=far,
        page=page,
        log=None if log is None else LogFile(log, page),
        bound=run.capture_mb << 20,
    )
    return means, near


def _label(argv: list[str]) -> str:
    """What the session is called: the program, or the script that an interpreter runs."""
    words = [os.path.basename(word) for word in argv if word]
    if len(words) > 2 and argv[1] == "-m":
        return words[2]
    if len(words) > 1 and _INTERPRETER.fullmatch(words[0]) and not argv[1].startswith("-"):
        return words[1]
    return words[0] if words else "job"


def _become_front(means: Arrangement, near: Channel) -> Job:
    means.channel.close()
    laid, session = means.plumbing, means.writer.session
    assert session.place is not None
    job = Job(session.id, session.place, [stream.name for stream in laid.streams])
    job.channel, job.page, job.targets, job.means = near, means.page, laid.targets, means
    laid.close_job_ends()
    if means.options.dashboard or not means.options.front:
        for stream in laid.streams:
            if stream.source != laid.master:
                os.close(stream.source)
            for fd in stream.through or ():
                os.close(fd)
    job.master = laid.master
    means.writer.detach()
    rename("proctui", f"proctui: front of session {session.id[:8]}")
    if means.options.meanwhile is not None:
        means.options.meanwhile()
    _await_start(near, job)
    return job


def _await_start(near: Channel, job: Job) -> None:
    """Wait for the runner's word; what comes along, before it or behind it, is kept for the front."""
    poller = select.poll()
    poller.register(near.fileno(), select.POLLIN)
    started = False
    while not started:
        poller.poll()
        for word, body, fds in near.receive():
            if word == "failed":
                raise ProctuiError(f"the job was not started: {body['message']}")
            if word == "started":
                started = True
            else:
                job.early.append((word, body, fds))
        if near.closed and not started:
            raise ProctuiError(
                "the job was not started: its runner ended",
                f"look for runner.log in {job.place}",
            )
