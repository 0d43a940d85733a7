"""The loop inside a replay child: run, quieten, read, ask the judge, until it wants no more or no more can be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from leaktrace.child.readings import MAX_READINGS, UNREAD, Readings, WaitBudget
from leaktrace.pristine import gc, time
from leaktrace.probes.model import RSS_BYTES, Probe
from leaktrace.probes.settle import clear_caches, collect, has_users_freeze, trim
from leaktrace.replay.protocol import Task
from leaktrace.serialize import encode
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.model import Record


REHEARSED = ((64,), (96, 32, -64))
"""Steps of growth that was never read, even and uneven, on which the judge rules before the first reading that counts:
what it makes for itself as it asks each of its questions for the first time is there by then."""
REHEARSED_BATCHES = 24
WALL_SHARE = 4.0
GRACE_S = 0.1
"""Never less in a child: what ends after seconds, as a server's idle connections do, must not be outrun."""

Tell = Callable[[str, Mapping[str, object]], None]
"""Puts one event into the answer."""


class RunFailed(Exception):  # noqa: N818 - a past fact, not a fault of ours
    """A run did not pass; the message says which and why."""


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
    effort, series = Effort(clock), _Series(run, readings, tell, WaitBudget(GRACE_S, GRACE_S))
    frozen = False
    try:
        series.step(0)
        for _ in range(task.warmups):
            series.step(1)
        frozen = _freeze()
        for steps in REHEARSED:
            _rehearse(readings, steps, wants_more)
            series.peek()
        spent = _follow(task, series, wants_more, effort)
        if spent is not None:
            tell("spent", {"why": spent})
    except RunFailed as exc:
        tell("failure", {"why": f"run {series.runs + 1}: {exc}"})
    finally:
        if frozen:
            gc.unfreeze()
    return readings


def _follow(
    task: Task, series: _Series, wants_more: Callable[[Readings, str | None], int], effort: Effort
) -> str | None:
    """Batch after batch, until the judge wants no more; why no more could be had where it did."""
    readings, more = series.readings, 1
    while more and readings.taken < MAX_READINGS:
        for _ in range(more):
            series.step(task.batch_runs)
            spent = _spent(task, readings, effort.spent_s())
            if spent is not None:
                return spent
        more = min(wants_more(readings, None), MAX_READINGS - readings.taken)
    return None


@dataclass(slots=True)
class _Series:
    """Runs and the readings between them, one after the other; made before the first."""

    run: Callable[[], None]
    readings: Readings
    tell: Tell
    waiting: WaitBudget
    runs: int = 0

    def step(self, runs: int) -> None:
        """Run so many times, and read."""
        for _ in range(runs):
            self.run()
            self.runs += 1
        self._read()
        readings = self.readings
        self.tell("reading", {"values": readings.row(readings.taken - 1), "runs": self.runs})

    def peek(self) -> None:
        """Take a reading as the others are taken, which the next one replaces."""
        self._read()
        readings = self.readings
        readings.row(readings.taken - 1)
        readings.taken -= 1

    def _read(self) -> None:
        readings = self.readings
        settle()
        readings.take()
        if readings.taken > 1:
            for i in range(len(readings.probes)):
                self.waiting.settle(readings, i)


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
