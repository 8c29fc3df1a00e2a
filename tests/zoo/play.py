"""What the plays of the zoo share."""

from __future__ import annotations

import os

FOREVER = 3600.0


def ready() -> None:
    """Tell whoever started the play that everything stands, or soon will, as it shall."""
    os.write(1, b"ready\n")
