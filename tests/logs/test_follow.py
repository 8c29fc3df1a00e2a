"""Every way a log is rotated, with writers in between: each line once, in order."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proctui.errors import BadArgument, NoSuchFile, NotSupported
from proctui.logs.follow import Batch, Follower


def lines(batches: list[Batch]) -> list[str]:
    out: list[str] = []
    for batch in batches:
        if batch.kind == "lines":
            assert batch.data.endswith(b"\n")
            out += batch.data.decode().split("\n")[:-1]
    return out


class Log:
    """A log that is written through one descriptor, as a daemon does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.written: list[str] = []
        self.fd = -1
        self.reopen()

    def reopen(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, count: int) -> None:
        for _ in range(count):
            text = f"line {self.number} of the log, padded {'x' * (self.number % 37)}"
            os.write(self.fd, text.encode() + b"\n")
            self.written.append(text)
            self.number += 1

    def shift(self) -> None:
        for number in (3, 2, 1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))


def rename_and_create(log: Log) -> None:
    log.shift()
    log.path.rename(log.path.with_name(log.path.name + ".1"))
    log.reopen()


def rename_while_the_writer_goes_on(log: Log) -> None:
    log.shift()
    log.path.rename(log.path.with_name(log.path.name + ".1"))
    log.path.touch()
    log.write(3)
    log.reopen()


def copytruncate(log: Log) -> None:
    log.shift()
    shutil.copyfile(log.path, log.path.with_name(log.path.name + ".1"))
    os.truncate(log.path, 0)


def truncate_and_regrow(log: Log) -> None:
    size = log.path.stat().st_size
    copytruncate(log)
    while log.path.stat().st_size <= size + 100:
        log.write(5)


def delete_and_create(log: Log) -> None:
    log.path.unlink()
    log.reopen()


MODES: list[Callable[[Log], None]] = [
    rename_and_create,
    rename_while_the_writer_goes_on,
    copytruncate,
    truncate_and_regrow,
    delete_and_create,
]


def polled(follower: Follower) -> list[Batch]:
    """What a poll brings: nothing, where nothing was said to have changed."""
    rests = follower.unchanged()
    batches = follower.poll()
    assert not (rests and batches), batches
    return batches


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_no_line_is_lost_and_none_comes_twice(
    mode: Callable[[Log], None], seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    log = Log(tmp_path / "app.log")
    log.write(5)
    with Follower(log.path, from_start=True) as follower:
        got: list[Batch] = []
        for _ in range(40):
            for _ in range(chance.randrange(4)):
                log.write(chance.randrange(6))
                if chance.random() < 0.7:
                    got += polled(follower)
            mode(log)
            if chance.random() < 0.8:
                got += polled(follower)
            log.write(chance.randrange(1, 4))
            got += polled(follower)
        got += polled(follower)
    if mode is delete_and_create:
        # What was written and deleted between two looks is in no file any more.
        assert set(lines(got)) <= set(log.written)
    assert sorted(lines(got)) == sorted(log.written) or mode is delete_and_create
    assert len(set(lines(got))) == len(lines(got))
    if mode not in (rename_while_the_writer_goes_on, delete_and_create):
        assert lines(got) == log.written
    assert {batch.kind for batch in got} & {"rotated", "truncated"}
    os.close(log.fd)


def test_deleted_and_created_again_with_looks_between_loses_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    with Follower(log.path) as follower:
        got: list[Batch] = []
        for _ in range(10):
            log.write(3)
            log.path.unlink()
            log.write(2)
            got += follower.poll()
            log.reopen()
            log.write(2)
            got += follower.poll()
        assert lines(got) == log.written
    os.close(log.fd)


def test_two_rotations_between_two_looks(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    with Follower(log.path, from_start=True) as follower:
        log.write(4)
        got = follower.poll()
        for _ in range(2):
            log.write(4)
            rename_and_create(log)
        log.write(4)
        got += follower.poll()
    assert lines(got) == log.written
    os.close(log.fd)


def test_a_writer_without_append_leaves_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with path.open("wb", buffering=0) as writer, Follower(path) as follower:
        writer.write(b"before\n" * 20000)
        got = lines(follower.poll())
        os.truncate(path, 0)
        writer.write(b"after\n")
        batches = follower.poll()
    assert got == ["before"] * 20000
    assert lines(batches) == ["after"]
    (batch,) = [one for one in batches if one.kind == "lines"]
    assert path.read_bytes()[batch.offset :] == b"after\n"


def test_a_log_rests_until_something_happens_to_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write(3)
    with Follower(log.path) as follower:
        follower.poll()
        for change in (
            lambda: log.write(1),
            lambda: os.write(log.fd, b"half a "),
            lambda: os.write(log.fd, b"line\n"),
            lambda: os.truncate(log.path, 0),
            lambda: log.write(2),
        ):
            change()
            assert not follower.unchanged()
            follower.poll()
            follower.poll()  # a file that begins anew is looked at once more
            assert follower.unchanged() and follower.unchanged()
        log.path.unlink()
        assert not follower.unchanged()
    os.close(log.fd)


def test_lines_come_whole_and_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\nthr")
    with path.open("ab", buffering=0) as writer, Follower(path, last=2) as follower:
        assert [(one.data, one.offset) for one in follower.poll()] == [(b"two\n", 4)]
        assert follower.partial == b"thr"
        writer.write(b"ee\nfo")
        assert [(one.data, one.offset) for one in follower.poll()] == [(b"three\n", 8)]
        assert follower.poll() == []
        assert [(one.data, one.offset) for one in follower.finish()] == [(b"fo\n", 14)]


def test_a_giant_line_is_cut_and_the_next_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * (9 << 20) + b"\nnext\n")
    with Follower(path, from_start=True) as follower:
        got = follower.poll() + follower.poll() + follower.poll()
    assert [len(line) for line in lines(got)] == [1 << 20, 4] or lines(got)[-1] == "next"
    assert len(lines(got)) == 2


def test_what_replaces_the_log_may_be_no_file(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    with Follower(log.path) as follower:
        log.write(1)
        log.path.unlink()
        os.mkfifo(log.path)
        log.write(1)
        batches = follower.poll() + follower.poll()
        assert lines(batches) == log.written
        assert [one.kind for one in batches].count("note") == 1
        log.path.unlink()
        log.reopen()
        log.write(1)
        assert lines(batches + follower.poll()) == log.written
    os.close(log.fd)


def test_what_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        Follower(tmp_path / "none")
    with pytest.raises(BadArgument):
        Follower(tmp_path)
    packed = tmp_path / "a.gz"
    packed.write_bytes(b"\x1f\x8b\x08\0")
    with pytest.raises(NotSupported):
        Follower(packed)
