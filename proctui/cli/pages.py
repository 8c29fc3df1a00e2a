"""The shipped pages: ``proctui/docs/*.md``, shown by ``proctui help TOPIC``."""

from __future__ import annotations

from pathlib import Path

from proctui.errors import BadArgument

__all__ = ["page", "topics"]

_FOLDER = Path(__file__).resolve().parent.parent / "docs"


def topics() -> dict[str, str]:
    """Topic → the title of its page, sorted."""
    return {
        path.stem: path.read_text("utf-8").partition("\n")[0].lstrip("# ")
        for path in sorted(_FOLDER.glob("*.md"))
    }


def page(topic: str) -> str:
    """The Markdown of a page; :class:`BadArgument` lists the topics there are."""
    if topic not in topics():
        raise BadArgument(f"no page {topic!r}", f"there are: {', '.join(topics())}")
    return (_FOLDER / f"{topic}.md").read_text("utf-8")
