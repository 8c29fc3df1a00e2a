"""What the dashboard was asked for, by command line and configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proctui.config import Config

if TYPE_CHECKING:
    from proctui.tui.feed import Watching

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """``watch`` gives the views; ``job`` is the handle of a job that this process started.

    ``choices`` are the sessions to pick from where it is not clear which is
    meant, ``choose`` opens the picked one by its id.
    """

    watch: Watching
    job: Any = None
    config: Config = field(default_factory=Config)
    interval: float | None = None
    read_only: bool = False
    on_quit: str | None = None
    theme: str | None = None
    few_colours: bool = False
    choices: Sequence[Any] = ()
    choose: Callable[[str], Watching] | None = None

    @property
    def seconds(self) -> float:
        return self.interval if self.interval is not None else self.config.dashboard.interval

    @property
    def quit_policy(self) -> str:
        """``ask``, ``keep`` or ``end``."""
        return self.on_quit or self.config.dashboard.on_quit
