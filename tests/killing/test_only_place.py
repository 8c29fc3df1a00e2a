"""Nothing outside the one module sends a signal: read from the source of the whole tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import proctui

ROOT = Path(proctui.__file__).parent
THE_ONE = ROOT / "killing" / "signals.py"
CGROUP = ROOT / "killing" / "cgroup.py"

FUNCTIONS = {
    "os": {"kill", "killpg", "tkill", "abort"},
    "signal": {"pidfd_send_signal", "pthread_kill", "raise_signal"},
    "resource": {"prlimit"},
    "_posixsubprocess": {"fork_exec"},
}
METHODS = {"kill", "killpg", "terminate", "send_signal", "sigqueue", "tgkill", "ptrace", "prlimit"}
PROGRAMS = {"kill", "pkill", "killall", "killall5", "skill", "xkill", "tkill", "prlimit", "fuser"}
STARTERS = {
    "run", "Popen", "call", "check_call", "check_output", "system", "popen", "execv", "execve",
    "execvp", "execvpe", "execl", "execlp", "posix_spawn", "posix_spawnp", "spawnv", "spawnvp",
    "create_subprocess_exec", "create_subprocess_shell",
}  # fmt: skip
FILES = {"cgroup.kill", "cgroup.freeze", "freezer.state"}
SYSCALLS = {
    # x86-64 and the generic numbers of: kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
    # pidfd_send_signal ptrace prlimit64 (asm/unistd_64.h, asm-generic/unistd.h)
    62, 200, 234, 129, 297, 424, 101, 302, 130, 131, 138, 240, 117, 261,
}  # fmt: skip


def offences(source: str, *, own: bool = False) -> Iterator[str]:
    """What in this source could signal another process; ``own`` is the module that may."""
    tree = ast.parse(source)
    numbers = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(one.asname or one.name): one.name for one in node.names}
    if own:
        return
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom):
            bad = FUNCTIONS.get(node.module or "", set())
            yield from (
                f"{line}: from {node.module} import {one.name}"
                for one in node.names
                if one.name in bad | {"*"} and bad
            )
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = names.get(node.value.id, "")
            if node.attr in FUNCTIONS.get(module, set()):
                yield f"{line}: {module}.{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in METHODS:
                yield f"{line}: .{node.func.attr}()"
            if node.func.attr == "syscall" and node.args:
                first = node.args[0]
                number = first.value if isinstance(first, ast.Constant) else None
                if isinstance(first, ast.Name):
                    number = numbers.get(first.id)
                if number in SYSCALLS:
                    yield f"{line}: syscall({number})"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
        ):
            wanted = node.args[1] if len(node.args) > 1 else None
            if isinstance(wanted, ast.Constant) and wanted.value in METHODS:
                yield f"{line}: getattr(…, {wanted.value!r})"
        if isinstance(node, ast.Call) and _name(node.func) in STARTERS:
            for argument in node.args:
                first = argument
                if isinstance(argument, (ast.List, ast.Tuple)) and argument.elts:
                    first = argument.elts[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    words = first.value.split()
                    if words and words[0].rpartition("/")[2] in PROGRAMS:
                        yield f"{line}: runs {words[0]}"
        if isinstance(node, ast.Constant) and node.value in FILES:
            yield f"{line}: {node.value}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_one_module_signals(path: Path) -> None:
    found = list(offences(path.read_text("utf-8"), own=path == THE_ONE))
    if path == CGROUP:
        found = [one for one in found if "cgroup.kill" not in one]
    assert not found, f"{path.relative_to(ROOT)} must signal through killing.signals: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.kill(1, 9)",
        "import os as o\no.killpg(1, 9)",
        "from os import kill",
        "from os import kill as k",
        "from signal import *",
        "import signal\nsignal.pidfd_send_signal(3, 9)",
        "import signal\nf = signal.pidfd_send_signal",
        "child.terminate()",
        "psutil.Process(1).kill()",
        "child.send_signal(2)",
        "getattr(child, 'kill')()",
        "import resource\nresource.prlimit(1, 0, (0, 0))",
        "libc.syscall(62, 1, 9)",
        "NR = 424\nlibc.syscall(NR, 3, 9, 0, 0)",
        "subprocess.run(['pkill', '-f', 'x'])",
        "subprocess.run(['/bin/kill', '1'])",
        "os.system('kill 1')",
        "os.execvp('kill', ['kill', '1'])",
        "open(f'{path}/' + 'cgroup.kill', 'w')",
    ],
)
def test_the_rule_itself_sees_each_way(source: str) -> None:
    assert list(offences(source))
