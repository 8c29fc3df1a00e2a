"""Commands about proctui itself: help, doctor, config, completion."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from proctui import config as configuration
from proctui import paths
from proctui.cli.output import Line, emit, print_json, print_lines, span, wrapped
from proctui.errors import AccessDenied, BadArgument, RefusedError

__all__ = ["completion", "config", "doctor", "help_page"]


def help_page(args: Namespace) -> int:
    from proctui.cli.pages import page, topics

    if args.json:
        known = [{"topic": name, "title": title} for name, title in topics().items()]
        print_json(
            {"topics": known}
            if args.topic is None
            else {"topic": args.topic, "text": page(args.topic)}
        )
        return 0
    if args.topic is None:
        width = max(map(len, topics()), default=0)
        lines: list[Line] = [[span("pages", "head"), "  (proctui help TOPIC)"]]
        for name, title in topics().items():
            lines.append([span(f"  {name:<{width}}  ", "key"), title])
        print_lines(lines)
        return 0
    text = page(args.topic)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        sys.stdout.write(text)
    return 0


def doctor(args: Namespace) -> int:
    from proctui.tools.doctor import diagnose

    return emit(diagnose(), args, _checks)


def _checks(result: Mapping[str, Any]) -> Iterable[Line]:
    checks = result["checks"]
    width = max(len(check["name"]) for check in checks)
    for check in checks:
        mark = span("ok  ", "good") if check["ok"] else span("no  ", "bad")
        first, *more = wrapped(check["detail"], width + 6)
        yield [mark, span(f"{check['name']:<{width}}  ", "key"), span(first)]
        for words in more:
            yield [" " * (width + 6), span(words)]
        if not check["ok"] and check["fix"]:
            yield [" " * (width + 6), span("fix: ", "warn"), span(check["fix"])]
    failed = sum(not check["ok"] for check in checks)
    yield ""
    yield f"{len(checks) - failed} of {len(checks)} work here"


def config(args: Namespace) -> int:
    target = paths.config_file()
    result: dict[str, Any] = {"path": str(target), "exists": target.exists()}
    if args.action == "path":
        words = str(target)
    elif args.action == "default":
        words = result["text"] = configuration.default_text()
    elif args.action == "check":
        configuration.load()
        words = f"{target}: {'fine' if result['exists'] else 'none, so the defaults'}"
    else:
        _write_config(target, overwrite=args.force)
        words = f"wrote {target}"
        result["exists"] = True
    return emit(result, args, lambda _: words.splitlines())


def _write_config(target: Path, *, overwrite: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(configuration.default_text())
    except FileExistsError:
        raise RefusedError(
            f"{target} exists already", "`proctui config init --force` overwrites it"
        ) from None
    except PermissionError as error:
        raise AccessDenied(f"{target} can't be written: permission denied") from error
    except OSError as error:
        raise BadArgument(f"{target} can't be written: {error.strerror}") from error


def completion(args: Namespace) -> int:
    from proctui.cli.completion import script

    if args.json:
        print_json({"shell": args.shell, "script": script(args.shell)})
        return 0
    sys.stdout.write(script(args.shell))
    return 0
