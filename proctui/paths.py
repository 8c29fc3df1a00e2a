"""Where proctui keeps things, per the XDG base directory specification.

State stands under the *state* directory, never the runtime directory: a
log-out wipes the latter while jobs live on.  HOME may be missing (MCP
clients start servers with a bare environment), so the password database is
the last word on it.

Places are strings, and :mod:`pathlib` is only loaded for whoever wants a
``Path``: it takes urllib along, a megabyte that each runner would carry.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "config_file",
    "config_place",
    "fallback_state_dir",
    "home",
    "state_candidates",
    "state_places",
    "styles_dir",
]


def home() -> str:
    """The user's home: ``$HOME`` if absolute, else the password database's entry."""
    named = os.environ.get("HOME", "")
    return named if named.startswith("/") else _home_on_record() or "/"


def _home_on_record() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _xdg(variable: str, default: str) -> str:
    """An XDG directory; the specification says that relative values are ignored."""
    named = os.environ.get(variable, "")
    return named if named.startswith("/") else f"{home()}/{default}"


def _fallback() -> str:
    """``PROCTUI_FALLBACK`` names another place and closes the registry off: then nothing but
    that and the state directory of this environment is looked into (test suites, sandboxes).
    """
    named = os.environ.get("PROCTUI_FALLBACK", "")
    return named if named.startswith("/") else f"/tmp/proctui-{os.getuid()}"


def fallback_state_dir() -> Path:
    """Where state goes when the state directory can't be written."""
    return _path(_fallback())


def state_places() -> list[str]:
    """Every directory that may hold sessions, best first.

    Writers take the first that works, readers look into all.  The home of
    the password database is among them, so that a program started with
    another HOME or XDG_STATE_HOME still finds what a shell started.
    """
    places = [_xdg("XDG_STATE_HOME", ".local/state") + "/proctui"]
    on_record = _home_on_record()
    if on_record is not None and not os.environ.get("PROCTUI_FALLBACK"):
        places.append(f"{on_record}/.local/state/proctui")
    places.append(_fallback())
    return list(dict.fromkeys(os.path.normpath(place) for place in places))


def state_candidates() -> list[Path]:
    """The :func:`state_places` for whoever walks on from there."""
    return [_path(place) for place in state_places()]


def config_place() -> str:
    """``proctui/config.toml`` under the XDG config directory."""
    return _xdg("XDG_CONFIG_HOME", ".config") + "/proctui/config.toml"


def config_file() -> Path:
    return _path(config_place())


def styles_dir() -> Path:
    """The folder of the ``.tcss`` files: inside the wheel, or beside the package in a checkout."""
    here = _path(__file__).resolve().parent
    return next(
        (path for path in (here / "styles", here.parent / "styles") if path.is_dir()),
        here / "styles",
    )


def _path(place: str) -> Path:
    from pathlib import Path

    return Path(place)
