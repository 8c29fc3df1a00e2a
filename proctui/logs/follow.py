"""Following a log by its name, through everything that logs go through.

Append, rename rotation, copytruncate, truncation and regrowth, deletion and
re-creation: no line is lost that any file still holds, none comes twice.
Looking costs a few system calls, :meth:`Follower.unchanged` one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Final

from proctui.errors import NotSupported
from proctui.logs.backward import last_lines_start
from proctui.logs.handles import BOM, Batch, OpenFile, anew, is_copy
from proctui.logs.opening import check_path, file_error, open_regular
from proctui.logs.rotation import FINGERPRINT, Sibling, holds, mark, open_quietly, siblings
from proctui.text import sanitize

__all__ = ["Batch", "Follower"]

_LINGER: Final = 15.0
"""Seconds for which a rotated file is still looked at: its writer may not have noticed yet."""


class Follower:
    """Follow ``path`` from its end, or from ``last`` lines before it.

    ``from_start`` begins at the first byte.  :meth:`poll` never waits and
    reads at most ``most`` bytes a call; ``behind`` tells whether more is
    there.  Raises the errors of :func:`open_regular` if there is no such
    file to begin with; what happens to it later comes as a batch.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, last: int = 0, from_start: bool = False
    ) -> None:
        self.path = check_path(path)
        fd, status = open_regular(self.path)
        head = os.pread(fd, 4, 0)
        if head.startswith(
            (b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff")
        ):
            os.close(fd)
            raise NotSupported(
                f"{sanitize(self.path)} can't be followed: it is compressed or UTF-16",
                "analyse it without --follow",
            )
        begin = len(BOM) if head.startswith(BOM) else 0
        offset = status.st_size
        if from_start:
            offset = 0
        elif last:
            offset = last_lines_start(fd, last, status.st_size, begin)
        elif status.st_size:
            # The tail of an unfinished line would look like a line of its own.
            offset = last_lines_start(fd, 1, status.st_size, begin)
            if os.pread(fd, 1, status.st_size - 1) == b"\n":
                offset = status.st_size
        self._current = OpenFile(fd, status, offset)
        self._retired: list[OpenFile] = []
        self._known = {one.key for one in siblings(self.path)}
        self._noted = ""
        self.behind = False

    @property
    def offset(self) -> int:
        """Bytes of the current file that were read."""
        return self._current.offset

    @property
    def inode(self) -> int:
        return self._current.inode

    @property
    def partial(self) -> bytes:
        """The last line as far as it is written."""
        return self._current.pending

    @property
    def lag(self) -> int:
        """Bytes of the current file that are still to be read."""
        return max(0, os.fstat(self._current.fd).st_size - self._current.offset)

    def skip_to_end(self) -> None:
        """Leave out what has not been read of the current file, but for its last line."""
        current = self._current
        size = os.fstat(current.fd).st_size
        current.offset = last_lines_start(current.fd, 1, size, current.offset)
        current.pending, current.skipping = b"", False
        current.mark = mark(current.fd, current.offset)

    def unchanged(self) -> bool:
        """Whether the last :meth:`poll` took all there is: one look at what now has the name."""
        current = self._current
        if self.behind or self._retired or self._noted:
            return False
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return (
            current.same(status)
            and status.st_size == current.offset
            and (status.st_size, status.st_mtime_ns) == current.stamp
        )

    def poll(self, most: int = 4 << 20) -> list[Batch]:
        """What is new since the last call, in order."""
        batches = self._poll_retired()
        self.behind = False
        batches += self._check_truncated()
        new, total = self._current.read(most)
        batches += new
        self.behind = total >= most
        if not self.behind:
            batches += self._check_replaced(most)
        return batches

    def _check_truncated(self) -> list[Batch]:
        """Begin anew if the file no longer holds what was read from it."""
        current = self._current
        status = os.fstat(current.fd)
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp == current.stamp:
            return []
        current.stamp = stamp
        if status.st_size >= current.offset and holds(current.fd, current.mark):
            return [] if current.offset else self._unseen(current, status, ())
        batches, copies = self._rest_of_copy(current)
        finished = current.finish()
        if finished is not None:
            batches.append(finished)
        self._current = anew(current, status)
        batches += self._unseen(self._current, status, copies)
        return [*batches, Batch("truncated", inode=status.st_ino)]

    def _rest_of_copy(self, current: OpenFile) -> tuple[list[Batch], list[int]]:
        """copytruncate: the lines written between our last look and the copy are in the copy.

        Returns them, and the inodes of all copies of what was read.
        """
        batches: list[Batch] = []
        copies: list[int] = []
        if not current.offset:
            return batches, copies
        for sibling in reversed(siblings(self.path)):
            opened = open_quietly(sibling.path)
            if opened is None:
                continue
            fd, status = opened
            try:
                if sibling.inode == current.inode or not holds(fd, current.mark):
                    continue
                if not copies:
                    copy = OpenFile(os.dup(fd), status, current.offset)
                    copy.pending, copy.skipping = current.pending, current.skipping
                    batches, _ = copy.read(1 << 62)
                    current.pending, current.offset = copy.pending, copy.offset
                    copy.close()
                copies.append(sibling.inode)
            finally:
                os.close(fd)
        return batches, copies

    def _unseen(
        self, current: OpenFile, status: os.stat_result, copies: Sequence[int]
    ) -> list[Batch]:
        """Copies that were made and truncated away before we read a byte of them."""
        head = os.pread(current.fd, FINGERPRINT, 0)
        batches: list[Batch] = []
        for sibling in self._fresh(status.st_ino):
            common = min(len(head), len(sibling.head))
            if sibling.inode not in copies and not (
                common and head[:common] == sibling.head[:common]
            ):
                batches += self._whole(sibling)
        return batches

    def _fresh(self, *but: int) -> list[Sibling]:
        """Files beside the log that were not there at the last look, oldest first."""
        found = siblings(self.path)
        known, self._known = self._known, {one.key for one in found}
        return [
            one
            for one in found
            if one.key not in known
            and one.inode not in but
            and not any(one.inode == retired.inode for retired in self._retired)
        ]

    def _check_replaced(self, most: int) -> list[Batch]:
        """Change over to the file that now has the name, the old one being read to its end."""
        current = self._current
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            return self._note(str(file_error(self.path, error)))
        if current.same(status):
            self._noted = ""
            return []
        opened = open_quietly(self.path)
        if opened is None:
            return self._note(f"{sanitize(self.path)} was replaced by something that can't be read")
        self._noted = ""
        fd, status = opened
        batches, _ = current.read(1 << 62)
        between = self._between(current, status)
        self._retired.append(current)
        while len(self._retired) > 4:
            self._drop(self._retired.pop(0), batches)
        for sibling in between:
            batches += [Batch("rotated", inode=sibling.inode), *self._whole(sibling)]
        self._current = OpenFile(fd, status, 0)
        batches.append(Batch("rotated", inode=status.st_ino))
        new, total = self._current.read(most)
        self.behind = total >= most
        return batches + new

    def _between(self, old: OpenFile, new: os.stat_result) -> list[Sibling]:
        """Files that were created *and* put aside since the last look."""
        written = os.fstat(old.fd).st_mtime_ns
        return [
            one
            for one in self._fresh(old.inode, new.st_ino)
            if one.written >= written and not is_copy(one, old)
        ]

    def _whole(self, sibling: Sibling) -> list[Batch]:
        opened = open_quietly(sibling.path)
        if opened is None:
            return []
        one = OpenFile(*opened, 0)
        batches, _ = one.read(1 << 62)
        rest = one.finish()
        one.close()
        return batches if rest is None else [*batches, rest]

    def _poll_retired(self) -> list[Batch]:
        batches: list[Batch] = []
        for old in list(self._retired):
            new, _ = old.read(1 << 62)
            batches += new
            if time.monotonic() - old.last_data > _LINGER:
                self._retired.remove(old)
                self._drop(old, batches)
        return batches

    def _drop(self, old: OpenFile, batches: list[Batch]) -> None:
        rest = old.finish()
        if rest is not None:
            batches.append(rest)
        old.close()

    def _note(self, text: str) -> list[Batch]:
        if text == self._noted:
            return []
        self._noted = text
        return [Batch("note", note=text)]

    def finish(self) -> list[Batch]:
        """Unfinished last lines: for a log whose writer has ended."""
        rest = [one.finish() for one in (*self._retired, self._current)]
        return [batch for batch in rest if batch is not None]

    def close(self) -> None:
        for one in (*self._retired, self._current):
            one.close()
        self._retired.clear()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        """Batches for ever, looking more seldom while nothing happens."""
        pause = 0.02
        while True:
            batches = self.poll()
            yield from batches
            pause = 0.02 if batches else min(pause * 1.5, 0.25)
            if not self.behind:
                time.sleep(pause)
