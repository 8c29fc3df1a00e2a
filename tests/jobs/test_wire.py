"""What the front, the keeper and the runner say to each other, and what must not get lost."""

from __future__ import annotations

import os
from pathlib import Path

from proctui.jobs.launch import Job, _await_start
from proctui.jobs.tap import Tap
from proctui.jobs.wire import Channel, Page
from tests.support import wait_for


def test_what_comes_together_with_the_word_of_the_start_is_kept(tmp_path: Path) -> None:
    """A quick job on a full disk is in its third segment before its front has read a word."""
    near, far = Channel.pair()
    job = Job("0" * 32, str(tmp_path), ["output"])
    far.send("segment", [0, 0, 0], (1,))
    far.send("started", {"pid": 1})
    far.send("segment", [0, 1, 100], (1,))
    far.send("ended", {"exit_status": 4})
    _await_start(near, job)
    assert [word for word, _, _ in job.early] == ["segment", "segment", "ended"]
    assert all(fds for word, _, fds in job.early if word == "segment")
    for _, _, fds in job.early:
        for fd in fds:
            os.close(fd)


def test_messages_wait_for_a_slow_reader() -> None:
    near, far = Channel.pair()
    sent = 0
    while not far.waiting:
        far.send("number", sent)
        sent += 1
    far.send("last")
    said = [(word, body) for word, body, _ in near.receive()]
    wait_for(
        lambda: far.flush() or said.extend(one[:2] for one in near.receive()) or not far.waiting
    )
    said += [one[:2] for one in near.receive()]
    assert said == [("number", number) for number in range(sent)] + [("last", None)]


def test_nobody_waits_for_output_that_nobody_can_bring(tmp_path: Path) -> None:
    segment = tmp_path / "segment"
    segment.write_bytes(b"half")
    target = os.open(tmp_path / "target", os.O_WRONLY | os.O_CREAT)
    tap = Tap(0, target, Page())
    tap.add(0, 0, os.open(segment, os.O_RDONLY))
    tap.end = 8
    tap.give_up()
    assert not tap.finished()  # what is there is passed on first
    assert tap.pass_on() == 4
    tap.give_up()
    assert tap.finished() and tap.broken is not None
    os.close(target)
    assert (tmp_path / "target").read_bytes() == b"half"
