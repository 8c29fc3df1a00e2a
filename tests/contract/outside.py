"""proctui as others meet it: a program with arguments, streams and an exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROCTUI = [sys.executable, "-m", "proctui"]


def proctui(
    *argv: object, status: int | None = None, timeout: float = 60, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; with ``status`` the exit status is asserted, tracebacks never pass."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(
        [*PROCTUI, *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    assert "Traceback (most recent" not in done.stderr, done.stderr
    if status is not None:
        assert done.returncode == status, (
            argv,
            done.returncode,
            done.stdout[-2000:],
            done.stderr[-2000:],
        )
    return done


def document(*argv: object, status: int | None = 0, **options: Any) -> Any:
    """Run it with ``--json`` and return the one document; every string in it must be harmless."""
    done = proctui(*argv, "--json", status=status, **options)
    result = json.loads(done.stdout)
    for text in strings(result):
        assert text.replace("\n", "").isprintable(), repr(text)
    return result


def failure(*argv: object, kind: str, status: int, **options: Any) -> Any:
    """The document of a failure, its kind and status asserted."""
    result = document(*argv, status=status, **options)
    assert result["error"]["kind"] == kind, result
    assert result["error"]["message"]
    assert "hint" in result["error"]
    return result


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return []
