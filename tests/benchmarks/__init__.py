"""Programs that measure; each names its goals, and no test depends on a figure."""

import os

# An installed program has its bytecode; the first round of each benchmark writes it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
