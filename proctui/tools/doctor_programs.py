"""Programs, modules, the terminal and the places we write to."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from proctui import config, paths
from proctui.errors import BadArgument
from proctui.tools.doctor_kernel import as_root

__all__ = ["CHECKS", "pip_install"]

Finding = tuple[bool, str, str | None]

_INSTALLERS = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "pacman": "pacman -S --noconfirm",
    "apk": "apk add",
    "zypper": "zypper install -y",
}


def _install(package: str) -> str:
    if shutil.which("brew"):
        return f"brew install {package}"
    command = next((line for tool, line in _INSTALLERS.items() if shutil.which(tool)), None)
    if command is None:
        return f"install {package} with the system's package manager"
    return as_root(f"{command} {package}")


def pip_install(package: str) -> str:
    """Installs what we require ourselves, with the versions that we were tried with."""
    return f"{sys.executable} -m pip install '{_requirement(package)}'"


def _requirement(package: str) -> str:
    try:
        ours = importlib.metadata.requires("proctui") or []
    except importlib.metadata.PackageNotFoundError:
        return package
    name = re.compile(rf"{re.escape(package)}(?![\w.-])")
    return next((one.partition(";")[0].strip() for one in ours if name.match(one)), package)


def _program(name: str) -> str | None:
    """Its path: beside our interpreter (a virtual environment's own) or on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(name)


def _version_of(path: str) -> str:
    done = subprocess.run(
        [path, "--version"],
        capture_output=True,
        text=True,
        timeout=10,
        stdin=subprocess.DEVNULL,
        check=False,
        start_new_session=True,
    )
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _tool(name: str, use: str, fix: Callable[[], str]) -> Finding:
    path = _program(name)
    if path is None:
        return False, f"not found: no {use}", fix()
    return True, f"{_version_of(path)} ({path})", None


def _py_spy() -> Finding:
    return _tool("py-spy", "stacks of Python programs", lambda: pip_install("py-spy"))


def _gdb() -> Finding:
    return _tool("gdb", "native debugger, nor debugpy before Python 3.14", lambda: _install("gdb"))


def _eu_stack() -> Finding:
    return _tool("eu-stack", "fast native stacks", lambda: _install("elfutils"))


def _module(name: str, package: str, use: str, fix: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return False, f"not installed: {use}", fix
    return True, f"{package} {importlib.metadata.version(package)}", None


def _re2() -> Finding:
    return _module(
        "re2",
        "google-re2",
        "patterns run on Python's re, with a time limit",
        pip_install("google-re2"),
    )


def _mcp() -> Finding:
    return _module("mcp", "mcp", "no `proctui mcp`", pip_install("mcp"))


def _textual() -> Finding:
    return _module("textual", "textual", "no dashboard", pip_install("textual"))


def _python() -> Finding:
    return True, f"Python {platform.python_version()} ({sys.executable})", None


def _terminal() -> Finding:
    name = os.environ.get("TERM", "")
    size = next(filter(None, map(_size, (0, 1, 2))), None)
    if size is None:
        return True, "none here (output goes to a pipe or file)", None
    colours = _colours(name)
    text = f"{name or 'no TERM'}, {colours}, {size[0]}x{size[1]}"
    if name in ("", "dumb"):
        return False, f"{text}: no dashboard on it", "export TERM=xterm-256color"
    if size[0] < 80 or size[1] < 24:
        return False, f"{text}: panes get cramped", "make the window at least 80x24"
    if colours == "16 colours":
        return False, f"{text}: themes are approximated", "export TERM=xterm-256color"
    return True, text, None


def _size(descriptor: int) -> tuple[int, int] | None:
    try:
        return tuple(os.get_terminal_size(descriptor))  # type: ignore[return-value]
    except OSError:
        return None


def _colours(name: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR is set)"
    if name in ("", "dumb"):
        return "no colours"
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in name:
        return "16 million colours"
    if "256" in name or re.match(r"(xterm-)?(kitty|ghostty|alacritty|foot|wezterm)", name):
        return "256 colours"
    return "16 colours"


def _state() -> Finding:
    """The first place that takes a file is where sessions go."""
    wanted = paths.state_candidates()[0]
    for directory in paths.state_candidates():
        probe = directory / f".doctor-{os.getpid()}"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            probe.unlink()
        except OSError:
            continue
        status = directory.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return False, f"{directory}: others may write there", f"chmod 700 {directory}"
        free = shutil.disk_usage(directory).free
        if free < 512 << 20:
            return False, f"{directory}: only {free >> 20} MB left", f"free space under {directory}"
        if directory != wanted:
            return (
                False,
                f"{directory} in place of {wanted}",
                f"mkdir -p {wanted} && chmod 700 {wanted}",
            )
        return True, f"{directory}, {free >> 30} GB free", None
    return False, f"no place for sessions: {wanted} can't be written", f"mkdir -p {wanted}"


def _config() -> Finding:
    path = paths.config_file()
    try:
        config.load(path)
    except BadArgument as error:
        return False, error.message, f"edit {path}: {error.hint}"
    return True, str(path) if path.exists() else f"none ({path}): the defaults hold", None


CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    ("python", _python),
    ("py-spy", _py_spy),
    ("gdb", _gdb),
    ("eu-stack", _eu_stack),
    ("re2", _re2),
    ("mcp", _mcp),
    ("textual", _textual),
    ("terminal", _terminal),
    ("state", _state),
    ("config", _config),
)
