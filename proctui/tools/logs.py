"""``analyze_logs``: levels, errors, tracebacks, matches and the timeline of a log file."""

from __future__ import annotations

import os
from typing import cast

from proctui.errors import BadArgument
from proctui.tools.results import LogAnalysis

__all__ = ["analyze_logs", "check_last"]


def analyze_logs(
    log_file: str | os.PathLike[str],
    pattern: str | None = None,
    last_n_lines: int | None = None,
) -> LogAnalysis:
    """Analyse a log file, or its last lines; ``pattern`` is a regular expression."""
    check_last(last_n_lines)
    if pattern is not None and not isinstance(pattern, str):
        raise BadArgument(f"pattern must be text, not {type(pattern).__name__}")
    from proctui.logs.analyze import analyze

    return cast(LogAnalysis, analyze(log_file, pattern, last_n_lines))


def check_last(last_n_lines: object) -> None:
    if last_n_lines is not None and (type(last_n_lines) is not int or last_n_lines < 1):
        raise BadArgument("last_n_lines must be a whole number of 1 or more")
