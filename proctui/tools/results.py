"""What each tool returns, key by key: plain dicts, ready for JSON.

A figure that could not be read is ``None`` and its name stands in ``denied``;
bytes, seconds and percents are numbers, times ISO 8601 with zone.  Results
may carry more keys than are named here, never fewer.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = [
    "Attachment",
    "Background",
    "CpuProfile",
    "ErrorBody",
    "Hangs",
    "Inspection",
    "Kill",
    "LogAnalysis",
    "MemoryProfile",
    "Output",
    "ProcessRef",
    "ProcessTree",
    "Responding",
    "Sessions",
    "Spawned",
    "Stack",
    "SystemResources",
    "TreeNode",
]


class ErrorBody(TypedDict):
    """What stands under ``error`` where a result could not be had, or not whole."""

    kind: str
    message: str
    hint: str | None


class ProcessRef(TypedDict):
    """A process named inside another's result."""

    pid: int
    identity: str | None
    name: str
    role: str


class ProcessMemory(TypedDict):
    """Bytes; ``pss`` and ``uss`` only where a pid was given."""

    pid: int
    name: str
    role: str
    rss: int | None
    vms: int | None
    shared: int | None
    swap: int | None
    pss: int | None
    uss: int | None


class SystemMemory(TypedDict):
    total: int | None
    available: int | None
    used: int | None
    percent: float | None
    swap_total: int | None
    swap_used: int | None


class MemoryProfile(TypedDict):
    total: int | None
    processes: list[ProcessMemory]
    system: SystemMemory
    denied: list[str]


class ProcessCpu(TypedDict):
    """``usage`` in percent of one core, ``user`` and ``system`` in seconds within the duration."""

    pid: int
    name: str
    role: str
    usage: float | None
    user: float | None
    system: float | None
    threads: int | None


class HotFunction(TypedDict):
    """``share`` of the samples, 0 to 1, in which the function was innermost."""

    function: str
    file: str
    line: int | None
    share: float


class CpuProfile(TypedDict):
    usage: float | None
    basis: str
    duration: float
    user: float | None
    system: float | None
    cores: int
    per_core: list[float]
    processes: list[ProcessCpu]
    denied: list[str]
    hot: NotRequired[list[HotFunction] | None]
    warnings: NotRequired[list[str]]


class Inspection(TypedDict):
    pid: int
    identity: str | None
    name: str
    exe: str | None
    cmdline: list[str] | None
    cwd: str | None
    user: str | None
    status: str
    role: str
    certainty: str
    evidence: list[str]
    unchecked: list[str]
    parent: ProcessRef | None
    ancestors: list[ProcessRef]
    children: list[ProcessRef]
    pgid: int
    sid: int
    tty: str | None
    started: str | None
    age: float | None
    nice: int | None
    affinity: list[int] | None
    cpu: dict[str, Any]
    memory: dict[str, Any]
    io: dict[str, Any] | None
    connections: list[dict[str, Any]] | None
    fds: int | None
    threads: Any
    limits: dict[str, Any] | None
    cgroup: str | None
    container: str | None
    ctx_switches: dict[str, Any] | None
    environ: dict[str, str] | None
    wait: str | None
    denied: list[str]
    files: NotRequired[list[dict[str, Any]] | None]
    warnings: NotRequired[list[str]]


class SystemResources(TypedDict):
    """Only the sections that were asked for."""

    denied: list[str]
    cpu: NotRequired[dict[str, Any]]
    memory: NotRequired[dict[str, Any]]
    disk: NotRequired[list[dict[str, Any]] | None]
    disk_io: NotRequired[dict[str, Any] | None]
    network: NotRequired[list[dict[str, Any]] | None]


class TreeNode(TypedDict):
    pid: int
    identity: str | None
    name: str
    cmdline: list[str] | None
    role: str
    certainty: str
    status: str
    rss: int | None
    cpu: float | None
    children: list[TreeNode]


class ProcessTree(TypedDict):
    root: TreeNode
    text: str
    denied: list[str]


class Stack(TypedDict):
    pid: int
    threads: list[dict[str, Any]]
    tool: str | None
    mode: str | None
    paused_ms: float
    warnings: list[str]
    text: str


class LogAnalysis(TypedDict):
    file: dict[str, Any]
    scanned: dict[str, Any]
    time: dict[str, Any]
    levels: dict[str, Any]
    pattern: dict[str, Any]
    errors: list[dict[str, Any]]
    tracebacks: list[dict[str, Any]]
    timeline: dict[str, Any]
    limits: dict[str, Any]
    warnings: list[str]


class Attachment(TypedDict):
    pid: int
    identity: str
    how: str
    command: list[str]
    risks: list[str]
    port: int | None
    interactive: bool


class HangVerdict(TypedDict):
    pid: int
    identity: str | None
    verdict: str
    evidence: list[str]
    cycle: list[int] | None


class Hangs(TypedDict):
    verdicts: list[HangVerdict]
    graph: list[dict[str, Any]]
    warnings: list[str]
    denied: list[str]


class Responding(TypedDict):
    """A plain answer, in the object that every face gives."""

    result: bool


class PlanEntry(TypedDict):
    pid: int
    identity: str | None
    role: str
    certainty: str
    evidence: list[str]
    reason: str | None


class Plan(TypedDict):
    id: str
    targets: list[PlanEntry]
    refused: list[PlanEntry]


class KillOutcome(TypedDict):
    identity: str
    outcome: str
    errno: int | None
    signal_sent: int | str | None


class Kill(TypedDict):
    plan: Plan
    results: list[KillOutcome]


class SessionRow(TypedDict):
    """``foreign``: of another pid namespace (a container), so ``state`` is what its file says."""

    id: str
    label: str
    state: str
    leader: ProcessRef | None
    started: str | None
    parent: str | None
    strays: int | None
    foreign: bool


class Sessions(TypedDict):
    sessions: list[SessionRow]


class SpawnedProcess(TypedDict):
    pid: int
    identity: str | None
    name: str
    role: str
    certainty: str
    evidence: list[str]
    stray: bool
    parent: int | None
    status: str


class Spawned(TypedDict):
    session: str | None
    processes: list[SpawnedProcess]


class Background(TypedDict):
    name: str
    pid: int
    identity: str | None
    session: str | None
    owner: ProcessRef | None
    command: list[str]
    started: str | None


class Output(TypedDict):
    name: str
    pid: int
    identity: str | None
    running: bool
    exit_status: int | None
    ended: str | None
    lines: list[str]
    truncated: bool
