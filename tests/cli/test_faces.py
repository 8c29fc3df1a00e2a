"""What every command has in common: help, errors, JSON, completion, the shipped pages."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proctui.cli import completion, pages
from proctui.cli.output import STYLES, fields, print_lines, span, table
from proctui.cli.parser import build
from proctui.config import default_text
from tests.contract.outside import PROCTUI, document, failure, proctui
from tests.support import python, running, wait_for

COMMANDS = sorted(completion._commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    parser = completion._commands()[command]
    text = parser.format_help()
    assert "examples:" in text and f"proctui {command}" in text
    silent = [one.dest for one in parser._actions if one.help is None and one.dest != "command"]
    assert silent == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_handler_exists(command: str) -> None:
    from importlib import import_module

    handler = completion._commands()[command].get_default("handler")
    module, _, name = handler.partition(":")
    assert callable(getattr(import_module(f"proctui.cli.commands.{module}"), name))


def test_the_contract_has_its_commands() -> None:
    named = (
        "demo run watch sessions tree inspect memory cpu system stack hangs logs kill strays adopt "
        "fence debug record replay tools call mcp help doctor config completion"
    )
    assert set(named.split()) <= set(COMMANDS)


@pytest.mark.parametrize(
    "argv",
    [
        ["inspect"],
        ["inspect", "1", "2"],
        ["inspect", "--nope"],
        ["inspect", "1e3"],
        ["inspect", "\u0661\u0662"],
        ["kill"],
        ["kill", "4711", "--signal", "NOPE"],
        ["kill", "4711", "--grace", "nan"],
        ["cpu", "--duration", "0"],
        ["tree", "--depth", "0"],
        ["tree", "--dep", "1"],
        ["tools", "--format", "xml"],
        ["call"],
        ["watch"],
        ["help", "nope"],
        ["config", "nope"],
        ["completion", "nope"],
    ],
)
def test_bad_usage_is_one_document_too(argv: list[str]) -> None:
    failure(*argv, kind="bad-argument", status=2)


def test_a_dashboard_that_can_not_open_is_one_document_too() -> None:
    failure("watch", 4_000_000, kind="no-such-process", status=3)
    failure("demo", kind="not-supported", status=5)


def test_a_call_from_the_command_line_means_the_job_not_itself() -> None:
    document = json.loads(proctui("call", "show_process_tree", '{"depth": 1}', status=0).stdout)
    assert document["root"]["name"] == "machine"
    assert document["root"]["rss"] > 0 and document["root"]["cpu"] is not None
    line = f"{shlex.join(PROCTUI)} call show_process_tree; exit $?"
    inside = proctui("run", "--no-tui", "--", "sh", "-c", line, status=0)
    root = json.loads(inside.stdout)["root"]
    assert root["name"] == "sh" and root["role"] == "ancestor"


def test_what_is_no_tool_of_a_phase_can_be_called_all_the_same() -> None:
    with running(["sleep", "600"]) as child:
        argument = json.dumps({"pid": child.pid})
        done = proctui("call", "is_responding", argument, status=0)
        assert json.loads(done.stdout) == {"result": True}
        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: ") T " in Path(f"/proc/{child.pid}/stat").read_text())
        done = proctui("call", "is_responding", argument, status=0)
        assert json.loads(done.stdout) == {"result": False}


def test_pages_and_configuration_are_documents_if_asked() -> None:
    assert {"topic": "mcp", "title": "The MCP server"} in document("help")["topics"]
    assert document("help", "mcp")["text"].startswith("# The MCP server")
    assert document("config", "check")["path"].endswith("proctui/config.toml")
    assert document("config", "default")["text"]
    assert "_proctui" in document("completion", "bash")["script"]


def test_bad_usage_in_words_goes_to_stderr_with_a_hint() -> None:
    done = proctui("inspect", "--nope", status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("proctui: ") and "hint:" in done.stderr


def test_an_option_that_a_command_does_not_know_points_to_its_own_help() -> None:
    done = proctui("run", "--nope", "--", "true")
    assert done.returncode == 2 and "`proctui run --help`" in done.stderr


def test_a_hostile_argument_can_not_write_to_the_terminal() -> None:
    done = proctui("inspect", "\x1b]0;title\x07", status=2)
    assert "\x1b" not in done.stderr


def test_what_stands_behind_the_dashes_is_not_ours() -> None:
    done = proctui("run", "--no-tui", "--nope", "--", "true", "--json", status=2)
    assert done.stdout == ""


@pytest.mark.parametrize("topic", sorted(pages.topics()))
def test_pages_are_printed_as_they_are(topic: str) -> None:
    text = proctui("help", topic, status=0).stdout
    assert text == pages.page(topic)
    assert text.startswith("# ")
    assert max(map(len, text.splitlines())) <= 130


def test_an_unknown_page_names_those_there_are() -> None:
    done = proctui("help", "nope", status=2)
    assert "fence" in done.stderr


def test_config_init_writes_once(tmp_path: Path) -> None:
    target = Path(proctui("config", "path", status=0).stdout.strip())
    assert target.is_relative_to(tmp_path)
    proctui("config", "init", status=0)
    assert target.read_text() == default_text()
    assert "exists" in proctui("config", "init", status=1).stderr
    target.write_text("[protect]\nnmaes = []\n")
    assert f"{target}:2" in proctui("config", "check", status=2).stderr
    proctui("config", "init", "--force", status=0)
    proctui("config", "check", status=0)


def test_doctor_names_one_fix_for_what_does_not_work() -> None:
    checks = {check["name"]: check for check in document("doctor")["checks"]}
    expected = {
        "kernel", "pidfd", "pidfs", "landlock", "seccomp", "cgroup", "user-namespaces",
        "proc-connector", "permissions", "yama", "hidepid", "container", "py-spy", "gdb",
        "eu-stack", "re2", "mcp", "terminal", "state",
    }  # fmt: skip
    assert expected <= set(checks)
    for check in checks.values():
        assert check["detail"]
        assert check["ok"] == (check["fix"] is None), check


def test_doctor_sees_a_missing_program_and_a_broken_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config" / "proctui" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[dashboard]\ninterval = 'fast'\n")
    environ = {**os.environ, "PATH": str(tmp_path)}
    checks = {one["name"]: one for one in document("doctor", env=environ)["checks"]}
    assert not checks["gdb"]["ok"] and "gdb" in checks["gdb"]["fix"]
    assert checks["gdb"]["fix"].startswith("install"), "no package manager is in sight"
    assert not checks["config"]["ok"] and ":2:" in checks["config"]["detail"]


@pytest.mark.parametrize(("uid", "command"), [(0, "apt-get"), (1000, "sudo apt-get")])
def test_a_fix_can_be_typed_as_it_stands(
    uid: int, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proctui.tools import doctor_programs

    (tmp_path / "apt-get").write_text("")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(doctor_programs, "_program", lambda name: None)
    checks = dict(doctor_programs.CHECKS)
    assert checks["gdb"]()[2] == f"{command} install -y gdb"
    assert checks["py-spy"]()[2] == f"{sys.executable} -m pip install 'py-spy<0.5,>=0.4.0'"


def test_without_the_sdk_the_server_says_what_to_type() -> None:
    code = (
        "import sys\nsys.modules['mcp'] = None\nfrom proctui.cli.main import main\n"
        "sys.exit(main(['mcp']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 5 and done.stdout == ""
    assert f"{sys.executable} -m pip install 'mcp" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("more", [["--json"], []])
def test_a_full_disk_behind_the_output_is_told_as_that(more: list[str]) -> None:
    with open("/dev/full", "w") as full:
        argv = [*PROCTUI, "memory", str(os.getpid()), *more]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "proctui: the output can't be written: No space left on device\n"
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("crashes"))


def test_an_unforeseen_error_is_one_line_and_a_file(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom proctui.tools import doctor\n"
        "def broken(): raise RuntimeError('bug\\x1b[31m')\n"
        "doctor.diagnose = broken\n"
        "from proctui.cli.main import main\nsys.exit(main(['doctor', *sys.argv[1:]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "RuntimeError" in done.stderr
    assert "\x1b" not in done.stderr
    (kept,) = (tmp_path / "state" / "proctui" / "crashes").iterdir()
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "proctui").stat().st_mode & 0o077 == 0
    done = subprocess.run(
        [sys.executable, "-c", code, "--json"], capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["error"]["kind"] == "internal-error"


@pytest.mark.parametrize(
    "raised",
    ["KeyboardInterrupt", "RuntimeError('a class that was being made') from KeyboardInterrupt()"],
)
def test_an_interrupt_is_130_and_one_document_if_asked(raised: str) -> None:
    code = (
        "import sys\nfrom proctui.tools import doctor\n"
        f"def stopped(): raise {raised}\n"
        "doctor.diagnose = stopped\n"
        "from proctui.cli.main import main\nsys.exit(main(['doctor', *sys.argv[1:]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    done = subprocess.run(
        [sys.executable, "-c", code, "--json"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
    assert json.loads(done.stdout)["error"]["kind"] == "interrupted"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_does_not_cut_a_document_in_two(interrupts: int, unbuffered: str) -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    with running(
        python(code, "x" * 120_000), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as large:
        assert large.stdout is not None and large.stdout.readline()
        argv = [*PROCTUI, "inspect", str(large.pid), "--json"]
        environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        pipe = subprocess.PIPE
        with running(argv, stdout=pipe, stderr=pipe, text=True, env=environ) as asked:
            assert asked.stdout is not None and asked.stderr is not None
            wait_for(lambda: _writes_a_pipe(asked.pid), what="it to fill the pipe")
            for _ in range(interrupts):
                asked.send_signal(signal.SIGINT)
                wait_for(lambda: not _pending(asked.pid) or asked.poll() is not None)
            if interrupts == 1:
                assert json.loads(asked.stdout.read())["pid"] == large.pid
                assert asked.wait(60) == 0
            else:
                assert asked.wait(60) == 130
            assert asked.stderr.read() == ""


def _writes_a_pipe(pid: int) -> bool:
    return Path(f"/proc/{pid}/wchan").read_text().endswith("pipe_write")


def _pending(pid: int) -> bool:
    """Whether the signal waits in the kernel, or in the interpreter for its next step."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "ShdPnd:\t0000000000000000" not in status or not _writes_a_pipe(pid)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_disk_is_told(option: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROCTUI, "doctor", *option],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_goes_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*PROCTUI, "tools"], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 141 and done.stderr == ""


def test_the_import_is_lazy_and_sorted() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nimport proctui\n"
        "new = {n for n in set(sys.modules) - before if n.startswith('proctui')}\n"
        "assert new <= {'proctui', 'proctui._version'}, new\n"
        "assert proctui.__all__ == sorted(proctui.__all__)\n"
        "for name in proctui.__all__: getattr(proctui, name)\n"
        "assert 'textual' not in sys.modules and 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plain_dashboard_asks_no_parser() -> None:
    code = (
        "import sys\nfrom proctui.cli.main import main\nsys.argv = ['proctui']\n"
        "assert main() != 0, 'there is no terminal'\nassert 'argparse' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == 0, done.stderr
    assert "needs a terminal" in done.stderr


def test_a_dashboard_loads_no_tls_and_leaves_it_to_others() -> None:
    code = (
        "import sys\nfrom proctui.tui.start import preload\npreload()\n"
        "assert 'proctui.tui.app' in sys.modules and 'ssl' not in sys.modules\n"
        "import ssl\nssl.create_default_context()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    import proctui as library

    with pytest.raises(AttributeError):
        library.nope  # noqa: B018
    assert dir(library) == library.__all__


def test_tables_line_up_and_stay_plain_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(table([("PID", ">"), ("NAME", "<")], [["7", span("a\nb", "bad")], ["4711", "x"]]))
    print_lines(fields([("user", span("root", "good"))], width=6))
    assert capsys.readouterr().out == " PID  NAME\n   7  a\u240ab\n4711  x\nuser   root\n"


def test_styles_are_ones_that_rich_knows() -> None:
    from rich.style import Style

    for style in STYLES.values():
        Style.parse(style)


def test_subparsers_inherit_the_error_handling() -> None:
    for action in build()._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert {type(one).__name__ for one in action.choices.values()} == {"Parser"}
