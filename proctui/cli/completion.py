"""Completion scripts, made from the parser itself, so that they can't tell of other options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from proctui.cli.parser import build

__all__ = ["script"]


def _commands() -> Mapping[str, argparse.ArgumentParser]:
    for action in build()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the parser has commands")


def _options(parser: argparse.ArgumentParser) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Long option → its help and its choices; what is hidden from the help stays hidden."""
    return {
        name: (action.help or "", tuple(map(str, action.choices or ())))
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for name in action.option_strings
        if name.startswith("--")
    }


def _words(name: str, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """What may stand in the first position: choices, topics, tools."""
    if name == "help":
        from proctui.cli.pages import topics

        return tuple(topics())
    if name == "call":
        from proctui.tools.declarations import TOOLS

        return tuple(tool.name for tool in TOOLS)
    return tuple(
        str(choice)
        for action in parser._actions
        if not action.option_strings and action.choices
        for choice in action.choices
    )


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _bash() -> str:
    cases = []
    for name, parser in _commands().items():
        options = _options(parser)
        for option, (_, choices) in options.items():
            if choices:
                cases.append(
                    f'    {name}:{option}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$cur")); return;;'
                )
        words = " ".join((*options, *_words(name, parser)))
        cases.append(f'    {name}:*) words="{words}";;')
    return "\n".join(
        [
            "# bash completion for proctui",
            "_proctui() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" words=""',
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f'    COMPREPLY=($(compgen -W "{" ".join(_commands())} --help --version" -- "$cur")); return',
            "  fi",
            '  case "${COMP_WORDS[1]}:$prev" in',
            *cases,
            "  esac",
            '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            "}",
            "complete -o default -F _proctui proctui",
            "",
        ]
    )


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _zsh() -> str:
    lines = ["#compdef proctui", "_proctui() {", "  local -a commands", "  commands=("]
    lines += [
        f"    '{name}:{_quoted(parser.description or '')}'" for name, parser in _commands().items()
    ]
    lines += [
        "  )",
        "  if (( CURRENT == 2 )); then _describe command commands; return; fi",
        "  case $words[2] in",
    ]
    for name, parser in _commands().items():
        specs = []
        for option, (about, choices) in _options(parser).items():
            value = f":value:({' '.join(choices)})" if choices else ""
            specs.append(f"'{option}[{_quoted(about)}]{value}'")
        words = _words(name, parser)
        specs.append(f"'*:word:({' '.join(words)})'" if words else "'*:file:_files'")
        lines.append(f"    {name}) _arguments -A '-*' {' '.join(specs)};;")
    return "\n".join([*lines, "  esac", "}", "compdef _proctui proctui", ""])


def _fish() -> str:
    lines = ["# fish completion for proctui"]
    for name, parser in _commands().items():
        about = (parser.description or "").replace("'", "\\'")
        lines.append(f"complete -c proctui -n __fish_use_subcommand -a {name} -d '{about}'")
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        for option, (help_text, choices) in _options(parser).items():
            text = help_text.replace("'", "\\'")
            values = f" -x -a '{' '.join(choices)}'" if choices else ""
            lines.append(f"complete -c proctui {seen} -l {option[2:]} -d '{text}'{values}")
        if words := _words(name, parser):
            lines.append(f"complete -c proctui {seen} -a '{' '.join(words)}'")
    return "\n".join([*lines, ""])
