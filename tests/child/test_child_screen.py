"""Screening: what a no-op reads, what is let go, what is followed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Sequence

import pytest

from leaktrace.child.measure import RunFailed
from leaktrace.child.readings import Readings, WaitBudget
from leaktrace.child.screen import RepeatPlan, Screen
from leaktrace.child.screening import Screening, often_rises, rulings_of
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.memory import BlocksProbe, RssProbe
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, RSS_BYTES, THREADS, Counter, Probe, Thing
from leaktrace.probes.objects import RefsProbe
from leaktrace.probes.threads import ThreadsProbe
from leaktrace.replay.base import METER
from leaktrace.verdict.judge import is_suspicious


NOOP = """
import gc
from leaktrace.child.readings import Readings
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.objects import RefsProbe
from leaktrace.probes.settle import collect
from leaktrace.probes.threads import ThreadsProbe

readings = Readings((HeapProbe(), RefsProbe(), HandlesProbe(), ThreadsProbe()), rows=110)
gc.collect(); gc.freeze()
def noop(): pass
for _ in range(6):
    noop(); collect(); readings.take()
for _ in range(100):
    noop(); collect(); readings.take()
assert all(probe.counter.exact for probe in readings.probes)
print([readings.value(row, i) - readings.value(row - 1, i) for row in range(6, 106) for i in range(4)].count(0))
"""


@pytest.mark.reads("heap_bytes")
def test_a_no_op_reads_zero_on_every_exact_counter_in_a_hundred_of_a_hundred_runs() -> None:
    told = subprocess.run(
        [sys.executable, "-c", NOOP], capture_output=True, text=True, check=True, env={**os.environ, **METER}
    ).stdout

    assert told == "400\n"


def screen_of() -> Screen:
    """A screen as a worker has it, but for malloc's bytes: only a child's allocator makes those exact."""
    probes = (BlocksProbe(), RefsProbe(), HandlesProbe(), ThreadsProbe(), RssProbe())
    screening = Screening(None, None)  # type: ignore[arg-type]  # only its judge is asked
    return Screen(probes, screening._judged)


def scripted_screen(*probes: Probe, more: int = 0) -> Screen:
    """A screen that reads what it is told to, and follows what grew for so many batches."""
    return Screen([*probes, Scripted(RSS_BYTES, 0)], lambda _readings, _batch, _spent: (True, more))


def runs_needed(work: Callable[[int], object], *, batch: int = 4) -> int:
    """Repeats that let a clean function go, the best of five: another thread may move a counter in a single try.

    `work` is told the number of the repeat.
    """

    def once() -> int:
        runs = [0]

        def run() -> None:
            work(runs[0])
            runs[0] += 1

        assert screen_of().screen(run, plan=lambda _s: RepeatPlan(batch)) is None
        return runs[0]

    return min(once() for _ in range(5))


@pytest.mark.reads("heap_bytes")
def test_a_clean_function_is_let_go_after_one_batch() -> None:
    assert runs_needed(lambda _number: None) == 5


@pytest.mark.reads("heap_bytes")
def test_what_replaces_the_run_before_is_let_go_after_one_batch() -> None:
    registry = {}

    def work(_number: int) -> None:
        registry["last"] = type("Made", (), dict.fromkeys(map("name{}".format, range(40))))

    assert runs_needed(work) == 5


@pytest.mark.reads("heap_bytes")
def test_a_kept_exception_counts_no_frame_of_ours() -> None:
    def work(_number: int) -> None:
        try:
            int("x")
        except ValueError as exc:
            cycle = [exc, sys._getframe()]
            cycle.append(cycle)

    assert runs_needed(work) == 5


@pytest.mark.reads("heap_bytes")
def test_a_slow_test_is_let_go_after_one_repeat_that_kept_nothing() -> None:
    assert runs_needed(lambda _number: None, batch=1) == 2


def test_what_stops_growing_is_followed_for_two_batches() -> None:
    kept = []

    def work(number: int) -> None:
        if number <= 1 + 2 * 4:
            kept.append([object() for _ in range(50)])

    assert runs_needed(work) == 1 + 2 * 4 + 1 + 2 * 3


def test_a_slow_test_is_read_after_each_repeat() -> None:
    kept = []

    grown = screen_of().screen(lambda: kept.append([object() for _ in range(50)]), plan=lambda _s: RepeatPlan(1, 1))

    assert grown is not None
    assert grown.batch_runs == 1
    assert grown.readings.grown("blocks") >= 50 * (grown.readings.taken - 1)


class Scripted:
    """A counter that reads what it was told to, and the last of it from then on."""

    def __init__(self, counter: Counter, *values: int) -> None:
        self.counter, self.values = counter, [*values]

    def read(self) -> int:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


@pytest.mark.parametrize(
    ("heap", "blocks", "followed"),
    [
        ((0, 96, 96, 192), (0,), True),
        ((0, 96, 80, 192), (0,), True),
        ((0, 96, 96, 96), (0,), False),
        ((0, 0, 96, 192), (0,), False),
        ((0, -32, 96, 192), (0,), False),
        ((0, -48, 96, 192), (0,), True),
        ((0, 96, 96, 192), (0, 2, 2, 4), True),
        ((0,), (0, 1, 1, 2), True),
        ((0,), (0, 1, 1, 1), False),
        ((0,), (0, 2, 1, 2), False),
        ((0,), (0, 24, 8, 12), True),
        ((0,), (0, 1, 0, 1), False),
        ((0, 9000, 9040, 9040), (0, 20), False),
        ((0, 9000, 9040, 9080), (0, 20), True),
        ((0, 48, 16, 64), (0,), False),
        ((0, 16, 48, 64), (0,), True),
        ((0, 16, 48, 32), (0,), False),
        ((0, 16, 16, 32), (0,), False),
    ],
)
def test_a_small_leak_is_followed_though_one_batch_seems_flat(
    heap: tuple[int, ...], blocks: tuple[int, ...], followed: bool
) -> None:
    probes = [Scripted(BLOCKS, *blocks), Scripted(HEAP_BYTES, *heap)]

    grown = scripted_screen(*probes).screen(lambda: None, plan=lambda _s: RepeatPlan(4))

    assert (grown is not None) is followed


def test_counters_that_rise_in_turn_are_let_go() -> None:
    probes = [Scripted(BLOCKS, 0, 2, 2, 2), Scripted(HEAP_BYTES, 0, 0, 96, 96)]

    assert scripted_screen(*probes).screen(lambda: None, plan=lambda _s: RepeatPlan(1)) is None


def test_a_slow_test_is_let_go_as_soon_as_no_counter_rises_at_most_readings() -> None:
    runs = []
    probes = [Scripted(BLOCKS, 0, 2, 4, 4, 4, 6, 6, 8)]
    screen = scripted_screen(*probes, more=1)

    assert screen.screen(lambda: runs.append(0), plan=lambda _s: RepeatPlan(1, 1, hasty=True)) is None
    assert len(runs) == 6


@pytest.mark.parametrize(
    "heap",
    [(0, 16, 64, 80, 112), (0, 32, 64, 96, 144), (0, 48, 64, 96, 128)],
    ids=["a rounding first", "none", "a rounding next"],
)
def test_one_small_object_a_run_of_a_slow_test_is_followed_though_malloc_rounds(heap: tuple[int, ...]) -> None:
    probes = [Scripted(BLOCKS, 0), Scripted(HEAP_BYTES, *heap, *(heap[-1] + 32 * n for n in range(1, 9)))]

    assert scripted_screen(*probes).screen(lambda: None, plan=lambda _s: RepeatPlan(1, 1, hasty=True)) is not None


def test_a_slow_tests_leak_is_followed_to_the_end_though_one_reading_does_not_rise() -> None:
    heap = [0, 32, 64, *(100 + 32 * n for n in range(9)), 356, *(388 + 32 * n for n in range(60))]
    screen = Screen(
        [Scripted(HEAP_BYTES, *heap), Scripted(RSS_BYTES, 0)],
        lambda readings, _batch, _spent: (True, readings.taken < 20),
    )

    grown = screen.screen(lambda: None, plan=lambda _s: RepeatPlan(1, 1, hasty=True))

    assert grown is not None
    assert grown.readings.taken == 20


def test_growth_in_few_batches_is_no_suspicion_and_in_every_second_is_one() -> None:
    def read(*values: int) -> int:
        readings = Readings([Scripted(HEAP_BYTES, *values)], rows=len(values))
        for _ in values:
            readings.take()
        return often_rises(readings)

    assert not read(*[5000 + 544 * (run > 8) for run in range(18)])
    assert read(*[5000 + 64 * (run // 2) for run in range(18)])


class Lingering:
    """A count that has come down by as many as it is given time to wait for."""

    counter = THREADS

    def __init__(self, *, comes_down: bool) -> None:
        self.comes_down, self.value = comes_down, 0
        self.waits: list[float] = []

    def read(self) -> int:
        return self.value

    def inventory(self) -> dict[Hashable, Thing]:
        return {}

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        self.waits.append(grace_s)
        if self.comes_down and at_most is not None:
            self.value = at_most


def test_what_never_comes_down_is_waited_for_ever_shorter_and_what_does_as_long_as_ever() -> None:
    def waits(*, comes_down: bool) -> list[float]:
        probe, waiting = Lingering(comes_down=comes_down), WaitBudget(0.2, 0.0125)
        readings = Readings([probe], rows=10)
        readings.take()
        for _ in range(7):
            probe.value += 1
            readings.take()
            waiting.settle(readings, 0)
        return probe.waits

    assert waits(comes_down=False) == [0.2, 0.1, 0.05, 0.025, 0.0125, 0.0125, 0.0125]
    assert waits(comes_down=True) == [0.2] * 7


def runs_followed(heap: Sequence[int]) -> tuple[int, bool]:
    """Runs after which readings of malloc's bytes are asked no more, and whether they are suspicious then."""
    readings = Readings([Scripted(HEAP_BYTES, *heap)], rows=len(heap))
    for runs in range(len(heap)):
        readings.take()
        ruling = rulings_of(readings, 1, None)["memory"]
        if runs and not ruling.more:
            return runs, is_suspicious(ruling)
    return len(heap), is_suspicious(ruling)


def test_bytes_that_only_waver_are_followed_for_eighteen_runs() -> None:
    assert runs_followed([5000 + 16 * (run % 2) for run in range(40)]) == (18, False)


def test_a_leak_of_sixteen_bytes_a_run_that_wavers_stays_suspicious() -> None:
    assert runs_followed([5000 + 16 * run - 48 * (run % 3 == 0) for run in range(40)])[1]


@pytest.mark.parametrize("disturbed", [range(1), range(1, 2), range(4), range(3, 4), range(9, 40)])
def test_a_leak_stays_suspicious_though_something_larger_comes_or_goes_once_beside_it(disturbed: range) -> None:
    blocks = [5000 + 3 * batch + 200 * (batch in disturbed) for batch in range(40)]
    assert suspicious_at_last(blocks)


def test_a_counter_that_falls_again_and_again_is_acquitted() -> None:
    assert not suspicious_at_last([5000 + 3 * (batch % 5) for batch in range(40)])


def suspicious_at_last(blocks: Sequence[int]) -> bool:
    """Whether a count is still suspicious when a screen has seen enough of it."""
    readings = Readings([Scripted(BLOCKS, *blocks)], rows=len(blocks))
    readings.take()
    more = 1
    while more:
        readings.take()
        ruling = rulings_of(readings, 3, None)["memory"]
        more = ruling.more
    return is_suspicious(ruling)


def test_growth_that_goes_on_is_kept_with_its_readings() -> None:
    kept = []

    grown = screen_of().screen(lambda: kept.append([object() for _ in range(50)]), plan=lambda _s: RepeatPlan(4))

    assert grown is not None
    assert grown.readings.taken > 4
    assert grown.readings.grown("blocks") > 50 * grown.batch_runs


def test_what_is_filled_once_is_let_go() -> None:
    filled: dict[str, object] = {}

    assert (
        screen_of().screen(
            lambda: filled.setdefault("once", [object() for _ in range(500)]), plan=lambda _s: RepeatPlan(4)
        )
        is None
    )


def test_a_failing_repeat_is_told() -> None:
    def fail() -> None:
        raise RunFailed("call failed")

    with pytest.raises(RunFailed, match="call failed"):
        screen_of().screen(fail, plan=lambda _s: RepeatPlan(4))


def test_the_collector_is_given_back_as_it_was() -> None:
    before = gc.get_freeze_count()
    screen = screen_of()
    screen.screen(lambda: None, plan=lambda _s: RepeatPlan(3))
    screen.thaw()

    assert gc.get_freeze_count() <= before
