"""What is never signalled, whatever else is known: by identity, never by a stale number.

Three sources: what the system needs (pid 1, kernel threads, the user's
service manager), what the configuration names, and what code registered
here (``ProcessProtection``, proctui's own helper programs).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from proctui.config import Protect
from proctui.errors import BadArgument, ProctuiError
from proctui.machine import identity as kernel
from proctui.model import Identity, Proc, ProcInfo

__all__ = ["Rules", "add", "add_helper", "discard", "register", "registered"]

Key = tuple[str, int, str, int | None]
Hook = Callable[[], Iterable[Identity]]

_HELPER = "proctui's own helper"
_HELPERS = 64
"""Helpers remembered before those that ended are forgotten."""

_lock = threading.Lock()
_added: dict[Key, tuple[Identity, str]] = {}
_hooks: list[tuple[Hook, str]] = []


def add(identity: Identity, reason: str) -> None:
    """Protect this very process until it ends or :func:`discard`."""
    with _lock:
        _added[identity.key] = (identity, reason)


def add_helper(pid: int) -> Identity | None:
    """Protect a program that proctui itself started (call it right after the start)."""
    try:
        identity = kernel.identify(pid)
    except ProctuiError:
        return None
    with _lock:
        known = [kept for kept, reason in _added.values() if reason == _HELPER]
    if len(known) >= _HELPERS:
        for kept in known:
            if not kernel.alive(kept):
                discard(kept)
    add(identity, _HELPER)
    return identity


def discard(identity: Identity) -> None:
    with _lock:
        _added.pop(identity.key, None)


def register(hook: Hook, reason: str) -> None:
    """Ask ``hook`` at every look which identities are protected (cheap, must not raise)."""
    with _lock:
        if all(known is not hook for known, _ in _hooks):
            _hooks.append((hook, reason))


def registered() -> dict[Key, str]:
    """Everything registered by code, with the reason."""
    with _lock:
        found = {key: reason for key, (_, reason) in _added.items()}
        hooks = list(_hooks)
    for hook, reason in hooks:
        for identity in hook():
            found.setdefault(identity.key, reason)
    return found


class Rules(NamedTuple):
    """The configuration's ``[protect]``, made ready: pids are identities from here on."""

    names: frozenset[str] = frozenset()
    commands: tuple[re.Pattern[str], ...] = ()
    identities: Mapping[Key, str] = MappingProxyType({})

    @classmethod
    def of(cls, config: Protect) -> Rules:
        """Raises :class:`BadArgument` for a pattern that is none: it would protect nothing."""
        commands = []
        for pattern in config.commands:
            try:
                commands.append(re.compile(pattern))
            except re.error as error:
                raise BadArgument(
                    f"protect.commands: {pattern!r} is no regular expression: {error}",
                    "mend it in the configuration",
                ) from error
        identities: dict[Key, str] = {}
        for pid in config.pids:
            try:
                identities[kernel.identify(pid).key] = f"the configuration protects pid {pid}"
            except ProctuiError:
                continue
        return cls(frozenset(config.names), tuple(commands), identities)

    @property
    def needs_info(self) -> bool:
        return bool(self.names or self.commands)

    def reason(self, proc: Proc, info: ProcInfo | None) -> str | None:
        """Why the configuration protects this process, or ``None``."""
        named = self.identities.get(proc.identity.key)
        if named is not None:
            return named
        if self.names:
            if proc.name in self.names:
                return f"the configuration protects the name {proc.name}"
            base = os.path.basename(info.exe) if info is not None and info.exe else None
            if base in self.names:
                return f"the configuration protects the program {base}"
        if self.commands and info is not None and info.cmdline:
            line = " ".join(info.cmdline)
            for pattern in self.commands:
                if pattern.search(line):
                    return f"the configuration protects commands like {pattern.pattern}"
        return None


def of_the_system(proc: Proc) -> str | None:
    """Why the system needs this process, or ``None``."""
    if proc.pid == 1:
        return "process 1: the system's first process"
    if proc.kernel:
        return "a kernel thread"
    return None


def service_manager(proc: Proc) -> str | None:
    """Whether this is a user's service manager (systemd.special(7)): init's own child."""
    if proc.name == "systemd" and proc.ppid == 1:
        return "the user's service manager"
    return None
