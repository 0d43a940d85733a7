"""The counters of one process: their last values, and what each has risen by since."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeAlias

from leaktrace.probes.model import Probe, Unread, Value
from leaktrace.recording.model import Recording


Reads: TypeAlias = "tuple[tuple[int, Callable[[], Value]], ...]"
"""How counters are read, by the counter's number."""


class Counters:
    """Reads at boundaries. What they rose by since the boundary before is credited to whoever was at work in between.

    Args:
        probes: what is read; RSS first, then heap.
        complain: told once of each that could no longer be read, with the reason.
    """

    def __init__(self, probes: Sequence[Probe], complain: Callable[[str, str], None]) -> None:
        self.probes = tuple(probes)
        self.last = array("q", [0] * len(self.probes))
        """The values at the last boundary."""
        self.all: Reads = tuple(enumerate(probe.read for probe in probes))
        """Those that can be read."""
        self.first: Reads = self.all[:1]
        """Resident memory alone, which is read wherever the others are too dear."""
        self.row_unchanged = False
        """Whether no counter has moved and no fixture was at work since the row was begun."""
        self._complain = complain

    def begin(self, recording: Recording) -> None:
        """Take the first reading of all."""
        for i, probe in enumerate(self.probes):
            value, name = probe.read(), probe.counter.name
            if isinstance(value, int):
                self.last[i] = recording.first[name] = value
            else:
                recording.unread[name] = self._give_up(i, value)
                recording.first[name] = Unread(counter=name, why=recording.unread[name])

    def credit(self, into: array[int], at: int, reads: Reads | None = None) -> None:
        """Read every counter, or those given, and add what each rose by since its last reading to `into[at:]`."""
        last = self.last
        for i, read in self.all if reads is None else reads:
            value = read()
            if value != last[i]:
                self.row_unchanged = False
                try:
                    into[at + i] += value - last[i]  # type: ignore[operator]
                except TypeError:
                    self._complain(self.probes[i].counter.name, self._give_up(i, value))
                else:
                    last[i] = value  # type: ignore[assignment]

    def _give_up(self, i: int, value: object) -> str:
        """Stop reading a counter for the rest of the run, half a column would be taken for zeros; returns why."""
        self.all = tuple((k, read) for k, read in self.all if k != i)
        self.first = self.all[:1]
        self.last[i] = 0
        return value.why if isinstance(value, Unread) else f"the probe returned {type(value).__name__}, not an integer"

    def moved(self) -> bool:
        """Whether resident memory has changed since the last boundary.

        Where it has not, the dearer counters are read at no boundary but a wider fixture's and the end of a test: what
        they rose by is the next one's, and the test's sum is the same.
        """
        return not self.all or self.all[0][1]() != self.last[0]

    def finish(self, recording: Recording) -> None:
        """Put the last reading into the recording."""
        for i, counter in enumerate(recording.counters):
            why = recording.unread.get(counter.name)
            recording.last[counter.name] = self.last[i] if why is None else Unread(counter=counter.name, why=why)
