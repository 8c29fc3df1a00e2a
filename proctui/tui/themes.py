"""Our themes: dark, light, high contrast, and one that colour-blind people can tell apart.

Roles have colours of their own beside the theme's: ``role-protected``,
``role-baseline``, ``role-spawned``, ``role-stray``, ``role-unknown``.
"""

from __future__ import annotations

from textual.theme import Theme

__all__ = ["DEFAULT", "SIXTEEN", "THEMES", "role_defaults"]

DEFAULT = "proctui-dark"
SIXTEEN = "proctui-sixteen"
"""For terminals of sixteen colours: nothing in it is rounded to white."""


def _roles(
    protected: str, baseline: str, spawned: str, stray: str, unknown: str, share: str, whole: str
) -> dict[str, str]:
    return {
        "role-protected": protected,
        "role-baseline": baseline,
        "role-spawned": spawned,
        "role-stray": stray,
        "role-unknown": unknown,
        "graph-share": share,
        "graph-whole": whole,
    }


THEMES = (
    Theme(
        name="proctui-dark",
        primary="#7aa2f7",
        secondary="#5a6a9a",
        accent="#7dcfff",
        foreground="#c8d0e0",
        background="#11141b",
        surface="#161a23",
        panel="#1d2230",
        success="#8fd18a",
        warning="#e8b45a",
        error="#f2707a",
        dark=True,
        variables=_roles(
            "#b79cf0", "#7f8aa3", "#7fd3a4", "#f5a35c", "#9aa5bd", "#7fd3a4", "#3f5a86"
        ),
    ),
    Theme(
        name="proctui-light",
        primary="#2f5fb3",
        secondary="#6c7fa6",
        accent="#0b6aa8",
        foreground="#232833",
        background="#fbfaf7",
        surface="#f3f1ec",
        panel="#e8e5de",
        success="#2b7a3f",
        warning="#9a6200",
        error="#b3262f",
        dark=False,
        variables=_roles(
            "#6b3fb0", "#6d7585", "#17724a", "#b4530a", "#5a6374", "#17724a", "#a9bddb"
        ),
    ),
    Theme(
        name="proctui-contrast",
        primary="#ffffff",
        secondary="#c0c0c0",
        accent="#ffff00",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1c1c1c",
        success="#00ff66",
        warning="#ffd700",
        error="#ff6060",
        dark=True,
        text_alpha=1.0,
        variables=_roles(
            "#ff9cff", "#c8c8c8", "#00ff87", "#ffb000", "#e0e0e0", "#00ff87", "#6f8fff"
        ),
    ),
    Theme(
        name="proctui-sixteen",
        primary="#5555ff",
        secondary="#00aaaa",
        accent="#55ffff",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        success="#55ff55",
        warning="#ffff55",
        error="#ff5555",
        dark=True,
        text_alpha=1.0,
        variables=_roles(
            "#ff55ff", "#aaaaaa", "#55ff55", "#ffff55", "#ffffff", "#55ff55", "#5555ff"
        ),
    ),
    Theme(
        name="proctui-colorblind",
        primary="#56b4e9",
        secondary="#7a8aa0",
        accent="#f0e442",
        foreground="#dfe3ea",
        background="#12141a",
        surface="#181b23",
        panel="#20242e",
        success="#56b4e9",
        warning="#e69f00",
        error="#d55e00",
        dark=True,
        variables=_roles(
            "#cc79a7", "#8a93a3", "#56b4e9", "#e69f00", "#b0b8c6", "#56b4e9", "#3a5068"
        ),
    ),
)
"""The last takes the palette of Okabe and Ito, made to be told apart with any colour vision."""


def role_defaults(dark: bool = True) -> dict[str, str]:
    """Role colours for themes that have none of their own (Textual's)."""
    chosen = THEMES[0] if dark else THEMES[1]
    return dict(chosen.variables)
