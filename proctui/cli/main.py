"""The entry point: every way a command can end becomes a message and an exit status here.

Nothing heavier than argparse is imported before a command is known, so that
``--version`` and ``--help`` answer at once; what is imported at all is imported
where a Ctrl-C is already caught.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own costs more than all the rest of this import
if TYPE_CHECKING:
    from collections.abc import Sequence

    from proctui.errors import ProctuiError

__all__ = ["main"]

INTERRUPTED = 130
BROKEN_PIPE = 141
_ALWAYS_JSON = frozenset({"call", "tools"})
_TAKES_A_COMMAND = frozenset({"run", "fence"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; never a traceback, never a raised error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = _wants_json(arguments)
    try:
        from proctui.errors import ProctuiError

        _prepare_streams()
        try:
            status = _run(arguments, leave=argv is None)
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 0
        except ProctuiError as error:
            status = _fail(error, as_json)
        _flush()
        return status
    except KeyboardInterrupt:
        return _interrupted(as_json and "--follow" not in arguments)
    except BrokenPipeError:
        return _quietly(BROKEN_PIPE)
    except Exception as error:  # noqa: BLE001 - the last door: told in one line, kept in a file
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Before 3.12 one that hits a class being made comes wrapped in a RuntimeError.
            return _interrupted(as_json)
        import contextlib

        from proctui.cli.crash import report

        with contextlib.suppress(OSError, ValueError):
            report(error, as_json=as_json)
        return _quietly(1)


def _run(arguments: list[str], *, leave: bool) -> int:
    """The short ways first; ``leave``: the process is ours and may end right here."""
    if arguments == ["--version"]:  # the parser knows it too, and takes longer to import
        from proctui._version import __version__

        print(f"proctui {__version__}")
        return 0
    if arguments[:1] == ["stack"]:
        from proctui.cli.quick import quick_stack

        status = quick_stack(arguments, leave=leave)
        if status is not None:
            return status
    if not arguments:
        from types import SimpleNamespace

        from proctui.cli.commands import jobs

        return jobs.dashboard(SimpleNamespace())
    from proctui.cli.quick_run import read_run

    words, command = _split(arguments)
    plain = read_run(words, command)
    if plain is not None:
        from proctui.cli.commands import jobs

        return jobs.run(plain)
    from proctui.cli.delegate import through_the_fence
    from proctui.cli.parser import build

    parsed = build().parse_command(words)
    if command is not None:
        # What stood before the first `--` is the command's too: nothing of it is dropped.
        parsed.command = [*parsed.command, "--", *command] if parsed.command else command
    from importlib import import_module

    module, _, function = parsed.handler.partition(":")
    answered = through_the_fence(words, parsed)
    if answered is not None:
        return answered
    return int(getattr(import_module(f"proctui.cli.commands.{module}"), function)(parsed) or 0)


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Cut ``run … -- CMD`` at the first ``--``: what follows is never ours to interpret."""
    if arguments and arguments[0] in _TAKES_A_COMMAND and "--" in arguments:
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]
    return arguments, None


def _wants_json(arguments: list[str]) -> bool:
    words, _ = _split(arguments)
    return "--json" in words or (bool(words) and words[0] in _ALWAYS_JSON)


def _prepare_streams() -> None:
    """A terminal that can't show a character shows its escape; a closed stream takes nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open as long as we are
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _fail(error: ProctuiError, as_json: bool) -> int:
    from proctui.cli.output import print_error

    print_error(error, as_json=as_json)
    return error.status


def _interrupted(as_json: bool) -> int:
    """Quiet as a shell's; only who asked for a document gets one. A second Ctrl-C changes nothing."""
    import contextlib
    import signal

    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if as_json:
        from proctui.cli.output import document_begun
        from proctui.errors import Interrupted

        with contextlib.suppress(OSError, ValueError):
            if not document_begun():
                _fail(Interrupted("interrupted before there was a result"), as_json)
    return _quietly(INTERRUPTED)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _quietly(status: int) -> int:
    """Leave with the streams pointing nowhere, so that the interpreter's last flush can't fail."""
    import contextlib

    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return status


if __name__ == "__main__":
    sys.exit(main())
