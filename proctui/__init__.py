"""Know what is yours, see what it does, find what hangs, kill only what is safe."""

from __future__ import annotations

from proctui._version import __version__

__all__ = ["__version__"]
