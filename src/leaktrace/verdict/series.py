"""One counter over the runs, as the judges look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil

from leaktrace.probes.model import Counter
from leaktrace.verdict.model import Rate
from leaktrace.verdict.statistics import theil_sen


MOST_READINGS = 64
"""Readings that a slope is taken from: more cost their square and add nothing."""

ENOUGH_TO_TRUST = 8
"""Batches without a fall that outweigh a fall in the warm-ups."""


@dataclass(frozen=True, kw_only=True)  # without slots: what is derived is kept, for every judge asks again
class Curve:
    """The readings of one counter, all of them read.

    Attributes:
        counter: what was read.
        values: one reading before the first run, one after each warm-up, one after each batch.
        warmups: how many warm-ups there were.
        batch_runs: runs between two readings after the warm-ups.
    """

    counter: Counter
    values: tuple[int, ...]
    warmups: int
    batch_runs: int

    @cached_property
    def after(self) -> tuple[int, ...]:
        """The reading that ends the warm-ups, then one for each batch."""
        return self.values[self.warmups :]

    @cached_property
    def batches(self) -> int:
        """Batches run so far."""
        return max(0, len(self.values) - 1 - self.warmups)

    @cached_property
    def runs(self) -> int:
        """Runs so far, warm-ups included."""
        return min(self.warmups, len(self.values) - 1) + self.batches * self.batch_runs

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """What each batch added."""
        return steps(self.after)

    @cached_property
    def grew(self) -> int:
        """What the batches added in all."""
        return self.after[-1] - self.after[0] if self.batches else 0

    @cached_property
    def grown(self) -> tuple[int, ...]:
        """Numbers of the batches that added something, from 0."""
        return tuple(number for number, step in enumerate(self.steps) if step > 0)

    @cached_property
    def tail(self) -> int:
        """Batches since the last that grew."""
        grown = self.grown
        return self.batches - 1 - grown[-1] if grown else self.batches

    @cached_property
    def longest_pause(self) -> int:
        """Most batches in a row without growth between two that grew."""
        return max((later - earlier - 1 for earlier, later in pairwise(self.grown)), default=0)

    @cached_property
    def quiet_runs(self) -> int:
        """Last runs in a row without growth, warm-ups included."""
        quiet = self.tail * self.batch_runs
        if self.grown:
            return quiet
        for step in reversed(steps(self.values[: self.warmups + 1])):
            if step > 0:
                break
            quiet += 1
        return quiet

    @cached_property
    def wobble(self) -> int:
        """The largest fall between two readings after the first run; 0 for a counter that never fell."""
        return max([0, *(-step for step in steps(self.values[min(1, self.warmups) :]))])

    @cached_property
    def never_falls(self) -> bool:
        """Whether the batches climb like a staircase, in steps that a swing of the counter cannot explain."""
        if any(step < 0 for step in self.steps):
            return False
        return self.batches >= ENOUGH_TO_TRUST or all(step > self.wobble for step in self.steps)

    def rate(self, start: int = 0) -> Rate | None:
        """Growth a run from batch `start` on, by Theil-Sen; None before the first batch."""
        values = self.after[start:]
        if len(values) < 2:  # noqa: PLR2004 - two readings make a slope
            return None
        # Counted from the end, so that the newest reading is always among them.
        chosen = range(len(values) - 1, -1, -ceil(len(values) / MOST_READINGS))[::-1]
        return theil_sen([at * self.batch_runs for at in chosen], [values[at] for at in chosen])


def steps(values: Sequence[int]) -> tuple[int, ...]:
    """The differences between neighbours."""
    return tuple(later - earlier for earlier, later in pairwise(values))
