"""Everything psutil knows about one process, where there is no ``/proc``.

The keys are those of :func:`proctui.machine.details.inspect`; what the
platform does not tell is ``None`` and stands in ``denied``.
"""

from __future__ import annotations

import os
import time
from typing import Any

import psutil

from proctui import redact, text, units
from proctui.errors import AccessDenied, Changed, NoSuchProcess, check_pid
from proctui.machine import identity as identities
from proctui.model import Identity

__all__ = ["inspect"]

_UNKNOWN_HERE = (
    "affinity", "cgroup", "capabilities", "seccomp", "namespaces", "signals", "oom", "limits",
    "priority", "root",
)  # fmt: skip


def inspect(
    process: int | Identity, *, include_threads: bool = False, include_files: bool = False
) -> dict[str, Any]:
    """As :func:`proctui.machine.details.inspect`, by psutil.

    Raises :class:`NoSuchProcess`, :class:`Changed` and :class:`AccessDenied`.
    """
    pid = process.pid if isinstance(process, Identity) else check_pid(process)
    who = identities.identify(pid)
    if isinstance(process, Identity) and not who.same(process):
        raise Changed(f"pid {pid} belongs to another process now ({who}, not {process})")
    try:
        target = psutil.Process(pid)
        with target.oneshot():
            result = _everything(target, who, include_threads, include_files)
        if not target.is_running():
            raise NoSuchProcess(f"process {pid} ended while it was looked at")
    except psutil.ZombieProcess as error:
        raise AccessDenied(f"process {pid} is a zombie: nothing more is known") from error
    except psutil.NoSuchProcess as error:
        raise NoSuchProcess(f"no process {pid}") from error
    return result


def _everything(
    target: psutil.Process, who: Identity, include_threads: bool, include_files: bool
) -> dict[str, Any]:
    denied: list[str] = []

    def ask(name: str, figure: str) -> Any:
        method = getattr(target, name, None)
        try:
            answer = None if method is None else method()
            if answer not in (None, ""):
                return answer
        except (psutil.Error, NotImplementedError, OSError):
            pass  # noted below, as what the platform lacks altogether; its death shows at the end
        denied.append(figure)
        return None

    created = target.create_time()
    age = max(0.0, time.time() - created)
    times, memory, io = (
        ask("cpu_times", "cpu"),
        ask("memory_info", "memory"),
        ask("io_counters", "io"),
    )
    switches, uids, gids = (
        ask("num_ctx_switches", "ctx_switches"),
        ask("uids", "uids"),
        ask("gids", "gids"),
    )
    argv, environ = ask("cmdline", "cmdline"), ask("environ", "environ")
    threads = ask("threads", "threads")
    used = None if times is None else times.user + times.system
    result: dict[str, Any] = {
        "pid": target.pid,
        "identity": str(who),
        "name": text.sanitize(target.name()),
        "exe": _harmless(ask("exe", "exe")),
        "cmdline": None
        if argv is None
        else list(redact.redact_argv(list(map(text.sanitize, argv)))),
        "cwd": _harmless(ask("cwd", "cwd")),
        "user": _harmless(ask("username", "user")),
        "uids": None if uids is None else uids._asdict(),
        "gids": None if gids is None else gids._asdict(),
        "status": str(target.status()),
        "kernel": False,
        "ppid": target.ppid(),
        "pgid": _group(target.pid),
        "sid": _session(target.pid),
        "tty": _harmless(ask("terminal", "tty")),
        "started": units.iso_time(created),
        "age": round(age, 3),
        "nice": ask("nice", "nice"),
        "cpu": {
            "usage": round(used * 100 / age, 1) if used is not None and age > 0.05 else None,
            "basis": "lifetime",
            "user": None if times is None else times.user,
            "system": None if times is None else times.system,
        },
        "memory": {
            "rss": None if memory is None else memory.rss,
            "vms": None if memory is None else memory.vms,
            "shared": None,
            "swap": None,
            "pss": None,
            "uss": None,
        },
        "faults": None,
        "io": None if io is None else io._asdict() | {"read_rate": None, "write_rate": None},
        "connections": _connections(target, denied),
        "fds": ask("num_fds", "fds"),
        "threads": None if threads is None else len(threads),
        "container": None,
        "ctx_switches": None
        if switches is None
        else {"voluntary": switches.voluntary, "involuntary": switches.involuntary},
        "environ": None
        if environ is None
        else redact.redact_environ(
            {text.sanitize(name): text.sanitize(value) for name, value in environ.items()}
        ),
        "tracer": None,
        "warnings": [],
    }
    result |= dict.fromkeys(_UNKNOWN_HERE)
    denied += [*_UNKNOWN_HERE, "memory.shared", "memory.swap", "memory.pss", "memory.uss", "faults"]
    if include_threads and threads is not None:
        result["threads"] = [
            {"tid": one.id, "name": None, "state": None, "cpu": None, "user": one.user_time,
             "system": one.system_time}
            for one in threads
        ]  # fmt: skip
    if include_files:
        files = ask("open_files", "files")
        result["files"] = (
            None
            if files is None
            else [{"fd": one.fd, "path": text.sanitize(one.path), "kind": "file"} for one in files]
        )
    result["denied"] = list(dict.fromkeys(denied))
    return result


def _connections(target: psutil.Process, denied: list[str]) -> list[dict[str, Any]] | None:
    ask = getattr(target, "net_connections", None) or target.connections
    try:
        found = ask(kind="all")
    except (psutil.AccessDenied, OSError):
        denied.append("connections")
        return None
    return [
        {
            "fd": one.fd,
            "family": one.family.name.removeprefix("AF_").lower(),
            "type": one.type.name.removeprefix("SOCK_").lower(),
            "local": _endpoint(one.laddr),
            "remote": _endpoint(one.raddr),
            "state": one.status.lower(),
            "listening": one.status == psutil.CONN_LISTEN,
        }
        for one in found
    ]


def _endpoint(address: Any) -> str | None:
    if not address:
        return None
    if isinstance(address, str):
        return text.sanitize(address)
    return f"[{address.ip}]:{address.port}" if ":" in address.ip else f"{address.ip}:{address.port}"


def _harmless(value: Any) -> str | None:
    return text.sanitize(str(value)) if value else None


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
