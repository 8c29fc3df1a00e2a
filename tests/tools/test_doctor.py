"""Every finding of the doctor, from facts that this machine need not have."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proctui.jobs import fence, isolate
from proctui.machine import identity
from proctui.tools import doctor, doctor_kernel, doctor_programs

KERNEL = dict(doctor_kernel.CHECKS)
PROGRAMS = dict(doctor_programs.CHECKS)
ALL = (1 << 41) - 1


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts files where the kernel's would be; what is not put there is missing."""

    def place(path: str | Path, *more: str) -> Path:
        return tmp_path / "root" / str(Path(path, *more)).lstrip("/")

    def put(files: dict[str, str] | None = None, *, uid: int = 0, caps: int = ALL) -> None:
        monkeypatch.setattr(doctor_kernel, "Path", place)
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        status = {"/proc/self/status": f"Name:\tx\nCapEff:\t{caps:016x}\nSeccomp:\t0\n"}
        for name, text in {**status, **(files or {})}.items():
            file = place(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return put


def finding(name: str) -> tuple[bool, str, str | None]:
    ok, detail, fix = {**KERNEL, **PROGRAMS}[name]()
    assert detail and ok == (fix is None)
    return ok, detail, fix


@pytest.mark.parametrize(
    ("system", "release", "fix"),
    [
        ("Linux", "6.9.1", None),
        ("Linux", "7.0-rc1", None),
        ("Linux", "5.15.0-91-generic", "boot a newer kernel (6.9 or later)"),
        ("Linux", "strange", "boot a newer kernel (6.9 or later)"),
        ("Darwin", "23.1.0", "use Linux"),
    ],
)
def test_kernel(
    system: str, release: str, fix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "release", lambda: release)
    ok, detail, told = finding("kernel")
    assert (ok, told) == (fix is None, fix) and release in detail


def test_pidfds_that_a_filter_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("pidfd")[0]

    def forbidden(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    ok, detail, fix = finding("pidfd")
    assert not ok and "Operation not permitted" in detail and "pidfd_open" in str(fix)


def test_pidfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "has_pidfs", lambda: True)
    assert finding("pidfs")[0]
    monkeypatch.setattr(identity, "has_pidfs", lambda: False)
    assert "6.9" in str(finding("pidfs")[2])


def test_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "landlock_abi", lambda: 6)
    monkeypatch.setattr(fence, "missing", lambda: None)
    assert finding("landlock")[:2] == (True, "ABI 6: `proctui fence` works")
    monkeypatch.setattr(fence, "missing", lambda: "no landlock here")
    assert finding("landlock")[1] == "no landlock here"


def test_seccomp(machine: Callable[..., None]) -> None:
    machine()
    assert "CONFIG_SECCOMP_FILTER" in str(finding("seccomp")[2])
    machine({"/proc/sys/kernel/seccomp/actions_avail": "kill_process errno\n"})
    assert finding("seccomp")[1] == "filters: kill_process errno"
    machine({"/proc/self/status": "CapEff:\t0\nSeccomp:\t2\n"})
    assert "runs under one" in finding("seccomp")[1]


MOUNTED = {
    "/proc/self/mounts": "none /cg cgroup2 rw 0 0\n",
    "/proc/self/cgroup": "1:cpu:/\n0::/user\n",
    "/cg/user/cgroup.procs": "",
}


@pytest.mark.parametrize(
    ("uid", "files", "fix"),
    [
        (0, {}, "mount -o remount,rw /cg"),
        (1000, {}, "sudo chown 1000 /cg/user /cg/user/cgroup.procs"),
        (
            1000,
            {"/run/systemd/system/x": ""},
            "systemd-run --user --scope -p Delegate=yes proctui run -- CMD",
        ),
    ],
)
def test_a_cgroup_that_is_not_ours(
    uid: int,
    files: dict[str, str],
    fix: str,
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    machine({**MOUNTED, **files}, uid=uid)
    assert finding("cgroup")[:2] == (True, "/cg: writable, a job can have a cgroup of its own")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    ok, detail, told = finding("cgroup")
    assert not ok and detail.startswith("/cg: not ours")
    assert str(told).replace(f"{tmp_path}/root", "") == fix


@pytest.mark.parametrize(
    ("uid", "fix"),
    [
        (0, "mount -t cgroup2 none /sys/fs/cgroup"),
        (1, "sudo mount -t cgroup2 none /sys/fs/cgroup"),
    ],
)
def test_no_cgroup_at_all(uid: int, fix: str, machine: Callable[..., None]) -> None:
    machine({**MOUNTED, "/proc/self/mounts": "cpu /cpu cgroup rw 0 0\n"}, uid=uid)
    assert finding("cgroup")[2] == fix


@pytest.mark.parametrize(
    ("knob", "value", "fix"),
    [
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "user/max_user_namespaces",
            "9",
            "docker run --security-opt seccomp=unconfined … (or the like)",
        ),
    ],
)
def test_user_namespaces(
    knob: str,
    value: str,
    fix: str,
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine({f"/proc/sys/{knob}": f"{value}\n"}, uid=1000)
    monkeypatch.setattr(isolate, "missing", lambda: "unshare: not permitted")
    assert finding("user-namespaces") == (False, "unshare: not permitted", fix)
    monkeypatch.setattr(isolate, "missing", lambda: None)
    assert finding("user-namespaces")[0]


@pytest.mark.parametrize(
    ("error", "word"),
    [(PermissionError(1, "not permitted"), "not permitted"), (TimeoutError(), "no answer")],
)
def test_proc_connector(error: OSError, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(doctor_kernel.socket, "socket", fails)
    ok, detail, fix = finding("proc-connector")
    assert not ok and detail.startswith(word) and "CONFIG_PROC_EVENTS" in str(fix)


@pytest.mark.parametrize(
    ("uid", "caps", "word"),
    [(0, ALL, None), (1000, ALL, None), (0, 1 << 5, "--cap-add SYS_PTRACE"), (1000, 0, "as root")],
)
def test_permissions(uid: int, caps: int, word: str | None, machine: Callable[..., None]) -> None:
    machine(uid=uid, caps=caps)
    ok, detail, fix = finding("permissions")
    assert f"uid {uid}" in detail and ok == (word is None) and (word or "") in str(fix)


@pytest.mark.parametrize(
    ("scope", "caps", "word"),
    [
        (None, 0, "not active"),
        ("0", 0, "no hindrance"),
        ("1", ALL, "no hindrance"),
        ("1", 0, "started (`proctui run`)"),
        ("2", 0, "need CAP_SYS_PTRACE"),
        ("3", ALL, "until the next boot"),
    ],
)
def test_yama(scope: str | None, caps: int, word: str, machine: Callable[..., None]) -> None:
    machine({"/proc/sys/kernel/yama/ptrace_scope": scope} if scope else {}, uid=7, caps=caps)
    ok, detail, fix = finding("yama")
    assert word in detail
    assert ok or fix == "sudo sysctl -w kernel.yama.ptrace_scope=0"
    assert ok == (word in ("not active", "no hindrance"))


def test_hidepid(machine: Callable[..., None]) -> None:
    mounted = {"/proc/self/mountinfo": "1 2 0:3 / /proc rw - proc proc rw,hidepid=invisible\n"}
    machine(mounted, uid=1000)
    ok, detail, fix = finding("hidepid")
    assert not ok and "hidepid=invisible" in detail
    assert fix == "sudo mount -o remount,hidepid=0 /proc"
    machine({**mounted, "/proc/1/stat": "1 (init)"}, uid=1000)
    assert finding("hidepid")[0], "the mount's own group sees them all the same"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "none"),
        ({"/.dockerenv": ""}, "/.dockerenv"),
        ({"/proc/self/cgroup": "0::/docker/" + "a" * 64 + "\n"}, "docker:aaaaaaaaaaaa"),
    ],
)
def test_container(files: dict[str, str], word: str, machine: Callable[..., None]) -> None:
    machine({"/proc/self/cgroup": "0::/\n", **files})
    ok, detail, _ = finding("container")
    assert ok and word in detail


@pytest.mark.parametrize("name", ["re2", "mcp", "textual"])
def test_a_missing_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ok, _, fix = finding(name)
    assert not ok and "-m pip install" in str(fix)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2")
    assert finding(name)[1].endswith("1.2")


@pytest.mark.parametrize("name", ["py-spy", "gdb", "eu-stack"])
def test_a_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_programs, "_program", lambda name: None)
    assert not finding(name)[0]
    there = tmp_path / name
    there.write_text("#!/bin/sh\necho 'version 7'\necho more\n")
    there.chmod(0o755)
    monkeypatch.setattr(doctor_programs, "_program", lambda name: str(there))
    assert finding(name)[1] == f"version 7 ({there})"


@pytest.mark.parametrize("tool", ["apt-get", "dnf", "pacman", "apk", "zypper", "brew", ""])
def test_the_fix_speaks_the_language_of_the_system(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_programs, "_program", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == tool else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fix = str(finding("gdb")[2])
    assert "gdb" in fix and (tool or "package manager") in fix
    assert fix.startswith("sudo ") == (tool not in ("brew", ""))


@pytest.mark.parametrize(
    ("environ", "size", "ok", "word"),
    [
        ({"TERM": "xterm-256color"}, (120, 40), True, "256 colours, 120x40"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, (80, 24), True, "16 million"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, (80, 24), True, "no colours"),
        ({"TERM": "dumb"}, (80, 24), False, "dumb, no colours, 80x24: no dashboard"),
        ({}, (80, 24), False, "no TERM"),
        ({"TERM": "xterm"}, (80, 24), False, "approximated"),
        ({"TERM": "xterm-256color"}, (79, 24), False, "cramped"),
        ({"TERM": "dumb"}, None, True, "none here"),
    ],
)
def test_terminal(
    environ: dict[str, str],
    size: tuple[int, int] | None,
    ok: bool,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor_programs, "_size", lambda descriptor: size)
    good, detail, _ = finding("terminal")
    assert good is ok and word in detail


def test_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, second = tmp_path / "wanted", tmp_path / "second"
    monkeypatch.setattr(doctor_programs.paths, "state_candidates", lambda: [wanted, second])
    assert finding("state")[0] and list(wanted.iterdir()) == []
    wanted.chmod(0o777)
    assert finding("state")[2] == f"chmod 700 {wanted}"
    wanted.chmod(0o700)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 << 20))
    assert "only 100 MB left" in finding("state")[1]
    wanted.rmdir()
    wanted.write_text("in the way")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 40))
    assert finding("state")[1] == f"{second} in place of {wanted}"
    shutil.rmtree(second)
    second.write_text("in the way")
    assert "no place for sessions" in finding("state")[1]


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def ill() -> Any:
        raise OSError("the floor is gone")

    monkeypatch.setattr(doctor, "_CHECKS", (("floor", ill),))
    (check,) = doctor.diagnose()["checks"]
    assert not check["ok"] and "the floor is gone" in check["detail"] and check["fix"]
