"""``--log FILE``: what the job wrote, raw, in the order in which it came."""

from __future__ import annotations

import errno
import os
import stat

from proctui.errors import AccessDenied, NoSuchFile, ProctuiError
from proctui.jobs.capture import Sink
from proctui.jobs.wire import Page
from proctui.text import sanitize

__all__ = ["LogFile", "open_log"]


def open_log(path: str) -> int:
    """Open FILE as a shell's ``>`` would; raises an error that names it."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        message = f"the log {sanitize(path)} can't be written: {error.strerror}"
        kinds: dict[int, type[ProctuiError]] = {
            errno.ENOENT: NoSuchFile,
            errno.EACCES: AccessDenied,
        }
        raise kinds.get(error.errno or 0, ProctuiError)(
            message, "give a file that can be written"
        ) from error


class LogFile:
    """Copies every chunk out of the capture, by sendfile(2) where FILE can take it."""

    def __init__(self, fd: int, page: Page) -> None:
        self.fd = fd
        self.page = page
        self.trouble: str | None = None
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)

    def take(self, sink: Sink, offset: int, length: int) -> None:
        """Append ``length`` bytes of the sink's current segment; trouble ends the log, not the job."""
        if self.trouble is not None:
            return
        words = self.page.words
        words[Page.LOGGING] = sink.index + 1
        try:
            while length > 0:
                done = self._copy(sink.segment, offset, length)
                offset += done
                length -= done
                words[Page.LOGGED + sink.index] += done
        except OSError as error:
            self.trouble = f"the log file ends early: {error.strerror}"
        words[Page.LOGGING] = 0

    def _copy(self, segment: int, offset: int, length: int) -> int:
        if self._regular:
            try:
                return os.sendfile(self.fd, segment, offset, length)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                self._regular = False
        return os.write(self.fd, os.pread(segment, min(length, 1 << 16), offset))

    def resume(self, sinks: list[Sink]) -> None:
        """Catch up with what a killed runner captured but did not log any more."""
        words = self.page.words
        if self._regular and words[Page.LOGGING]:
            known = sum(words[Page.LOGGED + sink.index] for sink in sinks)
            beyond = os.fstat(self.fd).st_size - known
            words[Page.LOGGED + words[Page.LOGGING] - 1] += max(0, beyond)
            words[Page.LOGGING] = 0
        for sink in sinks:
            offset = max(0, words[Page.LOGGED + sink.index] - sink.base)
            if offset < sink.size:
                self.take(sink, offset, sink.size - offset)
