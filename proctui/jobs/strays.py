"""What outlived the job: told in a few lines, or ended through the guard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proctui.jobs.runner import Runner

__all__ = ["fork_cleaner", "report"]

_SHOWN = 20


def fork_cleaner(runner: Runner) -> int:
    """End the certain strays in a child of the runner, which goes on reaping; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            from proctui.jobs import ending, status

            result = ending.end_strays(runner.writer.session.id)
            status.write(runner.writer.directory_fd, result, "cleaned.json")
        finally:
            os._exit(0)
    return pid


def report(status: dict[str, Any], session_id: str) -> list[str]:
    """Lines for stderr about what is left of the job; none where nothing is."""
    strays: list[dict[str, Any]] = status.get("strays") or []
    if not strays:
        return []
    count = f"{len(strays)} process{'' if len(strays) == 1 else 'es'}"
    lines = [f"proctui: the command ended, {count} of it did not:"]
    for stray in strays[:_SHOWN]:
        words = " ".join(stray.get("cmdline") or [stray["name"]])[:100]
        unsure = "" if stray["certainty"] == "certain" else " (likely)"
        why = "; ".join(stray["evidence"])
        lines.append(f"proctui:   {stray['pid']}  {words}{unsure}: {why}")
    if len(strays) > _SHOWN:
        lines.append(f"proctui:   and {len(strays) - _SHOWN} more")
    cleaned = status.get("cleaned")
    if cleaned is None:
        lines.append(f"proctui: end them with: proctui strays --end --session {session_id[:8]}")
        return lines
    if cleaned.get("error"):
        lines.append(f"proctui: they were not ended: {cleaned['error']['message']}")
    results = cleaned.get("results") or []
    done = [one for one in results if one["outcome"] in ("exited", "zombie", "gone")]
    left = [str(one["identity"]) for one in results if one not in done]
    lines.append(
        f"proctui: ended {len(done)} of {max(len(strays), len(results))}"
        + (f"; not ended: {', '.join(left)}" if left else "")
    )
    return lines
