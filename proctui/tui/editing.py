"""Opening text in the person's own editor, the dashboard suspended meanwhile."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from proctui.errors import ToolMissing

__all__ = ["command_for", "edit", "kept_in_file"]

_KNOWS_LINES = frozenset(
    ("vi", "vim", "nvim", "nano", "emacs", "emacsclient", "ne", "micro", "joe", "kak", "mg")
)


def command_for(path: str, line: int = 1) -> list[str]:
    """``$VISUAL`` or ``$EDITOR`` on a file, at a line where it is known to take one.

    Raises :class:`ToolMissing` where neither names a program that exists.
    """
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        words = shlex.split(named)
    except ValueError:
        words = []
    if not words or shutil.which(words[0]) is None:
        raise ToolMissing(f"no editor: {named}", "set EDITOR to a program that is installed")
    if os.path.basename(words[0]) in _KNOWS_LINES:
        words.append(f"+{line}")
    return [*words, path]


@contextlib.contextmanager
def kept_in_file(text: str) -> Iterator[str]:
    """A private file that holds ``text`` as long as the editor is open."""
    with tempfile.NamedTemporaryFile("w", prefix="proctui-", suffix=".txt", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        yield f.name


def edit(command: list[str]) -> int:
    """Run the editor on the terminal, whatever our stdin is; its exit status."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return subprocess.call(command)
    try:
        return subprocess.call(command, stdin=terminal, stdout=terminal, stderr=terminal)
    finally:
        os.close(terminal)
