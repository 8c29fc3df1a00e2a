"""Where proctui keeps things, per the XDG base directory specification.

State stands under the *state* directory, never the runtime directory: a
log-out wipes the latter while jobs live on.  HOME may be missing (MCP
clients start servers with a bare environment), so the password database is
the last word on it.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

__all__ = ["config_file", "fallback_state_dir", "home", "state_candidates", "styles_dir"]


def home() -> Path:
    """The user's home: ``$HOME`` if absolute, else the password database's entry."""
    named = os.environ.get("HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def _xdg(variable: str, default: str) -> Path:
    """An XDG directory; the specification says that relative values are ignored."""
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else home() / default


def fallback_state_dir() -> Path:
    """Where state goes when the state directory can't be written.

    ``PROCTUI_FALLBACK`` names another place and closes the registry off: then
    nothing but that and the state directory of this environment is looked
    into (test suites, sandboxes).
    """
    named = os.environ.get("PROCTUI_FALLBACK", "")
    return Path(named) if named.startswith("/") else Path(f"/tmp/proctui-{os.getuid()}")


def state_candidates() -> list[Path]:
    """Every directory that may hold sessions, best first.

    Writers take the first that works, readers look into all.  The home of
    the password database is among them, so that a program started with
    another HOME or XDG_STATE_HOME still finds what a shell started.
    """
    candidates = [_xdg("XDG_STATE_HOME", ".local/state") / "proctui"]
    if not os.environ.get("PROCTUI_FALLBACK"):
        try:
            candidates.append(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/proctui")
        except KeyError:
            pass
    candidates.append(fallback_state_dir())
    return list(dict.fromkeys(candidates))


def config_file() -> Path:
    """``proctui/config.toml`` under the XDG config directory."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "proctui" / "config.toml"


def styles_dir() -> Path:
    """The folder of the ``.tcss`` files: inside the wheel, or beside the package in a checkout."""
    here = Path(__file__).resolve().parent
    return next(
        (path for path in (here / "styles", here.parent / "styles") if path.is_dir()),
        here / "styles",
    )
