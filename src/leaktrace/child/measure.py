"""The loop inside a replay child: run, quieten, read, ask the judge, until it wants no more or no more can be had."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from leaktrace.pristine import gc, time
from leaktrace.probes.model import RSS_BYTES, NamingProbe, Probe, Unread
from leaktrace.probes.settle import clear_caches, collect, has_users_freeze, trim
from leaktrace.replay.protocol import Task
from leaktrace.serialize import encode
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.model import Record


MAX_READINGS = 512
REHEARSED = ((64,), (96, 32, -64))
"""Steps of growth that was never read, even and uneven, on which the judge rules before the first reading that counts:
what it makes for itself as it asks each of its questions for the first time is there by then."""
REHEARSED_BATCHES = 24
WALL_SHARE = 4.0
UNREAD = -(1 << 62)
GRACE_S = 0.1
"""Never less in a child: what ends after seconds, as a server's idle connections do, must not be outrun."""

Tell = Callable[[str, Mapping[str, object]], None]
"""Puts one event into the answer."""


class RunFailed(Exception):  # noqa: N818 - a past fact, not a fault of ours
    """A run did not pass; the message says which and why."""


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


class Effort:
    """Time that counts against a bound: this process's own, or a part of the wall's where the tests wait.

    On a busy machine the wall's time says little of what a suspect costs, and a verdict must not depend on it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wall, self._own = clock(), time.process_time()

    def spent_s(self) -> float:
        """Seconds spent since this was made."""
        return max(time.process_time() - self._own, (self._clock() - self._wall) / WALL_SHARE)


def settle() -> None:
    """Quieten a throw-away process: caches, garbage, malloc's free pages."""
    clear_caches()
    collect()
    trim()


def begin(tell: Tell, probes: Sequence[Probe], *, warmups: int, batch_runs: int, unread: Mapping[str, str]) -> None:
    """Tell what the readings that follow are of."""
    tell(
        "begin",
        {
            "counters": [probe.counter.name for probe in probes],
            "warmups": warmups,
            "batch_runs": batch_runs,
            "unread": dict(unread),
            "defined": {probe.counter.name: encode(probe.counter) for probe in probes},
        },
    )


def record(
    readings: Readings,
    *,
    warmups: int,
    batch_runs: int,
    spent: str | None,
    rested: Sequence[int | None] | None = None,
) -> Record:
    """What a judge is shown of some readings."""
    return record_of(
        [probe.counter.name for probe in readings.probes],
        [readings.row(number) for number in range(readings.taken)],
        warmups=warmups,
        batch_runs=batch_runs,
        unread=readings.unread,
        spent=spent,
        known={probe.counter.name: probe.counter for probe in readings.probes},
        rested=rested,
    )


def measure(
    task: Task,
    run: Callable[[], None],
    probes: Sequence[Probe],
    wants_more: Callable[[Readings, str | None], int],
    tell: Tell,
    *,
    unread: Mapping[str, str] = MappingProxyType({}),
    clock: Callable[[], float] = time.monotonic,
) -> Readings:
    """Run a task until `wants_more` returns 0, and return all readings; each is told at once.

    `run` is one run of the task and raises RunFailed when it did not pass. `wants_more` says how many further batches
    the judge wants, given the readings and why no more can be had. `unread` names the counters that this process
    cannot read. What stopped the readings, if not the judge, is told as `spent` or `failure`.
    """
    readings = Readings(probes)
    begin(tell, probes, warmups=task.warmups, batch_runs=task.batch_runs, unread=unread)
    effort, waiting, runs = Effort(clock), WaitBudget(GRACE_S, GRACE_S), 0
    frozen = False
    try:
        _read(readings, tell, runs, waiting)
        for _ in range(task.warmups):
            run()
            runs += 1
            _read(readings, tell, runs, waiting)
        frozen = _freeze()
        for steps in REHEARSED:
            _rehearse(readings, steps, wants_more)
            _peek(readings, waiting)
        more = 1
        while more and readings.taken < MAX_READINGS:
            for _ in range(more):
                for _ in range(task.batch_runs):
                    run()
                    runs += 1
                _read(readings, tell, runs, waiting)
                spent = _spent(task, readings, effort.spent_s())
                if spent is not None:
                    tell("spent", {"why": spent})
                    return readings
            more = min(wants_more(readings, None), MAX_READINGS - readings.taken)
    except RunFailed as exc:
        tell("failure", {"why": f"run {runs + 1}: {exc}"})
    finally:
        if frozen:
            gc.unfreeze()
    return readings


def _read(readings: Readings, tell: Tell, runs: int, waiting: WaitBudget) -> None:
    settle()
    readings.take()
    if readings.taken > 1:
        for i in range(len(readings.probes)):
            waiting.settle(readings, i)
    tell("reading", {"values": readings.row(readings.taken - 1), "runs": runs})


def _peek(readings: Readings, waiting: WaitBudget) -> None:
    """Take a reading as the others are taken, which the next one replaces."""
    settle()
    readings.take()
    for i in range(len(readings.probes)):
        waiting.settle(readings, i)
    readings.row(readings.taken - 1)
    readings.taken -= 1


def _rehearse(readings: Readings, steps: Sequence[int], wants_more: Callable[[Readings, str | None], int]) -> None:
    """Let the judge rule on further batches that grew by `steps`, in turn; the rows are those of readings to come."""
    taken, width = readings.taken, len(readings.probes)
    for batch in range(REHEARSED_BATCHES):
        wants_more(readings, None)
        for at in range(readings.taken * width, (readings.taken + 1) * width):
            before = readings.cells[at - width]
            readings.cells[at] = before if before == UNREAD else before + steps[batch % len(steps)]
        readings.taken += 1
    readings.taken = taken


def _freeze() -> bool:
    """Take what is alive now out of every later collection, unless the user has frozen something: that is theirs."""
    if has_users_freeze():
        return False
    gc.freeze()
    return True


def _spent(task: Task, readings: Readings, elapsed_s: float) -> str | None:
    """Why no further run can be had, or None; never before there are batches enough to rule on."""
    batches = readings.taken - 1 - task.warmups
    if readings.grown(RSS_BYTES.name) > task.memory_bytes:
        return "memory"
    if batches >= 3 and elapsed_s > task.follow_s:  # noqa: PLR2004 - the fewest batches that a judge rules on
        return "time"
    return None
