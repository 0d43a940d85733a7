"""Screening: a test is run a few times in a child and read exactly; what does not grow is let go.

A clean test is let go after one batch. One that grew in two of three batches is followed further, until the judge
acquits it or it has to be heard in a process of its own. Before each reading the interpreter's caches are emptied: that
costs a tenth of what it saves in further batches. What was alive before the runs is frozen meanwhile, so that
collecting costs what the test itself made, whatever the size of the heap; it is thawed when the runs are over. The
first run comes after the freeze and is not read: it warms up, and what it puts in the place of what is frozen can be
collected when its own turn has come, while the frozen, no longer reachable, is garbage that stays.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leaktrace.child import caches
from leaktrace.child.measure import Effort
from leaktrace.child.readings import Readings, WaitBudget
from leaktrace.pristine import gc, time
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Probe
from leaktrace.probes.objects import RefsProbe
from leaktrace.probes.settle import collect, has_users_freeze


FOLLOW_BATCH = 3
LEAST_BATCHES = 3
"""Batches that the judge gets however long they take."""
ROUNDS = 3
"""Batches before a test is let go or followed; one more where the first rise was a warm-up's."""
WARMING = 8
"""A rise of bytes this many times as large as the next was the last of warming up, and no first of many."""
MOSTLY = 0.75
"""Share of the readings at which a slow test's counter must have risen: a rounding may hide a small object."""
RSS_STEP = 512 * 1024
"""Growth of resident memory in one batch below which it is not looked at: pages come and go."""
HEAVY_BYTES = 32_000_000
"""Growth of a test beyond which it is followed no further here: it is heard in a process of its own anyway."""
LEAST_HEAVY = 2
ROUNDING = 32
"""A fall of malloc's bytes up to this, alone, hides nothing: a chunk is reused whole where its rest is too small."""
LEAST: Mapping[str, int] = {RSS_BYTES.name: RSS_STEP, HEAP_BYTES.name: ROUNDING}
"""Growth in a batch that counts: pages come and go, and malloc hands out no chunk below 32 bytes."""
GRACE_S, LEAST_GRACE_S = 0.2, 0.0125
FULL_EVERY = 100
"""A full collection may come again after this many times its own duration: what died frozen has to go some time."""


class RepeatPlan(NamedTuple):
    """How often a test is repeated.

    Attributes:
        batch: repeats before the reading that lets a clean test go; four meet every leak of 1 per 4 runs.
        follow_batch: repeats between two readings of one that is followed.
        hasty: let go what is followed as soon as no counter has risen at most of the readings.
    """

    batch: int
    follow_batch: int = FOLLOW_BATCH
    hasty: bool = False


Judged = Callable[[Readings, int, "str | None"], "tuple[bool, int]"]
"""Readings, runs a batch, why no more can be had → whether it may be a leak, how many further batches are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What was read of a test that kept growing in place.

    Attributes:
        readings: one before the first batch followed, one after each.
        runs: how many repeats there were in all.
    """

    readings: Readings
    batch_runs: int
    runs: int
    spent: str | None


class Screen:
    """Screens one test after the other in one process.

    Args:
        probes: exact counters, and RSS.
        judged: asked after each batch of a test that is followed.
        collected_s: seconds that a full collection took where one has just been made; None where none was.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        judged: Judged,
        *,
        follow_runs: int = 60,
        follow_s: float = 3.0,
        collected_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._probes, self._judged, self._clock = list(probes), judged, clock
        self._follow_runs, self._follow_s = follow_runs, follow_s
        self.followed_s = 0.0
        """How long the last test was followed, after it had grown."""
        self._ours = False
        self._plan = RepeatPlan(batch=1)
        self._next_full = 0.0 if collected_s is None else clock() + collected_s * FULL_EVERY
        self._rss = next(i for i, probe in enumerate(self._probes) if probe.counter.name == RSS_BYTES.name)
        self._heap = next((i for i, probe in enumerate(self._probes) if probe.counter.name == HEAP_BYTES.name), None)
        self._rise = array("q", [0])  # a number kept as an int would be growth itself
        self._two = Readings(self._probes, rows=ROUNDS + 2)
        self._followed = Readings(self._probes, rows=2 + follow_runs)

    def thaw(self) -> None:
        """Give the collector back as it would be without us."""
        if self._ours:
            gc.unfreeze()
            self._ours = False

    def close(self) -> None:
        """Give the probes' descriptors back."""
        for probe in self._probes:
            getattr(probe, "close", int)()

    def screen(
        self,
        run: Callable[[], object],
        *,
        plan: Callable[[float], RepeatPlan],
        namespaces: Sequence[Mapping[str, object]] = (),
    ) -> Grown | None:
        """Repeat a test; None when it is clean.

        Args:
            run: one repeat.
            plan: how often, given the seconds that one repeat takes; the run before may have imported and waited.
            namespaces: globals that the test sees, to whose values references may be forgotten.

        Raises:
            RunFailed: a repeat did not pass.
        """
        for probe in self._probes:
            if isinstance(probe, RefsProbe):
                probe.refresh(namespaces)
        self.followed_s = 0.0
        self._freeze()
        if self._is_quiet(run, plan):
            return None
        since = self._clock()
        try:
            return self._follow(run, self._plan)
        finally:
            self.followed_s = self._clock() - since

    def _freeze(self) -> None:
        """Take all that is alive out of the collections to come, unless the user has frozen something."""
        if has_users_freeze():
            return
        now = self._clock()
        if now > self._next_full:
            collect()
            took = self._clock() - now
            self._next_full = now + took * (FULL_EVERY + 1)
        else:
            gc.collect(1)  # what is older may be garbage; frozen, it stays where it is and changes no reading
        gc.freeze()
        self._ours = True

    def _is_quiet(self, run: Callable[[], object], plan: Callable[[float], RepeatPlan]) -> bool:
        """Whether no counter rose twice: one batch is enough where nothing moved, as a fall can hide a rise.

        It may have stood still in between, where something of the same size went by itself; and have fallen where
        malloc's bytes grew alone, for those of a small native leak waver, or where it has gained as if it had grown in
        each batch: what fell may have come and gone beside the test.
        """
        two, risen, native, warming, waiting = self._two, 0, 0, 0, WaitBudget(GRACE_S, LEAST_GRACE_S)
        rounds = iter(range(ROUNDS + 1))  # made before the first reading: an iterator is a block
        two.taken = self._rise[0] = 0
        caches.empty(thoroughly=False)
        # Not to count: it may set wider fixtures up again, and draw other examples than the run before. It is called
        # from here, for an exception that is kept makes an object of each frame that has called it.
        since = self._clock()
        run()
        self._plan = plan(self._clock() - since)
        batch = self._plan.batch
        heavy = self._probes[self._rss].read() + HEAVY_BYTES  # type: ignore[operator]  # before the first reading, too
        self._read(two)
        for number in rounds:
            if number == ROUNDS and not warming:
                break
            for _ in range(batch):
                run()
                if self._probes[self._rss].read() > heavy:  # type: ignore[operator]  # resident memory can be read
                    return False
            self._read(two)
            now = self._risen(two, waiting)
            alike = self._is_alike(two)
            warming += not alike
            native += now > 0 and self._grew_outside(two)
            if alike and (now & risen or (native > 1 and self._has_gained(two))):
                return False
            risen = risen & ~self._fallen(two) | now
            if not risen and not native and not self._fell(two) and not self._grew_a_bit(two):
                return True
        return not self._gained(two) and not self._grew_each_time(two)

    def _grew_a_bit(self, readings: Readings) -> bool:
        """Whether malloc's bytes rose at all: half of what one small object takes may hide behind a rounding."""
        return self._heap is not None and readings.step(self._heap) > 0

    def _grew_each_time(self, readings: Readings) -> bool:
        """Whether malloc's bytes rose, by however little, in each batch."""
        heap = self._heap
        if heap is None:
            return False
        return all(readings.value(row, heap) > readings.value(row - 1, heap) for row in range(1, readings.taken))

    def _is_alike(self, readings: Readings) -> bool:
        """Whether malloc's bytes, where they alone rose, rose by not much less than they did before."""
        if self._heap is None or (now := readings.step(self._heap)) <= 0:
            return True
        before, self._rise[0] = self._rise[0], now
        return WARMING * now >= before or not self._grew_outside(readings)

    def _has_gained(self, readings: Readings) -> bool:
        """Whether malloc's bytes have risen by a chunk for each batch, in all: what went up and down has not."""
        return readings.grown(HEAP_BYTES.name) >= ROUNDING * (readings.taken - 1)

    def _gained(self, readings: Readings) -> bool:
        """Whether a counter that fell at the second reading of three is higher by three at the end."""
        for i, probe in enumerate(self._probes):
            first, before, after, last = (readings.value(row, i) for row in range(ROUNDS + 1))
            if probe.counter.unit == "count" and first < before > after < last >= first + ROUNDS:
                return True
        return False

    def _grew_outside(self, readings: Readings) -> bool:
        """Whether malloc's bytes rose, and no other counter."""
        risen = {probe.counter.name for i, probe in enumerate(self._probes) if readings.step(i) > 0}
        return risen - {RSS_BYTES.name} == {HEAP_BYTES.name}

    @staticmethod
    def _read(readings: Readings, *, thoroughly: bool = False) -> None:
        caches.empty(thoroughly=thoroughly)
        collect()
        readings.take()

    def _risen(self, readings: Readings, waiting: WaitBudget) -> int:
        """Which counters have risen, as bits of a small number: a set would be a block."""
        risen = 0
        for i, probe in enumerate(self._probes):
            waiting.settle(readings, i)
            least = LEAST.get(probe.counter.name, 1)
            risen |= (readings.step(i) >= least) << i
        return risen

    def _fallen(self, readings: Readings) -> int:
        """Which counters are lower than before, as `_risen` tells which are higher."""
        return sum((readings.step(i) < 0) << i for i in range(len(self._probes)))

    def _fell(self, readings: Readings) -> bool:
        forgiven = {HEAP_BYTES.name: ROUNDING}
        return any(
            readings.step(i) < -forgiven.get(probe.counter.name, 0)
            for i, probe in enumerate(self._probes)
            if probe.counter.exact
        )

    def _follow(self, run: Callable[[], object], plan: RepeatPlan) -> Grown | None:
        """Follow growth, with all caches cleared before each reading, until the judge has seen enough."""
        batch, runs = plan.follow_batch, 2 + 2 * plan.batch
        followed, effort, waiting = self._followed, Effort(self._clock), WaitBudget(GRACE_S, LEAST_GRACE_S)
        suspicious, more, spent = True, 1, None  # made before the first reading, as all that is kept must be
        followed.taken = 0
        followed.take()
        self._judged(followed, batch, None)  # a first reading tells it that another test begins
        followed.taken = 0
        caches.empty(thoroughly=True)
        run()  # makes anew what stays where a cache has been emptied once
        self._read(followed, thoroughly=True)
        while more and spent is None:
            for _ in range(batch):
                run()
            runs += batch
            self._read(followed, thoroughly=True)
            self._risen(followed, waiting)
            if plan.hasty and followed.rises() < MOSTLY * (followed.taken - 1):
                return None
            if runs >= self._follow_runs or followed.taken >= followed.rows:
                spent = "runs"
            elif followed.grown(RSS_BYTES.name) > HEAVY_BYTES and followed.taken > LEAST_HEAVY:
                spent = "memory"
            elif effort.spent_s() > self._follow_s and followed.taken > LEAST_BATCHES:
                spent = "time"
            suspicious, more = self._judged(followed, batch, spent)
        if not suspicious:
            return None
        return Grown(readings=followed, batch_runs=batch, runs=runs, spent=spent or "runs")
