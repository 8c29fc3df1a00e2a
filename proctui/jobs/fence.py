"""The fence: what runs inside cannot signal anything outside; the kernel sees to it.

Landlock's signal scope (landlock(7), ABI 6, Linux 6.12) refuses every signal
whose receiver is not in the sender's domain or a child domain of it, whatever
the verb: ``kill``, ``pkill``, ``killpg``, a pidfd, ``F_SETOWN``.  Landlock
also refuses ptrace-class access outward.  It leaves open a few other ways to
harm a process of the same user; a seccomp filter (seccomp(2)) closes those
that are system calls:

- ``prlimit64`` that *sets* a limit of another process: ``RLIMIT_CPU`` 0 kills
  a busy one with a signal that the kernel itself sends;
- the ``TIOCSTI`` and ``TIOCLINUX`` ioctls, which type into the terminal's
  input, where a shell outside reads them.

``proctui help fence`` lists what stays open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from typing import NoReturn

from proctui.errors import NotSupported
from proctui.jobs.program import become

__all__ = ["apply", "exec_fenced", "landlock_abi", "missing"]

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_SCOPE_SIGNAL = 1 << 1
_SIGNAL_SCOPE_ABI = 6

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RET_ALLOW = 0x7FFF0000
_RET_EPERM = 0x00050000 | errno.EPERM

# Classic BPF, linux/bpf_common.h; offsets into struct seccomp_data.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCH = 0, 4

_X32_BIT = 0x40000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ARCHES = {
    # machine: (AUDIT_ARCH, {prlimit64 numbers}, {ioctl numbers})
    "x86_64": (0xC000003E, (302, 302 | _X32_BIT), (16, 514 | _X32_BIT)),
    "aarch64": (0xC00000B7, (261,), (29,)),
}
# The 32-bit personalities a 64-bit kernel also runs: (AUDIT_ARCH, prlimit64, ioctl).
_COMPAT = {"x86_64": (0x40000003, (340,), (54,)), "aarch64": (0x40000028, (369,), (54,))}


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def landlock_abi() -> int:
    """The kernel's Landlock ABI version; 0 where it has none or it is switched off."""
    if not hasattr(os, "pidfd_open"):
        return 0
    version = _libc().syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    return max(0, int(version))


def missing() -> str | None:
    """Why there can be no fence here, in words; ``None`` where it works."""
    if platform.machine() not in _ARCHES:
        return f"no seccomp filter is written for {platform.machine()}"
    abi = landlock_abi()
    if abi == 0:
        return "the kernel has no Landlock, or it is not among the active security modules"
    if abi < _SIGNAL_SCOPE_ABI:
        return f"Landlock's signal scope needs ABI {_SIGNAL_SCOPE_ABI} (Linux 6.12); this kernel has ABI {abi}"
    return None


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, 0, 0, offset)


def _argument(index: int, half: int = 0) -> int:
    """Offset of the low (0) or high (1) half of a system call's argument, little-endian."""
    return 16 + 8 * index + 4 * half


def _arch_block(prlimit: tuple[int, ...], ioctl: tuple[int, ...]) -> bytes:
    """The rules for one architecture; ends in a return on every path."""
    allow, refuse = _instruction(_RETURN, 0, 0, _RET_ALLOW), _instruction(_RETURN, 0, 0, _RET_EPERM)
    # prlimit64(pid, resource, new, old): the own process, or no new limit, is fine.
    set_of_other = b"".join(
        [
            _load(_argument(0)),
            _instruction(_JUMP_EQUAL, 4, 0, 0),
            _load(_argument(2)),
            _instruction(_JUMP_EQUAL, 0, 3, 0),
            _load(_argument(2, 1)),
            _instruction(_JUMP_EQUAL, 0, 1, 0),
            allow,
            refuse,
        ]
    )
    typing = b"".join(
        [
            _load(_argument(1)),
            _instruction(_JUMP_EQUAL, 2, 0, _TIOCSTI),
            _instruction(_JUMP_EQUAL, 1, 0, _TIOCLINUX),
            allow,
            refuse,
        ]
    )
    block = _load(_NUMBER)
    for numbers, rules in ((prlimit, set_of_other), (ioctl, typing)):
        length = len(rules) // 8
        for index, number in enumerate(numbers):
            left = len(numbers) - 1 - index
            if left:
                block += _instruction(_JUMP_EQUAL, left, 0, number)
            else:
                block += _instruction(_JUMP_EQUAL, 0, length, number)
        block += rules
    return block + allow


def _program() -> bytes:
    """The whole filter: one block for the machine's own architecture, one for its 32-bit one."""
    machine = platform.machine()
    program = _load(_ARCH)
    for arch, prlimit, ioctl in (_ARCHES[machine], _COMPAT[machine]):
        block = _arch_block(prlimit, ioctl)
        program += _instruction(_JUMP_EQUAL, 0, len(block) // 8, arch) + block
    return program + _instruction(_RETURN, 0, 0, _RET_ALLOW)


def _must(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise NotSupported(f"the fence could not be raised: {what}: {os.strerror(number)}", _HINT)
    return result


_HINT = "`proctui doctor` says what is missing; without the fence nothing is run"


def apply() -> None:
    """Fence the calling process and all it will ever start. There is no way back.

    Call it in a single-threaded process, right before ``exec``.  Sets
    ``no_new_privs``: set-user-id programs (sudo) no longer gain anything.
    Raises :class:`NotSupported` where the kernel lacks a part; then the caller
    must not go on.
    """
    reason = missing()
    if reason:
        raise NotSupported(f"there is no fence here: {reason}", _HINT)
    libc = _libc()
    _must(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    attributes = struct.pack("=QQQ", 0, 0, _SCOPE_SIGNAL)
    ruleset = _must(
        libc.syscall(
            ctypes.c_long(_LANDLOCK_CREATE_RULESET),
            ctypes.c_char_p(attributes),
            ctypes.c_size_t(len(attributes)),
            ctypes.c_uint32(0),
        ),
        "landlock_create_ruleset",
    )
    try:
        _must(
            libc.syscall(
                ctypes.c_long(_LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0)
            ),
            "landlock_restrict_self",
        )
    finally:
        os.close(ruleset)
    program = _program()
    body = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(
        struct.pack("@HP", len(program) // 8, ctypes.addressof(body))
    )
    _must(
        libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), head, 0, 0),
        "the seccomp filter",
    )


def exec_fenced(argv: Sequence[str]) -> NoReturn:
    """Become ``argv`` behind the fence; raises :class:`NotSupported` or ``OSError`` instead."""
    apply()
    become(argv)
