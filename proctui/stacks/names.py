"""What a process is called by what it does: test workers, ranks, pool workers.

Python tools rename themselves at run time (setproctitle(3) of PyPI writes
over argv), so argv is read again for every label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proctui.stacks.origins import Frame, module_of, short_file
from proctui.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proctui.model import ProcInfo

__all__ = ["label", "label_by_frames", "label_of", "label_of_pid", "read_argv", "read_environ"]

_XDIST = "[pytest-xdist running]"
_XDIST_IDLE = "[pytest-xdist idle]"
_ROLES = (
    ("multiprocessing.resource_tracker", "resource tracker"),
    ("multiprocessing.forkserver", "fork server"),
    ("multiprocessing.spawn", "spawned worker"),
)
_PLACES = {
    ("multiprocessing/pool.py", "worker"): "pool worker",
    ("concurrent/futures/process.py", "_process_worker"): "pool worker",
    ("torch/utils/data/_utils/worker.py", "_worker_loop"): "data loader's worker",
    ("multiprocessing/managers.py", "serve_forever"): "manager",
    ("multiprocessing/process.py", "_bootstrap"): "multiprocessing worker",
}
"""What a forked process does, which its command line, its parent's, can't tell."""
_RUNS_A_TEST = ("_pytest/python.py", "pytest_pyfunc_call")
_TITLED = ("gunicorn", "celery", "celeryd", "postgres", "nginx", "ray", "uvicorn")
"""They write over their title what each of their processes does: ``nginx: worker process``."""
_WANTED = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID",
    "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "DASK_WORKER_NAME", "CELERY_WORKER_NAME",
)  # fmt: skip
_WANTED_STARTS = tuple(f"{name}=".encode() for name in _WANTED)


def label(info: ProcInfo, environ: Mapping[str, str] | None = None) -> str | None:
    """What the process does, ``None`` where its command line says it already."""
    return label_of(info.cmdline or (), environ or {})


def label_of(argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Like :func:`label`, from an argument vector and an environment."""
    title = _of_title(argv)
    parts = [title] if title else []
    rank = _rank(environ)
    if rank:
        parts.append(rank)
    worker = environ.get("PYTEST_XDIST_WORKER")
    if worker and title and title.startswith("pytest worker"):
        parts[0] = title.replace("pytest worker", f"pytest worker {worker}", 1)
    elif worker and not title and _is_execnet(argv):
        parts.append(f"pytest worker {worker}")
    return sanitize(", ".join(parts)) or None


def _of_title(argv: Sequence[str]) -> str | None:
    joined = " ".join(argv).strip()
    if joined.startswith(_XDIST):
        test = joined.removeprefix(_XDIST).strip()
        return f"pytest worker, running {test}" if test else "pytest worker"
    if joined.startswith(_XDIST_IDLE):
        return "pytest worker, idle"
    for word, role in _ROLES:
        if f"from {word} import" in joined:
            return role
    if "--multiprocessing-fork" in argv:
        return "spawned worker"
    if any(
        word in ("pytest", "py.test") or word.endswith(("/pytest", "/py.test")) for word in argv[:3]
    ):
        return "pytest"
    program, colon, title = joined.partition(":")
    if colon and program in _TITLED and (title := title.lstrip(":").strip()):
        return f"{program} {title}"
    return None


def label_by_frames(known: str | None, frames: Sequence[Frame]) -> str | None:
    """A label with what the main thread's frames (innermost first) add to it."""
    for inner, frame in zip((None, *frames), frames, strict=False):
        if frame["kind"] != "python":
            continue
        place = (module_of(frame["file"] or "")[1], frame["function"].rpartition(".")[2])
        if place == _RUNS_A_TEST and inner is not None and "running" not in (known or ""):
            test = f"running {short_file(inner['file'])}::{inner['function']}"
            return f"{known}, {test}" if known else test
        if place in _PLACES and known is None:
            return _PLACES[place]
    return known


def _is_execnet(argv: Sequence[str]) -> bool:
    return any("execnet" in word or word.startswith("import sys;exec(eval(") for word in argv)


def _rank(environ: Mapping[str, str]) -> str | None:
    for name in ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"):
        if environ.get(name, "").isdigit():
            world = environ.get("WORLD_SIZE", "")
            local = environ.get("LOCAL_RANK", "")
            text = f"rank {environ[name]}" + (f" of {world}" if world.isdigit() else "")
            return text + (f", local rank {local}" if local.isdigit() else "")
    return None


def _words(path: str, starts: tuple[bytes, ...] = (b"",)) -> list[str]:
    """The words with one of these beginnings: most of an environment is nobody's name."""
    try:
        with open(path, "rb", buffering=0) as file:
            raw = file.read(1 << 18)
    except OSError:
        return []
    return [
        sanitize(word.decode("utf-8", "replace"))
        for word in raw.rstrip(b"\0").split(b"\0")
        if word.startswith(starts)
    ]


def read_argv(pid: int) -> tuple[str, ...]:
    """The argument vector now, sanitised and redacted; empty where it can't be read."""
    from proctui.redact import redact_argv

    words = _words(f"/proc/{pid}/cmdline")
    return redact_argv(words) if words != [""] else ()


def read_environ(pid: int) -> dict[str, str]:
    """Only the variables that name a process; empty where they can't be read.

    This is the environment at the last exec: a forked worker that set its
    rank itself does not show it here.
    """
    pairs = (word.partition("=") for word in _words(f"/proc/{pid}/environ", _WANTED_STARTS))
    return {name: value for name, _, value in pairs}


def label_of_pid(pid: int) -> str | None:
    """:func:`label` for a living process, read from ``/proc``."""
    found = label_of(_words(f"/proc/{pid}/cmdline"), read_environ(pid))
    if found is None:
        return None
    from proctui.redact import redact_text

    return redact_text(found)
