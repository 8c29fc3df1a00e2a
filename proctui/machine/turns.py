"""Who is read when: the awake at every tick, long sleepers in turns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from proctui.machine.entries import Entry

__all__ = ["QUIET_TICKS", "STRIDE", "Turns"]

QUIET_TICKS = 6
"""Ticks without any change after which a process counts as a long sleeper."""
STRIDE = 8
"""Long sleepers are read every so many ticks."""
_SETTLING = 4
"""The awake are looked through for who fell asleep every so many ticks."""


class Turns:
    """The awake, and the sleepers by the tick (modulo :data:`STRIDE`) that is their turn.

    Keeps honest since when a sleeper was not read: its share is over that time.
    """

    def __init__(self) -> None:
        self.awake: list[Entry] = []
        self._asleep: list[list[Entry]] = [[] for _ in range(STRIDE)]
        self._read_at = [0.0] * STRIDE

    def __len__(self) -> int:
        return len(self.awake) + sum(map(len, self._asleep))

    def begin(self, tick: int, now: float) -> tuple[list[Entry], float]:
        """The sleepers whose turn this tick is, and when they had their last one."""
        slot = tick % STRIDE
        before, self._read_at[slot] = self._read_at[slot], now
        return self._asleep[slot], before

    def late(self, entries: Iterable[Entry], tick: int) -> Iterator[tuple[list[Entry], float]]:
        """Those of ``entries`` that this tick did not read, by the time of their last turn."""
        slots: dict[int, list[Entry]] = {}
        for entry in entries:
            if entry.slot is not None and entry.slot != tick % STRIDE:
                slots.setdefault(entry.slot, []).append(entry)
        for slot, batch in slots.items():
            yield batch, self._read_at[slot]

    def wake(self, entries: Iterable[Entry]) -> None:
        """Have these read at every tick from now on."""
        for entry in entries:
            if entry.slot is not None:
                self._asleep[entry.slot].remove(entry)
                entry.at = max(entry.at, self._read_at[entry.slot])
                entry.slot = None
                self.awake.append(entry)

    def settle(self, tick: int, now: float, job: Collection[int], *, stirred: bool) -> None:
        """Move who stirred to the awake, and every few ticks the quiet to the sleepers."""
        slot = tick % STRIDE
        if stirred:
            sleepers = self._asleep[slot]
            self._asleep[slot] = [entry for entry in sleepers if entry.moved != tick]
            for entry in sleepers:
                if entry.moved == tick:
                    entry.slot = None
                    self.awake.append(entry)
        if tick % _SETTLING:
            return
        for entry in self.awake:
            if tick - entry.moved >= QUIET_TICKS and not entry.busy and entry.pid not in job:
                entry.slot, entry.at = entry.pid % STRIDE, now
                self._asleep[entry.slot].append(entry)
        self.awake = [entry for entry in self.awake if entry.slot is None]

    def remove(self, dead: Iterable[Entry]) -> None:
        """Forget these."""
        gone = set(map(id, dead))
        for slot in {entry.slot for entry in dead}:
            if slot is None:
                self.awake = [entry for entry in self.awake if id(entry) not in gone]
            else:
                self._asleep[slot] = [one for one in self._asleep[slot] if id(one) not in gone]
