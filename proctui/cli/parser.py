"""Every command with its options and examples; handlers are named, and imported when run."""

from __future__ import annotations

import argparse

from proctui._version import __version__
from proctui.cli.arguments import (
    Parser,
    add_json,
    add_session,
    count,
    integer,
    seconds,
    signal_number,
)

__all__ = ["build"]

_DESCRIPTION = """\
Know what is yours, see what it does, find what hangs, kill only what is safe.
Without a command: the dashboard."""

_EXAMPLES = """\
examples:
  proctui run -- pytest -x          start a job with the dashboard beside it
  proctui run --no-tui -- make      the same without a dashboard; make's exit status
  proctui tree --json               who is who, for a script
  proctui hangs && echo no hang     exit status 6 where one is found
  proctui kill 4711 --tree          end a process of the job and what it started
  proctui help                      the longer pages
"""


class _Commands:
    """Adds commands one by one, each with its handler and its examples."""

    def __init__(self, parser: Parser) -> None:
        self._sub = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)

    def add(
        self, name: str, handler: str, about: str, examples: str, *, as_json: bool = True
    ) -> argparse.ArgumentParser:
        lines = "\n".join(f"  proctui {line}" for line in examples.splitlines())
        parser: argparse.ArgumentParser = self._sub.add_parser(
            name,
            help=about,
            description=about[:1].upper() + about[1:] + ".",
            epilog=f"examples:\n{lines}",
        )
        parser.set_defaults(handler=handler, json=False)
        if as_json:
            add_json(parser)
        return parser


def build() -> Parser:
    """The whole parser; building it imports nothing but argparse."""
    parser = Parser(prog="proctui", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"proctui {__version__}")
    _dashboard(parser)
    parser.set_defaults(handler="jobs:dashboard", json=False)
    commands = _Commands(parser)
    _jobs(commands)
    _look(commands)
    _debug(commands)
    _guard(commands)
    _agents(commands)
    _own(commands)
    return parser


def _dashboard(parser: argparse.ArgumentParser) -> None:
    """What every command that opens the dashboard takes."""
    parser.add_argument(
        "--interval", type=seconds, metavar="S", help="seconds between two looks of the dashboard"
    )
    parser.add_argument(
        "--read-only", action="store_true", help="the dashboard looks and signals nothing"
    )
    parser.add_argument(
        "--source",
        choices=("auto", "proc", "psutil"),
        default="auto",
        help="where the dashboard's looks come from (psutil is what macOS gets)",
    )


def _jobs(commands: _Commands) -> None:
    run = commands.add(
        "run",
        "jobs:run",
        "start a command as a watched job",
        "run -- pytest -x\nrun --no-tui --strays end -- make test\n"
        "run --fence --name agent -- claude\nrun --hang-after 60 --then end --no-tui -- ./ci.sh",
        as_json=False,
    )
    run.add_argument(
        "--fence", action="store_true", help="nothing inside can signal what is outside"
    )
    run.add_argument(
        "--isolate",
        action="store_true",
        help="a pid namespace with its own /proc: inside, the rest of the machine has no name",
    )
    output = run.add_mutually_exclusive_group()
    output.add_argument("--pty", action="store_true", help="give the command a terminal of its own")
    output.add_argument("--pipes", action="store_true", help="give the command pipes")
    run.add_argument("--name", metavar="LABEL", help="what the session is called")
    run.add_argument("--log", metavar="FILE", help="keep the raw output in FILE too")
    run.add_argument("--no-tui", action="store_true", help="no dashboard: output passes through")
    run.add_argument(
        "--strays", choices=("report", "end"), help="what becomes of strays at the end"
    )
    run.add_argument(
        "--on-quit", choices=("ask", "keep", "end"), help="what `q` does with a living job"
    )
    run.add_argument(
        "--hang-after", type=seconds, metavar="S", help="tell of a hang after S seconds"
    )
    run.add_argument("--then", choices=("report", "end"), help="what to do about a hang")
    run.add_argument("--artifacts", metavar="DIR", help="where stacks of a hang are kept")
    _dashboard(run)
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD…")
    demo = commands.add(
        "demo",
        "jobs:demo",
        "a small playground job with the dashboard on it",
        "demo",
    )
    demo.add_argument("--no-tui", action="store_true", help=argparse.SUPPRESS)
    watch = commands.add(
        "watch",
        "jobs:watch",
        "the dashboard beside a job that already runs",
        "watch 4711\nwatch train.py\nwatch :8080",
    )
    _dashboard(watch)
    watch.add_argument("target", metavar="PID|NAME|:PORT", help="the job, or who listens there")
    commands.add(
        "sessions", "sessions:sessions", "list the watched jobs", "sessions\nsessions --json"
    )
    fence = commands.add(
        "fence",
        "jobs:fence",
        "run a command behind the fence, nothing else",
        "fence -- bash",
        as_json=False,
    )
    fence.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD…")


def _look(commands: _Commands) -> None:
    tree = commands.add(
        "tree", "look:tree", "process tree with roles", "tree\ntree 4711 --depth 2\ntree 1 --json"
    )
    tree.add_argument(
        "pid", nargs="?", type=integer, metavar="PID", help="root (default: the job's)"
    )
    tree.add_argument(
        "--depth", type=integer, metavar="N", help="levels to show; 1 is the root alone"
    )
    add_session(tree)
    inspect = commands.add(
        "inspect",
        "inspection:inspect",
        "everything about one process",
        "inspect 4711\ninspect 4711 --threads --files --json",
    )
    inspect.add_argument("pid", type=integer, metavar="PID", help="whom to look at")
    inspect.add_argument("--threads", action="store_true", help="list the threads")
    inspect.add_argument("--files", action="store_true", help="list the open files")
    add_session(inspect)
    memory = commands.add(
        "memory",
        "look:memory",
        "memory per process and in all",
        "memory\nmemory 4711 --tree --json",
    )
    memory.add_argument("pid", nargs="?", type=integer, metavar="PID", help="default: all")
    memory.add_argument("--tree", action="store_true", help="with its descendants")
    cpu = commands.add(
        "cpu",
        "look:cpu",
        "CPU use and time",
        "cpu\ncpu 4711 --duration 5\ncpu 4711 --tree -o hot.json",
    )
    cpu.add_argument("pid", nargs="?", type=integer, metavar="PID", help="default: the machine")
    cpu.add_argument("--duration", type=seconds, metavar="S", default=1, help="seconds to look (1)")
    cpu.add_argument("--tree", action="store_true", help="hot functions of its descendants too")
    cpu.add_argument("-o", "--output", metavar="FILE", help="save the samples for speedscope")
    system = commands.add(
        "system", "look:system", "the machine's resources", "system\nsystem cpu memory --json"
    )
    system.add_argument(
        "metrics", nargs="*", metavar="METRIC", help="of cpu, memory, disk, network (all)"
    )


def _debug(commands: _Commands) -> None:
    stack = commands.add(
        "stack",
        "debug:stack",
        "stack trace of a running process, without stopping it",
        "stack 4711 --all-threads\nstack 4711 --tree\nstack 4711 --native",
    )
    stack.add_argument("pid", type=integer, metavar="PID", help="whom to look at")
    stack.add_argument(
        "--all-threads", action="store_true", help="every thread, not the main one alone"
    )
    stack.add_argument("--tree", action="store_true", help="its descendants too")
    stack.add_argument(
        "--native", action="count", default=0, help="C frames too (stops the target)"
    )
    stack.add_argument("--locals", action="store_true", help="local variables of Python frames")
    stack.add_argument("--exact", action="count", default=0, help="stop the target meanwhile")
    hangs = commands.add(
        "hangs",
        "debug:hangs",
        "say whether processes hang; exit status 6 where one does",
        "hangs\nhangs 4711 --for 5",
    )
    hangs.add_argument(
        "pid", nargs="?", type=integer, metavar="PID", help="with its descendants (the session's)"
    )
    hangs.add_argument(
        "--for", dest="seconds", type=seconds, default=2.0, metavar="S", help="seconds to look (2)"
    )
    add_session(hangs)
    logs = commands.add(
        "logs",
        "logs:logs",
        "analyse, filter or follow a log file",
        "logs app.log\nlogs app.log --pattern 'timeout|refused' --context 2\n"
        "logs app.log --matches --pattern ERROR\nlogs app.log --follow --last 20\nlogs --of 4711",
    )
    logs.add_argument("file", nargs="?", metavar="FILE", help="the log, or - for stdin")
    logs.add_argument("--of", type=integer, metavar="PID", help="which logs a process writes")
    logs.add_argument("--pattern", metavar="RE", help="regular expression to search for")
    logs.add_argument("--last", type=integer, metavar="N", help="only the last N lines")
    logs.add_argument("--context", type=count, default=0, metavar="N", help="lines around a match")
    logs.add_argument("--invert", action="store_true", help="lines that don't match")
    logs.add_argument("--ignore-case", action="store_true", help="upper and lower case alike")
    how = logs.add_mutually_exclusive_group()
    how.add_argument(
        "--matches", action="store_true", help="only the matching lines, as grep would"
    )
    how.add_argument("--follow", action="store_true", help="the filtered tail, until Ctrl-C")
    debug = commands.add(
        "debug",
        "debug:debug",
        "attach a debugger, after showing command and risks",
        "debug 4711\ndebug 4711 --how gdb",
    )
    debug.add_argument("pid", type=integer, metavar="PID", help="whom to attach to")
    debug.add_argument("--how", choices=("pdb", "debugpy", "gdb"), help="which debugger")
    debug.add_argument("--port", type=integer, metavar="N", help="debugpy's port on the loopback")
    debug.add_argument("--yes", action="store_true", help="don't ask")
    record = commands.add(
        "record",
        "recording:record",
        "flight recorder of a process or the session",
        "record 4711 -o run.rec\nrecord -o run.rec",
    )
    record.add_argument(
        "pid", nargs="?", type=integer, metavar="PID", help="with its kin (default: everybody)"
    )
    record.add_argument("-o", "--output", required=True, metavar="FILE", help="where to")
    record.add_argument(
        "--for",
        dest="seconds",
        type=seconds,
        metavar="S",
        help="seconds to record (default: until Ctrl-C or the end)",
    )
    record.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="between looks (1)"
    )
    add_session(record)
    replay = commands.add(
        "replay",
        "recording:replay",
        "the dashboard on a recording",
        "replay run.rec",
    )
    replay.add_argument("file", metavar="FILE", help="what `record` wrote")


def _guard(commands: _Commands) -> None:
    kill = commands.add(
        "kill",
        "kill:kill",
        "end processes of the job, guarded: plan, confirm, execute, report",
        "kill 4711\nkill 4711 --tree --yes\nkill 4711:58213 --dry-run --json",
    )
    kill.add_argument("targets", nargs="+", metavar="TARGET", help="a pid, or PID:INODE")
    kill.add_argument("--tree", action="store_true", help="with descendants")
    kill.add_argument("--group", action="store_true", help="with the whole process group")
    _kill_options(kill)
    kill.add_argument(
        "--signal", type=signal_number, default=15, metavar="TERM", help="first signal"
    )
    kill.add_argument(
        "--grace", type=seconds, default=5.0, metavar="S", help="seconds until KILL (5)"
    )
    strays = commands.add(
        "strays",
        "kill:strays",
        "list or end what outlived the job's tree",
        "strays\nstrays --end --yes",
    )
    strays.add_argument("--end", action="store_true", help="end every certain one")
    _kill_options(strays)
    adopt = commands.add(
        "adopt", "sessions:adopt", "say at the terminal: this process is mine", "adopt 4711"
    )
    adopt.add_argument("pid", type=integer, metavar="PID", help="which one is yours")
    add_session(adopt)


def _kill_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show the plan, signal nothing")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    add_session(parser)


def _agents(commands: _Commands) -> None:
    tools = commands.add(
        "tools",
        "agents:tools",
        "the tool declarations as JSON",
        "tools\ntools --format openai-strict --phase debugging",
    )
    tools.add_argument(
        "--format",
        choices=("openai", "openai-strict", "mcp"),
        default="openai",
        help="how they are written down (openai)",
    )
    _phase(tools)
    call = commands.add(
        "call",
        "agents:call",
        "call one tool with JSON arguments",
        "call inspect_process '{\"pid\": 4711}'\ncall get_memory_profile '{}'",
    )
    call.add_argument("tool", metavar="TOOL", help="its name, as `proctui tools` has it")
    call.add_argument(
        "arguments", nargs="?", default="{}", metavar="JSON", help="an object of its arguments"
    )
    mcp = commands.add(
        "mcp",
        "agents:mcp",
        "MCP server on stdio, for agents",
        "mcp\nmcp --phase debugging",
        as_json=False,
    )
    _phase(mcp)
    mcp.add_argument("--allow-debugger", action="store_true", help="offer attach_debugger")


def _phase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--phase",
        choices=("any", "debugging"),
        default="any",
        help="the tools of every phase (any), or those of debugging too",
    )


def _own(commands: _Commands) -> None:
    pages = commands.add("help", "own:help_page", "the longer pages", "help\nhelp mcp")
    pages.add_argument("topic", nargs="?", metavar="TOPIC", help="which page (default: the list)")
    commands.add("doctor", "own:doctor", "what works here, what does not, and the fix", "doctor")
    config = commands.add(
        "config", "own:config", "the configuration file", "config init\nconfig path"
    )
    config.add_argument(
        "action",
        choices=("init", "path", "check", "default"),
        help="write one with every default, say where it is, read it, show the default",
    )
    config.add_argument("--force", action="store_true", help="overwrite an existing file")
    completion = commands.add(
        "completion",
        "own:completion",
        "completion for a shell",
        "completion bash > ~/.local/share/bash-completion/completions/proctui\n"
        "completion zsh > ~/.zfunc/_proctui\ncompletion fish > ~/.config/fish/completions/proctui.fish",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
