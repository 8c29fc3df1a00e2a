"""Whether memory stays flat: ``python -m tests.benchmarks.endurance [LOOKS]``.

The whole dashboard, awareness and history among it, on a made-up machine
where processes of a job are born, work and end at every look, looked at as
fast as it can.  Rows are painted as on a terminal, into nothing.  After the
history's hour is full, what one look adds another takes away.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import time
from typing import Any

from proctui.awareness.truth import Truth
from proctui.awareness.watch import Watch
from proctui.config import Config
from proctui.model import Identity, ProcInfo, Role
from proctui.tui.app import ProctuiApp
from proctui.tui.feed import Tick
from proctui.tui.options import Options
from tests.awareness.world import World, session
from tests.benchmarks import machine

OWN, LEADER, FIRST, LAST = 700, 1000, 2000, 30_000
ALIVE, BORN = 40, 3
"""Processes of the job, and how many of them are replaced at every look."""


class Machine(World):
    """A world whose job never rests."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.pid = FIRST
        self.young: list[int] = []
        self.add(OWN, 1, name="proctui")
        for number in range(100):
            self.add(100 + number, 1, name=f"daemon-{number}")

    def fork(self) -> None:
        self.pid = self.pid + 1 if self.pid < LAST else FIRST
        parent = self.chance.choice([LEADER, *self.young[-5:]])
        row = self.add(self.pid, parent, name=f"worker-{self.now % 977}")
        words = (row.name, f"--part={self.now}")
        self.infos[self.pid] = ProcInfo(row.identity, words, None, "root")
        self.young.append(self.pid)

    def move(self) -> None:
        """What happens between two looks."""
        for _ in range(BORN):
            self.fork()
        while len(self.young) > ALIVE:
            pid = self.young.pop(0)
            self.end(pid, reaper=LEADER)
            self.infos.pop(pid)
        for pid in (LEADER, *self.young):
            row = self.procs[pid]
            self.change(
                pid,
                cpu=round(self.chance.random() * 100, 1),
                rss=self.chance.randrange(1 << 20, 1 << 30),
                user_time=(row.user_time or 0) + self.chance.random(),
            )


class Shown(ProctuiApp):
    """The dashboard that believes in its terminal, so that rows are painted directly."""

    opened = False

    @property
    def is_headless(self) -> bool:
        return not self.opened


def memory() -> tuple[float, int]:
    """Resident megabytes, and the blocks that Python has in use."""
    gc.collect()
    return machine.rss_mb(os.getpid()), sys.getallocatedblocks()


async def endure(looks: int, every: int) -> list[dict[str, Any]]:
    world = Machine(random.Random(1))
    leader = world.add(LEADER, OWN, name="job").identity
    truth = Truth(session(world, leader), world.baseline({LEADER}), {}, "own")
    own: Identity = world.procs[OWN].identity
    watch = Watch(world, truth=truth, own=own, live=False, config=Config())
    app = Shown(Options(watch=watch, interval=1e6))
    rows: list[dict[str, Any]] = []
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        app.opened = True
        began = time.monotonic()
        for look in range(1, looks + 1):
            world.move()
            view = watch.tick()
            app.main.post_message(Tick(view, slowed=1))
            while app.main.live is not view:  # noqa: ASYNC110 - as fast as the loop turns
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            if look % every == 0:
                rss, blocks = memory()
                spawned = sum(one.role is Role.SPAWNED for one in view.verdicts.values())
                rows.append({"looks": look, "rss_mb": rss, "blocks": blocks, "job": spawned})
                print(
                    f"{look:>8} looks  {rss:>6.1f} MB  {blocks:>9} blocks  job of {spawned}"
                    f"  {look / (time.monotonic() - began):.0f} looks/s",
                    file=sys.__stdout__,  # the app takes what is printed for its own
                    flush=True,
                )
        assert app.main.painter.frames > looks // 2, "nothing was painted"
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.endurance", description=__doc__
    )
    parser.add_argument("looks", nargs="?", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=5000, help="looks between two figures (5000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    where = machine.describe()
    print(machine.headline(where))
    rows = asyncio.run(endure(options.looks, options.every))
    half = [row for row in rows if row["looks"] * 2 > options.looks]
    if len(half) > 1:
        grown = half[-1]["rss_mb"] - half[0]["rss_mb"]
        print(f"second half: {grown:+.1f} MB, {half[-1]['blocks'] - half[0]['blocks']:+} blocks")
    machine.write_json(options.json, {"machine": where, "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
