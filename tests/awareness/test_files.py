"""Files that somebody else may have prepared for us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctui.awareness import files
from tests.support import python, running, wait_for


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "d").mkdir(mode=0o700)
    with files.open_directory(tmp_path / "d") as descriptor:
        yield descriptor


def test_what_is_written_is_read_and_private(directory: int, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.write_atomic(directory, "a", b"one")
        files.append(directory, "b", b"two")
    finally:
        os.umask(old)
    assert files.read_private(directory, "a", 10) == b"one"
    files.append(directory, "a", b"!")
    assert files.read_private(directory, "a", 10) == b"one!"
    assert {oct((tmp_path / "d" / name).stat().st_mode & 0o777) for name in "ab"} == {"0o600"}
    assert sorted(os.listdir(directory)) == ["a", "b"]


@pytest.mark.parametrize("trap", ["symlink", "fifo", "directory", "mode", "hardlink", "size"])
def test_a_trap_is_refused(directory: int, tmp_path: Path, trap: str) -> None:
    path, other = tmp_path / "d" / "x", tmp_path / "other"
    other.write_bytes(b"secret")
    other.chmod(0o600)
    if trap == "symlink":
        path.symlink_to(other)
    elif trap == "fifo":
        os.mkfifo(path, 0o600)
    elif trap == "directory":
        path.mkdir(mode=0o700)
    elif trap == "mode":
        path.write_bytes(b"x")
        path.chmod(0o644)
    elif trap == "hardlink":
        os.link(other, path)
    else:
        path.write_bytes(b"x" * 20)
        path.chmod(0o600)
    with pytest.raises(files.FileProblem):
        files.read_private(directory, "x", 10)
    if trap not in ("size",):
        with pytest.raises((files.FileProblem, IsADirectoryError)):
            files.append(directory, "x", b"more")
    assert other.read_bytes() == b"secret"


def test_replacing_does_not_write_through_a_link(directory: int, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"secret")
    (tmp_path / "d" / "x").symlink_to(other)
    files.write_atomic(directory, "x", b"new")
    assert other.read_bytes() == b"secret"
    assert files.read_private(directory, "x", 10) == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_owner_is_refused(directory: int, tmp_path: Path) -> None:
    files.write_atomic(directory, "x", b"x")
    os.chown(tmp_path / "d" / "x", 65534, 65534)
    with pytest.raises(files.FileProblem, match="belongs to uid 65534"):
        files.read_private(directory, "x", 10)
    os.chown(tmp_path / "d", 65534, 65534)
    with pytest.raises(files.FileProblem), files.open_directory(tmp_path / "d"):
        pass


def test_a_directory_that_is_a_link_or_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o770)
    for name in ("link", "open"):
        with pytest.raises(files.FileProblem), files.open_directory(tmp_path / name):
            pass


def test_a_write_that_fails_leaves_the_old_content(
    directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_atomic(directory, "x", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(directory, "x", b"new")
    assert files.read_private(directory, "x", 10) == b"old"
    assert os.listdir(directory) == ["x"]


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, int.from_bytes(b"proc"))
print("held", flush=True)
time.sleep(60)
"""


def test_the_holder_of_a_lock_is_named(directory: int, tmp_path: Path) -> None:
    files.write_atomic(directory, "x", b"x")
    descriptor = os.open(tmp_path / "d" / "x", os.O_RDONLY)
    try:
        assert files.lock_holder(descriptor) is None
        with running(python(HOLD, str(tmp_path / "d" / "x")), stdout=-1, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "held\n"
            assert files.lock_holder(descriptor) == child.pid
            info = os.fstat(descriptor)
            assert (files.locks() or {})[info.st_dev, info.st_ino] == child.pid
        wait_for(lambda: files.lock_holder(descriptor) is None, what="the lock's end")
    finally:
        os.close(descriptor)


OTHER_BYTES = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(descriptor, fcntl.LOCK_EX, 10, 0)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_on_other_bytes_is_no_owners(directory: int, tmp_path: Path) -> None:
    """Who may write the file may lock parts of it; that takes it from nobody."""
    files.write_atomic(directory, "x", b"x")
    descriptor = os.open(tmp_path / "d" / "x", os.O_RDONLY)
    try:
        with running(python(OTHER_BYTES, str(tmp_path / "d" / "x")), stdout=-1, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "held\n"
            assert files.lock_holder(descriptor) is None
            assert child.pid not in (files.locks() or {}).values()
    finally:
        os.close(descriptor)
