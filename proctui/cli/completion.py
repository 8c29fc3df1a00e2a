"""Completion scripts, made from the parser itself, so that they can't tell of other options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from proctui.cli.parser import build

__all__ = ["script"]

_KINDS = {
    "FILE": "files",
    "DIR": "files",
    "PID": "pids",
    "PID|NAME|:PORT": "pids",
    "TARGET": "pids",
    "-- CMD…": "commands",
}
"""What stands for a metavar: ``files``, ``pids``, ``commands``; anything else is free text."""


class _Option(NamedTuple):
    """One option; ``short`` may be empty, ``value`` is the metavar, empty for a switch."""

    name: str
    short: str
    about: str
    value: str
    kind: str
    choices: tuple[str, ...]


class _Command(NamedTuple):
    """``kind`` and ``words`` are of its first positional argument."""

    name: str
    about: str
    options: tuple[_Option, ...]
    kind: str
    words: tuple[str, ...]


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in build()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the parser has commands")


def _options(parser: argparse.ArgumentParser) -> Iterator[_Option]:
    """What is hidden from the help stays hidden."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        metavar = str(action.metavar or action.dest).partition("=")[0]
        value = "" if action.nargs == 0 else metavar
        long = [name for name in action.option_strings if name.startswith("--")]
        short = [name for name in action.option_strings if not name.startswith("--")]
        choices = tuple(map(str, action.choices or ()))
        for name in long:
            kind = _KINDS.get(value, "")
            yield _Option(name, "".join(short), action.help or "", value, kind, choices)


def _described() -> list[_Command]:
    found = []
    for name, parser in _commands().items():
        places = [one for one in parser._actions if not one.option_strings]
        kind = next((_KINDS.get(str(one.metavar), "") for one in places), "")
        words = tuple(str(word) for one in places for word in one.choices or ())
        about = (parser.description or "").rstrip(".")
        found.append(
            _Command(name, about, tuple(_options(parser)), kind, words or _more_words(name))
        )
    return found


def _more_words(name: str) -> tuple[str, ...]:
    """What the parser leaves to the command to check."""
    if name == "help":
        from proctui.cli.pages import topics

        return tuple(topics())
    if name == "call":
        from proctui.tools.declarations import CALLABLE

        return tuple(tool.name for tool in CALLABLE)
    if name == "system":
        from proctui.tools.system import METRICS

        return METRICS
    return ()


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_described())


_BASH_KINDS = {"pids": "$(ps -eo pid=)", "files": "", "commands": ""}


def _bash(commands: list[_Command]) -> str:
    values, words = [], []
    for command in commands:
        for option in command.options:
            given = f"    {command.name}:{option.name}"
            if option.short:
                given += f"|{command.name}:{option.short}"
            if option.choices:
                values.append(f'{given}) words="{" ".join(option.choices)}";;')
            elif option.value:  # a file's name, or what nobody can guess
                values.append(f"{given}) return;;")
        place = " ".join(command.words) or _BASH_KINDS.get(command.kind, "")
        options = " ".join(option.name for option in command.options)
        words.append(f'      {command.name}) options="{options}"; words="{place}";;')
    names = " ".join(command.name for command in commands)
    return "\n".join(
        [
            "# bash completion for proctui",
            "_proctui() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
            '  local words="" options="" at',
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f'    COMPREPLY=($(compgen -W "{names} {_TOP}" -- "$cur"))',
            "    return",
            "  fi",
            "  for ((at = 2; at < COMP_CWORD; at++)); do",
            '    if [ "${COMP_WORDS[at]}" = -- ]; then',
            '      COMPREPLY=($(compgen -c -- "$cur"))',
            "      return",
            "    fi",
            "  done",
            '  case "${COMP_WORDS[1]}:$prev" in',
            *values,
            '    *) case "${COMP_WORDS[1]}" in',
            *words,
            "      esac;;",
            "  esac",
            '  case "$cur" in -*) words="$options";; esac',
            '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            "}",
            "complete -o default -F _proctui proctui",
            "",
        ]
    )


_TOP = "--version --help"
_ZSH_KINDS = {"pids": "_pids", "files": "_files", "commands": "_normal"}


def _quoted(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, f"\\{special}")
    return text.replace("'", "'\\''")


def _zsh(commands: list[_Command]) -> str:
    cases = []
    for command in commands:
        specs = []
        for option in command.options:
            action = f"({' '.join(option.choices)})" if option.choices else ""
            action = action or _ZSH_KINDS.get(option.kind, " ")
            value = f":{_quoted(option.value)}:{action}" if option.value else ""
            told = f"'{option.name}[{_quoted(option.about)}]{value}'"
            if option.short:
                both = f"{option.short} {option.name}"
                told = f"'({both})'{{{both.replace(' ', ',')}}}{told.replace(option.name, '', 1)}"
            specs.append(told)
        if command.kind == "commands":
            specs += ["'(-)1:command:_command_names -e'", "'*::arguments:_normal'"]
        elif command.words:
            specs.append(f"'*:{command.name}:({' '.join(command.words)})'")
        elif command.kind:
            specs.append(f"'*:{command.kind}:{_ZSH_KINDS[command.kind]}'")
        cases.append(f"    {command.name}) _arguments -S {' '.join(specs)};;")
    return "\n".join(
        [
            "#compdef proctui",
            "_proctui() {",
            # Not `commands`: that is zsh's own.
            "  local -a subcommands",
            "  subcommands=(",
            *(f"    '{one.name}:{_quoted(one.about)}'" for one in commands),
            "  )",
            "  if (( CURRENT == 2 )); then",
            "    _describe -t commands command subcommands",
            f"    compadd -- {_TOP}",
            "    return",
            "  fi",
            "  shift words",
            "  (( CURRENT-- ))",
            "  case $words[1] in",
            *cases,
            "  esac",
            "}",
            # Loaded by name it is called at once, sourced it registers itself.
            'if [ "$funcstack[1]" = _proctui ]; then _proctui "$@"; else compdef _proctui proctui; fi',
            "",
        ]
    )


_FISH_COMMANDS = "__fish_complete_subcommand --fcs-skip=2"


def _fish(commands: list[_Command]) -> str:
    lines = [
        "# fish completion for proctui",
        "complete -c proctui -f",
        "complete -c proctui -n __fish_use_subcommand -l version -d 'show the version'",
    ]
    for command in commands:
        about = _fish_quoted(command.about)
        lines.append(f"complete -c proctui -n __fish_use_subcommand -a {command.name} -d {about}")
        seen = f"complete -c proctui -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            line = f"{seen} -l {option.name[2:]} -d {_fish_quoted(option.about)}"
            if option.short:
                line += f" -s {option.short[1:]}"
            if option.choices:
                line += f" -x -a '{' '.join(option.choices)}'"
            elif option.value:
                line += " -r -F" if option.kind == "files" else " -x"
            lines.append(line)
        if command.kind == "files":
            lines.append(f"{seen} -F")
        elif command.kind == "commands":
            valued = " ".join(option.name for option in command.options if option.value)
            lines.append(f"{seen} -a '({_FISH_COMMANDS} {valued})'")
        elif place := " ".join(command.words) or (command.kind and "(__fish_complete_pids)"):
            lines.append(f"{seen} -a '{place}'")
    return "\n".join([*lines, ""])


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
