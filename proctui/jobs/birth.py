"""Forking straight into the session's control group.

Writing a pid into ``cgroup.procs`` waits for a grace period of the whole
kernel (30 ms and more, measured); clone3(2) with ``CLONE_INTO_CGROUP`` (Linux
5.7) puts the child there from its first instruction, at the price of a fork.
"""

from __future__ import annotations

import ctypes
import os
import signal

from proctui.awareness import cgroup

__all__ = ["Nest", "clear", "fork_into", "recall"]

_CLONE3 = 435
"""The same on every architecture (include/uapi/asm-generic/unistd.h)."""
_CLONE_INTO_CGROUP = 1 << 33
_MACHINES = ("x86_64", "aarch64")


class Nest:
    """The control group of one session: made before its command, removed after its last process."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.name = cgroup.create(session_id)

    def fork(self) -> int:
        """Like :func:`os.fork`, the child in the group where there is one."""
        path = cgroup.directory_of(self.name, self._session_id)
        if self.name is None or path is None:
            return os.fork()
        pid = fork_into(path)
        if pid is not None:
            return pid
        pid = os.fork()
        if pid == 0:
            cgroup.join(self.name, self._session_id)
        return pid


def recall(session_id: str) -> str | None:
    """The name of the group that a killed runner of ours made, ``None`` where there is none."""
    name = f"{(cgroup.own_path() or '').rstrip('/')}/proctui-{session_id}"
    path = cgroup.directory_of(name, session_id)
    return name if path is not None and os.path.isdir(path) else None


def clear(session_id: str) -> None:
    """Remove the group that a killed runner left, unless somebody is still in it."""
    name = recall(session_id)
    if name is not None:
        cgroup.remove(name)


def fork_into(directory: str) -> int | None:
    """Fork with the child in the control group ``directory``; ``None`` where that can't be.

    Only for a single-threaded process whose child soon calls ``exec``: the C
    library's own bookkeeping of a fork is passed over.
    """
    if os.uname().machine not in _MACHINES:
        return None
    try:
        group = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # struct clone_args: flags pidfd child_tid parent_tid exit_signal stack stack_size tls
        # set_tid set_tid_size cgroup
        arguments = (ctypes.c_uint64 * 11)()
        arguments[0] = _CLONE_INTO_CGROUP
        arguments[4] = signal.SIGCHLD
        arguments[10] = group
        # PyDLL keeps the interpreter's lock: the child goes on as the only thread that holds it.
        call = ctypes.PyDLL(None, use_errno=True).syscall
        call.restype = ctypes.c_long
        pid = int(
            call(ctypes.c_long(_CLONE3), arguments, ctypes.c_size_t(ctypes.sizeof(arguments)))
        )
    finally:
        os.close(group)
    return None if pid < 0 else pid
