"""The readings of one task in a replay child, kept so that keeping them is no growth."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from leaktrace.probes.model import NamingProbe, Probe, Unread


MAX_READINGS = 512
UNREAD = -(1 << 62)


@dataclass(slots=True)
class Readings:
    """All readings of one task, in one preallocated block: a reading kept as a new int would count as growth."""

    probes: Sequence[Probe]
    rows: int = MAX_READINGS
    cells: array[int] = field(init=False)
    taken: int = 0
    unread: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cells = array("q", bytes(8 * len(self.probes) * self.rows))

    def take(self) -> None:
        """Read every probe into the next row."""
        self.taken += 1
        for i in range(len(self.probes)):
            self.reread(i)

    def reread(self, i: int) -> None:
        """Read one probe into the last row."""
        value = self.probes[i].read()
        at = (self.taken - 1) * len(self.probes) + i
        if isinstance(value, Unread):
            self.unread[value.counter] = value.why
            self.cells[at] = UNREAD
        else:
            self.cells[at] = value

    def peek(self) -> list[int | None]:
        """Read every probe now; the next reading takes this one's place."""
        self.take()
        self.taken -= 1
        return self.row(self.taken)

    def value(self, row: int, i: int) -> int:
        """One value; UNREAD where it could not be read."""
        return self.cells[row * len(self.probes) + i]

    def step(self, i: int) -> int:
        """By how much a probe's value has risen since the reading before; 0 where it is unread."""
        before, now = self.value(self.taken - 2, i), self.value(self.taken - 1, i)
        return 0 if UNREAD in (before, now) else now - before

    def rises(self) -> int:
        """At how many readings that counter has risen which rose most often."""
        rows = [self.row(number) for number in range(self.taken)]
        most: int = max(
            sum(before is not None and now is not None and now > before for before, now in pairwise(column))
            for column in zip(*rows, strict=True)
        )
        return most

    def row(self, number: int) -> list[int | None]:
        """One reading's values, None where unread."""
        n = len(self.probes)
        return [None if value == UNREAD else value for value in self.cells[number * n : (number + 1) * n]]

    def grown(self, counter: str) -> int:
        """By how much a counter has risen since the first reading; 0 where it is unread."""
        for i, probe in enumerate(self.probes):
            if probe.counter.name == counter and self.taken:
                first, last = self.value(0, i), self.value(self.taken - 1, i)
                return 0 if UNREAD in (first, last) else last - first
        return 0


def readable(probes: Sequence[Probe]) -> tuple[list[Probe], dict[str, str]]:
    """The probes that can be read in this process, and why the others cannot."""
    unread: dict[str, str] = {}
    for probe in probes:
        value = probe.read()
        if isinstance(value, Unread):
            unread[value.counter] = value.why
    return [probe for probe in probes if probe.counter.name not in unread], unread


class WaitBudget:
    """How long readings wait for threads that end and children that exit; what did not help is tried ever shorter.

    Where each run leaves a descriptor behind, every reading would wait in vain.
    """

    def __init__(self, longest_s: float, shortest_s: float) -> None:
        self._longest_s = self._now_s = longest_s
        self._shortest_s = shortest_s

    def settle(self, readings: Readings, i: int) -> None:
        """Let a probe's count that has risen come down, and read it again."""
        probe = readings.probes[i]
        if readings.step(i) <= 0 or not isinstance(probe, NamingProbe):
            return
        probe.settle(self._now_s, at_most=readings.value(readings.taken - 2, i))
        readings.reread(i)
        helped = readings.step(i) <= 0
        self._now_s = self._longest_s if helped else max(self._now_s / 2, self._shortest_s)
