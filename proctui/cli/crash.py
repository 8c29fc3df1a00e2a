"""What becomes of an error nobody foresaw: one line for the reader, the rest into a file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import traceback
from pathlib import Path

from proctui import paths
from proctui._version import __version__
from proctui.cli.output import document_begun
from proctui.redact import redact_argv
from proctui.text import sanitize

__all__ = ["report"]

_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def report(error: Exception, *, as_json: bool) -> None:
    """Write the details into the state directory and say where they are.

    A full disk behind stdout is no fault of ours that somebody could look into.
    """
    if isinstance(error, OSError) and error.filename is None and error.errno in _NOT_WRITTEN:
        told = f"the output can't be written: {os.strerror(error.errno)}"
        print(f"proctui: {told}", file=sys.stderr, flush=True)
        return
    if isinstance(error, OSError) and error.filename is None and error.errno is not None:
        message = f"{os.strerror(error.errno)}"
    else:
        message = f"internal error: {type(error).__name__}: {sanitize(str(error))[:300]}"
    kept = _keep(error)
    hint = f"details: {kept}" if kept else "no place to keep the details"
    if as_json and not document_begun():
        body = {"kind": "internal-error", "message": message, "hint": hint}
        with contextlib.suppress(OSError, ValueError):
            print(json.dumps({"error": body}), flush=True)
    print(f"proctui: {message} ({hint})", file=sys.stderr, flush=True)


def _keep(error: Exception) -> Path | None:
    details = "".join(traceback.format_exception(error))
    head = f"proctui {__version__}, Python {sys.version}\n{list(redact_argv(sys.argv))}\n\n"
    for directory in paths.state_candidates():
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = directory / "crashes"
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, 0o600), "w", errors="backslashreplace") as file:
                file.write(head + details)
        except OSError:
            continue
        return target
    return None
