"""What the dashboard was asked for, by command line and configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proctui.config import Config
from proctui.tui.feed import Watching

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """``open_watch`` gives the watch; ``job`` is the handle of a job that this process started."""

    open_watch: Callable[[], Watching]
    job: Any = None
    config: Config = field(default_factory=Config)
    interval: float | None = None
    read_only: bool = False
    on_quit: str | None = None
    clock: Callable[[], float] | None = None

    @property
    def seconds(self) -> float:
        return self.interval if self.interval is not None else self.config.dashboard.interval
